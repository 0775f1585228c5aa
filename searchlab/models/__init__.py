"""Image classifiers: families of architectures, their parameters, and weight initialisation."""

from searchlab.models import (  # noqa: F401 (each registers its families)
    cnn,
    fcn,
    local,
    plain,
    presets,
    resnet,
)
from searchlab.models.registry import (
    Family,
    ImageShape,
    get_family,
    list_families,
    register_family,
    register_preset,
)

__all__ = [
    "Family",
    "ImageShape",
    "get_family",
    "list_families",
    "register_family",
    "register_preset",
]

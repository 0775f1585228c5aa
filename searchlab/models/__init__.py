"""Image classifiers: families of architectures, their parameters, and weight initialisation."""

from searchlab.models import (  # noqa: F401 (each registers its families)
    cnn,
    fcn,
    local,
    plain,
    presets,
    resnet,
    timm_networks,
    torchvision_networks,
)
from searchlab.models.own_networks import register_network
from searchlab.models.registry import (
    FIRST_CONV,
    Family,
    ImageShape,
    get_family,
    list_families,
    register_family,
    register_preset,
)

__all__ = [
    "FIRST_CONV",
    "Family",
    "ImageShape",
    "get_family",
    "list_families",
    "register_family",
    "register_network",
    "register_preset",
]

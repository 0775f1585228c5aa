"""Image classifiers: families of architectures, their parameters, and weight initialisation."""

from searchlab.models import (  # noqa: F401 (each registers its families)
    cnn,
    fcn,
    local,
    plain,
    presets,
    resnet,
)
from searchlab.models.build import (
    build_model,
    build_unset,
    check_model,
    count_multiply_adds,
    count_parameters,
)
from searchlab.models.dropout import set_dropout_generator
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
    "build_model",
    "build_unset",
    "check_model",
    "count_multiply_adds",
    "count_parameters",
    "get_family",
    "list_families",
    "register_family",
    "register_preset",
    "set_dropout_generator",
]

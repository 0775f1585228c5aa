"""Image classifiers: families of architectures, their parameters, and how their weights begin."""

from searchlab.models import cnn, fcn, report000  # noqa: F401 (each registers its families)
from searchlab.models.build import build_model, check_model, count_parameters
from searchlab.models.dropout import set_dropout_generator
from searchlab.models.registry import Family, ImageShape, get_family, list_families, register_family

__all__ = [
    "Family",
    "ImageShape",
    "build_model",
    "check_model",
    "count_parameters",
    "get_family",
    "list_families",
    "register_family",
    "set_dropout_generator",
]

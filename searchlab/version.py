"""The version, in a module that anything may import: the package itself imports everything."""

__all__ = ["__version__"]

__version__ = "0.1.0"

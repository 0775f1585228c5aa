"""searchlab: hyperparameter and architecture search that has to beat its own baselines."""

from searchlab.version import __version__

__all__ = ["__version__"]

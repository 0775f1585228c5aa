"""searchlab: hyperparameter and architecture search that has to beat its own baselines."""

__version__ = "0.1.0"

"""Trackers: callbacks that tell the tools with which people already watch their training."""

from searchlab.trackers import mlflow, tensorboard, wandb  # noqa: F401 (each registers itself)
from searchlab.trackers.registry import make_trackers, register_tracker

__all__ = ["make_trackers", "register_tracker"]

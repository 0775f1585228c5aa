"""The names of a dataset's classes, as reports write them."""

from __future__ import annotations

from searchlab.data import get_dataset

__all__ = ["name_classes"]


def name_classes(dataset: str, num_classes: int) -> list[str]:
    """Return the classes' names if they are known without the images, or else their numbers."""
    facts = get_dataset(dataset).facts
    names = () if facts is None else facts.class_names
    return list(names) if len(names) == num_classes else [str(k) for k in range(num_classes)]

"""The data layer: registered datasets, their images in memory, folds, statistics."""

from searchlab.data import digits, fashion_mnist, usps  # noqa: F401  they register themselves
from searchlab.data.folds import stratified_folds, train_indices
from searchlab.data.image_data import ImageData
from searchlab.data.registry import (
    Dataset,
    get_dataset,
    list_datasets,
    load_dataset,
    resolve_data_dir,
)
from searchlab.data.statistics import ChannelSums

__all__ = [
    "ChannelSums",
    "Dataset",
    "ImageData",
    "get_dataset",
    "list_datasets",
    "load_dataset",
    "resolve_data_dir",
    "stratified_folds",
    "train_indices",
]

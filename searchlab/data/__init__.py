"""The data layer: registered datasets, their images in memory, folds, statistics."""

from searchlab.data import (  # noqa: F401 (each registers its datasets)
    array_file,
    cifar,
    digits,
    folders,
    huggingface,
    mnist,
    torchvision_arrays,
    torchvision_files,
    usps,
)
from searchlab.data.folds import stratified_folds, train_indices
from searchlab.data.image_data import ImageData
from searchlab.data.loading import count_images, describe_dataset, load_dataset, prune_cache
from searchlab.data.registry import (
    Dataset,
    get_dataset,
    list_datasets,
    register_dataset,
    resolve_data_dir,
)
from searchlab.data.request import DatasetFacts, DatasetRequest
from searchlab.data.statistics import ChannelSums

__all__ = [
    "ChannelSums",
    "Dataset",
    "DatasetFacts",
    "DatasetRequest",
    "ImageData",
    "count_images",
    "describe_dataset",
    "get_dataset",
    "list_datasets",
    "load_dataset",
    "prune_cache",
    "register_dataset",
    "resolve_data_dir",
    "stratified_folds",
    "train_indices",
]

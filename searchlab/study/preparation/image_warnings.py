"""What a study says of its images beforehand: rare classes, and images on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from searchlab.analysis.duplicates import Copies, find_copies
from searchlab.config.metrics import list_metrics
from searchlab.config.study import StudySpec
from searchlab.data import ImageData
from searchlab.data.folds import Indices, train_indices

__all__ = ["image_warnings"]

_LARGEST_RATIO = 10
"""Of the images of the largest class to those of the smallest, without a warning."""


def image_warnings(spec: StudySpec, images: ImageData, folds: Sequence[Indices]) -> Iterator[str]:
    """Yield what keeps a study's figures from meaning what they seem to."""
    counts = np.bincount(images.train_labels, minlength=images.num_classes)
    yield from _warn_of_ratio(spec, images, counts)
    if images.train_times is None:
        yield from _warn_of_empty_folds(images, counts, len(folds))
    yield from _warn_of_unknown_classes(images, folds)
    copies = find_copies(images.train_images, images.test_images)
    yield from _warn_of_test_copies(images, copies)
    yield from _warn_of_fold_copies(images, folds, copies)


def _warn_of_ratio(spec: StudySpec, images: ImageData, counts: Indices) -> Iterator[str]:
    """Say why accuracy says little if a class has far fewer training images than another."""
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    if counts[largest] <= _LARGEST_RATIO * counts[smallest]:
        return
    if spec.primary.entry.is_of_classes:
        return
    fair = " or ".join(metric.name for metric in list_metrics() if metric.is_of_classes)
    yield (
        f"class {_name(images, largest)} has {counts[largest]:,} training images and class "
        f"{_name(images, smallest)} {counts[smallest]:,}, so {spec.primary.metric} hardly shows "
        f"how well a model knows the rare ones: consider {fair} as objective.metric, and "
        "training.class_weights=balanced or training.sampling=balanced"
    )


def _warn_of_empty_folds(images: ImageData, counts: Indices, num_folds: int) -> Iterator[str]:
    rare = [int(label) for label in np.flatnonzero(counts < num_folds)]
    if not rare:
        return
    named = f"class {_name(images, rare[0])}"
    named += f" and {len(rare) - 1} more have" if len(rare) > 1 else " has"
    yield (
        f"{named} fewer training images ({counts[rare[0]]}) than there are folds ({num_folds}), so "
        "some folds validate none of them: use fewer folds, or add images"
    )


def _warn_of_unknown_classes(images: ImageData, folds: Sequence[Indices]) -> Iterator[str]:
    for number in range(len(folds)):
        trained = train_indices(folds, number, len(images.train_labels), times=images.train_times)
        unknown = np.setdiff1d(images.train_labels, images.train_labels[trained])
        if len(unknown):
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            yield (
                f"the model of fold {number} trains on no image of class "
                f"{_name(images, int(unknown[0]))}{more}: use fewer folds, or add images"
            )
            return


def _warn_of_test_copies(images: ImageData, copies: Sequence[Copies]) -> Iterator[str]:
    across = [each for each in copies if each.training and each.test]
    if not across:
        return
    count = sum(len(each.test) for each in across)
    example = _place(images.test_files, across[0].test[0], "test image")
    copied = _place(images.train_files, across[0].training[0], "training image")
    yield (
        f"{count:,} of {len(images.test_labels):,} test images {_are(count)} training images too, "
        f"pixel for pixel ({example} is {copied}), so the test knows them: remove the copies, or "
        "name what they have in common as a group"
    )


def _warn_of_fold_copies(
    images: ImageData, folds: Sequence[Indices], copies: Sequence[Copies]
) -> Iterator[str]:
    fold_of = np.full(len(images.train_labels), -1)
    for number, fold in enumerate(folds):
        fold_of[fold] = number
    across = [each for each in copies if len(set(fold_of[each.training])) > 1]
    if not across:
        return
    count = sum(len(each.training) for each in across)
    first, second = (
        _place(images.train_files, index, "training image") for index in across[0].training[:2]
    )
    yield (
        f"{count:,} training images {_are(count)} in several folds, pixel for pixel ({first} is "
        f"{second}), so validation figures lean high: remove the copies, or name what they have in "
        "common as a group"
    )


def _place(files: Sequence[str], index: int, what: str) -> str:
    return files[index] if files else f"{what} {index}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _name(images: ImageData, label: int) -> str:
    return images.class_names[label] if images.class_names else str(label)

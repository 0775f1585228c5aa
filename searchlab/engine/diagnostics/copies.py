"""Images of a study that occur more than once: in the training set, or in both sets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from searchlab.analysis.duplicates import Copies, count_copies, find_copies
from searchlab.data import ImageData
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.pictures import find_place, list_classes, show_image
from searchlab.engine.diagnostics.results import (
    COPIES_KEY,
    CopiedImage,
    CopiedImages,
    Part,
)
from searchlab.engine.diagnostics.tasks import Task

__all__ = ["plan_copies"]


_MOST_SHOWN = 6
_MOST_PLACES = 5


def plan_copies(finished: FinishedStudy) -> Iterator[Task]:
    """Look for images that occur more than once."""
    yield Task(
        key=COPIES_KEY,
        kind=CopiedImages,
        doing="images that occur twice",
        measure=partial(_measure, finished.prepared.images),
    )


def _measure(images: ImageData) -> CopiedImages:
    training, test = images.train_labels, images.test_labels
    copies = find_copies(images.train_images, images.test_images)
    of_interest = sorted(
        (each for each in copies if each.training),
        key=lambda each: (len(each.labels(training, test)) == 1, not each.test),
    )
    return CopiedImages(
        class_names=list_classes(images),
        training_images=len(training),
        test_images=len(test),
        counts=count_copies(copies, training, test),
        shown=[_show(images, each) for each in of_interest[:_MOST_SHOWN]],
    )


def _show(images: ImageData, copies: Copies) -> CopiedImage:
    # Test images first, because few places are shown, and they matter most.
    found: list[tuple[Part, int]] = [("test", index) for index in copies.test]
    found += [("training", index) for index in copies.training]
    return CopiedImage(
        image=show_image(images, *found[0]),
        times=len(found),
        places=[find_place(images, *each) for each in found[:_MOST_PLACES]],
    )

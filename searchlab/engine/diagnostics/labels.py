"""Images of a study whose label looks wrong, because all models say so that did not learn it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from searchlab.analysis.label_faults import Suspect, find_suspects
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.pictures import list_classes, show_image
from searchlab.engine.diagnostics.results import (
    Part,
    SuspectImage,
    SuspectLabels,
    labels_key,
)
from searchlab.engine.diagnostics.tasks import Task
from searchlab.training.held_out import HeldOut

__all__ = ["plan_labels"]

_MOST_SHOWN = 12


def plan_labels(finished: FinishedStudy) -> Iterator[Task]:
    """Look for wrong labels among the training images, then among the test images."""
    if finished.subjects:
        yield Task(
            key=labels_key("training", finished.records),
            kind=SuspectLabels,
            doing="labels of the training images",
            measure=partial(_look_at_training, finished),
        )
        yield Task(
            key=labels_key("test", finished.records),
            kind=SuspectLabels,
            doing="labels of the test images",
            measure=partial(_look_at_test, finished),
        )


def _look_at_training(finished: FinishedStudy) -> SuspectLabels:
    """Ask the folds' models of every baseline and finalist about the images that they held out."""
    labels = finished.prepared.images.train_labels
    asked: list[int] = []
    mostly_wrong: list[int] = []
    unknown: list[int] = []
    times = np.zeros(len(labels), np.int64)

    def ask() -> Iterator[HeldOut]:
        for record in finished.records:
            if record.role not in ("baseline", "finalist") or record.state != "COMPLETE":
                continue
            finished.check_stop()
            held_out = finished.held_out(record.number)
            if held_out is None:
                unknown.append(record.number)
            elif not _is_witness(held_out, labels):
                mostly_wrong.append(record.number)
            else:
                asked.append(record.number)
                times[held_out.indices] += 1
                yield held_out

    suspects = find_suspects(ask(), labels)
    return SuspectLabels(
        class_names=list_classes(finished.prepared.images),
        asked=asked,
        mostly_wrong=mostly_wrong,
        unknown=unknown,
        images=int((times >= 2).sum()),
        count=len(suspects),
        shown=_show(finished, "training", suspects),
    )


def _is_witness(held_out: HeldOut, labels: np.ndarray) -> bool:
    """Return whether a trial's models know most of the images, so that they may be believed."""
    right = held_out.log_probabilities.argmax(1) == labels[held_out.indices]
    return bool(right.mean() > 0.5)


def _look_at_test(finished: FinishedStudy) -> SuspectLabels:
    """Ask the kept models, and take the answers that the confirmations recorded."""
    labels = finished.prepared.images.test_labels
    recorded = {
        record.number: record.answers.read_guesses()
        for record in finished.records
        if record.role == "confirmation" and record.state == "COMPLETE" and record.answers
    }
    kept = {
        record.number: HeldOut(
            indices=np.arange(len(labels)),
            log_probabilities=finished.test_logits(record.number).log_softmax(1).numpy(),
        )
        for record in finished.subjects
    }
    believed = {number: one for number, one in kept.items() if _is_witness(one, labels)}
    confirmed = {n: guesses for n, guesses in recorded.items() if (guesses == labels).mean() > 0.5}
    asked = sorted({*believed, *confirmed})
    suspects = [
        suspect
        for suspect in find_suspects(believed.values(), labels, least_models=1)
        if all(guesses[suspect.index] == suspect.answer for guesses in confirmed.values())
    ]
    if len(asked) < 2:
        suspects = []
    return SuspectLabels(
        class_names=list_classes(finished.prepared.images),
        asked=asked,
        mostly_wrong=sorted({*kept, *recorded} - {*asked}),
        unknown=[],
        images=len(labels) if len(asked) >= 2 else 0,
        count=len(suspects),
        shown=_show(finished, "test", suspects, more_models=len(confirmed)),
    )


def _show(
    finished: FinishedStudy, part: Part, suspects: list[Suspect], *, more_models: int = 0
) -> list[SuspectImage]:
    return [
        SuspectImage(
            image=show_image(finished.prepared.images, part, one.index),
            answer=one.answer,
            models=one.models + more_models,
            confidence=one.confidence,
        )
        for one in suspects[:_MOST_SHOWN]
    ]

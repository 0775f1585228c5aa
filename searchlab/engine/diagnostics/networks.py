"""What is to be seen inside a study's models: filters, neurons, and layers while they train."""

from __future__ import annotations

from collections.abc import Iterator

from searchlab.engine.diagnostics.filters import plan_filters
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.layers import plan_layers
from searchlab.engine.diagnostics.layers_cost import LARGEST_SHARE, share_of_study
from searchlab.engine.diagnostics.neurons import plan_neurons
from searchlab.engine.diagnostics.tasks import Task, TooCostlyError

__all__ = ["plan_networks"]


def plan_networks(finished: FinishedStudy) -> Iterator[Task]:
    """Look at the filters and neurons, then at the layers while they train.

    The latter trains both models again, so it raises TooCostlyError if that costs much of the
    study's training and the study's file does not ask for this diagnostic.
    """
    yield from plan_filters(finished)
    yield from plan_neurons(finished)
    is_asked_for = finished.spec.report.diagnostics is not None
    share = share_of_study(
        finished.spec,
        finished.subjects,
        finished.records,
        num_images=len(finished.prepared.images.train_labels),
    )
    if not is_asked_for and share > LARGEST_SHARE:
        raise TooCostlyError(
            "To see layers while they train, both models must be trained again, which takes some "
            f"{share:.0%} of the study's training; unasked it may be {LARGEST_SHARE:.0%}."
        )
    yield from plan_layers(finished)

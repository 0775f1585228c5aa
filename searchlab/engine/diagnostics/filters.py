"""How far training moved the first convolution's filters of each model that a study keeps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import nn

from searchlab.analysis.filters import compare_filters
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import FirstFilters, filters_key
from searchlab.engine.diagnostics.tasks import Task
from searchlab.models.initialisation import first_convolution, layer_of_schemes
from searchlab.models.registry import get_family
from searchlab.models.saved_weights import FULL
from searchlab.records.trial_record import TrialRecord
from searchlab.training.initial_models import build_initial

__all__ = ["plan_filters"]


def plan_filters(finished: FinishedStudy) -> Iterator[Task]:
    """Compare every baseline's and finalist's filters, which needs no training."""
    for record in finished.records:
        if record.role in ("baseline", "finalist") and record.state == "COMPLETE":
            yield Task(
                key=filters_key(record.number),
                kind=FirstFilters,
                doing=f"filters of #{record.number} {record.label}",
                measure=partial(_measure, finished, record),
            )


def _measure(finished: FinishedStudy, record: TrialRecord) -> FirstFilters:
    kept = finished.model(record.number)
    family = get_family(kept.config.model.family)
    layer = layer_of_schemes(kept.model, family) or first_convolution(kept.model)
    if layer is None:
        return FirstFilters(moved=None)
    initial = build_initial(kept.config, finished.data, FULL)
    first, last = initial.get_submodule(layer), kept.model.get_submodule(layer)
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    return FirstFilters(
        moved=compare_filters(layer, first.weight.detach(), last.weight.detach().cpu())
    )

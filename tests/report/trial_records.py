"""Trial records and studies made up for tests of what is read from them."""

from __future__ import annotations

from typing import Any

from searchlab.config.study import StudySpec
from searchlab.config.trial import Role
from searchlab.records.trial_record import TrialRecord


def make_spec(**changes: Any) -> StudySpec:
    data: dict[str, Any] = {
        "name": "toy",
        "dataset": "digits",
        "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": "cnn"}},
        "search": {"sampler": "random", "trials": 8},
        "validation": {"folds": 3, "search_folds": 1},
        "baselines": {"architectures": ["a2"], "schemes": ["HF", "DT"]},
        "confirm": {"top": 1, "repeats": 0},
    }
    return StudySpec.model_validate({**data, **changes})


def make_record(number: int, role: Role = "search", **changes: Any) -> TrialRecord:
    """Return a trial's record; ``figures`` and ``test_figures`` add to those that it has."""
    folds = tuple(changes.pop("fold_values", ()))
    figures = {"parameters": 12345, **changes.pop("figures", {})}
    test_figures = changes.pop("test_figures", {} if role == "search" else {"accuracy": 0.9})
    fields: dict[str, Any] = {
        "number": number,
        "state": "COMPLETE",
        "role": role,
        "label": "a2/DT" if role == "baseline" else "cnn",
        "scheme": "DT",
        "value": folds[0] if folds else None,
        "params": {"lr": 0.01},
        "fold_values": folds,
        "finalist_of": None,
        "epochs": 8,
        "seconds": 2.1,
        "stop_reason": None,
        "error": None,
        "figures": figures,
        "test_figures": test_figures,
    }
    return TrialRecord(**{**fields, **changes})


def accuracy_study() -> list[TrialRecord]:
    """Two baselines, eight search trials (one pruned, one failed), one finalist, the best."""
    search = [make_record(2 + i, value=0.90 + 0.01 * i) for i in range(6)]
    return [
        make_record(0, "baseline", label="a2/HF", fold_values=(0.90, 0.91, 0.92)),
        make_record(1, "baseline", fold_values=(0.94, 0.95, 0.96)),
        *search,
        make_record(8, state="PRUNED", value=0.99, stop_reason="pruned"),
        make_record(9, state="FAIL", value=None, stop_reason="error", error="boom"),
        make_record(10, "finalist", fold_values=(0.97, 0.981, 0.989), finalist_of=7),
    ]

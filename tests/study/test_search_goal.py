"""A search that may end before its budget, once it is clearly ahead of the baselines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ledger_driving import make_result, make_spec, open_ledger, open_study, run_to_end
from pydantic import ValidationError

from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.study.ledger import Ledger

BASELINE = (0.45, 0.50, 0.55)  # deviation 0.05 between folds, so an error of 0.05 on two of them


def goal(**changes: object) -> StudySpec:
    changes["search"] = {"until": "better-than-baseline", **changes.get("search", {})}  # type: ignore[dict-item]
    return make_spec(**changes)


def trained(values: list[float]) -> Callable[[Ledger, TrialConfig], None]:
    """Train search trials to these values in turn, baselines to the folds of BASELINE."""
    left = iter(values)

    def train(ledger: Ledger, config: TrialConfig) -> None:
        is_baseline = config.role == "baseline"
        value = 0.5 if is_baseline else next(left) if config.role == "search" else 0.6
        folds = BASELINE if is_baseline else (value,) * len(config.folds.folds)
        for epoch in range(1, config.settings.epochs + 1):
            ledger.report(
                make_result(config, epoch, value, best_value=value, best_epoch=1, fold_values=folds)
            )
        ledger.tell(config.number)

    return train


@pytest.mark.parametrize(
    ("values", "num_searched"),
    [
        ([0.55, 0.59, 0.61, 0.9, 0.9, 0.9], 3),  # two errors are 0.1
        ([0.52, 0.59, 0.55, 0.51, 0.4, 0.3], 6),  # the budget ends it
    ],
)
def test_the_search_ends_once_its_lead_is_two_standard_errors(
    values: list[float], num_searched: int
) -> None:
    spec = goal()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    roles = [config.role for config in run_to_end(ledger, trained(values))]
    assert roles == ["baseline"] * 2 + ["search"] * num_searched + ["finalist"] * 2
    assert ledger.snapshot().counts["search"].total == num_searched
    again = open_ledger(spec, study)
    assert again.is_finished, "a resume searches no further"
    assert again.snapshot().counts["search"].total == num_searched


def test_confirm_margin_is_the_least_lead(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = open_ledger(goal(confirm={"margin": 20}))
    roles = [one.role for one in run_to_end(ledger, trained([0.65, 0.69, 0.71, 0.9, 0.9, 0.9]))]
    assert roles.count("search") == 3


def test_without_the_goal_nothing_ends_the_search() -> None:
    ledger = open_ledger(make_spec())
    roles = [one.role for one in run_to_end(ledger, trained([0.9] * 6))]
    assert roles.count("search") == 6


def test_a_planned_search_ends_early_too() -> None:
    space = {"parameters": {"lr": [0.001, 0.01, 0.1], "family": {"fcn": {"depth": [1, 2]}}}}
    spec = goal(search={"sampler": "grid", "trials": None}, space=space)
    ledger = open_ledger(spec)
    assert ledger.snapshot().counts["search"].total == 6
    roles = [config.role for config in run_to_end(ledger, trained([0.4, 0.9]))]
    assert roles.count("search") == 2
    assert ledger.snapshot().counts["search"].total == 2


def test_the_goal_needs_a_baseline_on_all_folds() -> None:
    for baselines in ({"architectures": []}, {"folds": "search"}):
        with pytest.raises(ValidationError, match="needs a baseline that is trained on all folds"):
            goal(baselines=baselines)

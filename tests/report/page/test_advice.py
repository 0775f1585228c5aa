"""What a report advises, from planted trials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from trial_records import make_record, make_spec

from searchlab.records.run_folder import RunFolder
from searchlab.report.page.advice import list_advice
from searchlab.report.page.findings import Findings
from searchlab.report.reading import StudyReading

LR = FloatDistribution(1e-4, 1e-1, log=True)
DEPTH = IntDistribution(1, 8)


def advise(
    tmp_path: Any,
    lr: float = 0.003,
    depth: int = 4,
    dropout: float = 0.2,
    schemes: tuple[str, ...] = ("HF", "DT"),
    **changes: Any,
) -> str:
    """Return the advice on a study whose finalist #9 has a learning rate and a depth of 4."""
    base = {"fold_values": (0.7, 0.7, 0.7), "fold_epoch": 2, "epochs": 5}
    records = [
        make_record(0, "baseline", label="a2/DT", **base),
        make_record(9, "finalist", finalist_of=4, **{**base, "fold_values": (0.9, 0.9, 0.9)}),
    ]
    records = [replace(one, **changes) for one in records]
    trials = [
        optuna.trial.create_trial(
            values=[0.9],
            params={"lr": lr, "depth": depth, "dropout": dropout},
            distributions={"lr": LR, "depth": DEPTH, "dropout": FloatDistribution(0.0, 0.5)},
        )
        for _ in records
    ]
    for trial, record in zip(trials, records, strict=True):
        trial.number = record.number
    spec = make_spec(baselines={"architectures": ["a2"], "schemes": list(schemes)})
    reading = StudyReading(
        run=RunFolder(tmp_path), spec=spec, storage_url="sqlite:///none.db",
        records=records, is_driven=False, is_finished=True, totals={}, trials=trials,
    )  # fmt: skip
    return " ".join(list_advice(Findings(reading)))


@pytest.mark.parametrize(
    ("lr", "end"), [(1e-4, "lower"), (1.1e-4, "lower"), (0.1, "upper"), (0.003, None)]
)
def test_a_value_at_the_end_of_its_range_is_named(
    tmp_path: Any, lr: float, end: str | None
) -> None:
    text = advise(tmp_path, lr)
    assert ("Widen lr" in text) == (end is not None)
    if end is not None:
        assert f"at the {end} end of 0.0001 to 0.1" in text
    assert "depth" not in text


@pytest.mark.parametrize(("fold_epoch", "is_named"), [(5, True), (4, False), (None, False)])
def test_a_budget_that_still_improved_is_named(
    tmp_path: Any, fold_epoch: int | None, is_named: bool
) -> None:
    assert ("Train longer" in advise(tmp_path, fold_epoch=fold_epoch)) == is_named


def test_baselines_that_were_left_out_are_named(tmp_path: Any) -> None:
    assert "Try the baselines that were left out: a2/HT." in advise(tmp_path)


def test_what_made_trials_fail_comes_first(tmp_path: Any) -> None:
    text = advise(tmp_path, state="FAIL", error="RuntimeError: boom")
    assert text == (
        "Mend what made 2 of 2 trials fail. The most frequent cause is: RuntimeError: boom "
        f"({RunFolder(tmp_path).command('trial', 'show')} 0)."
    )


def test_a_study_that_gives_no_reason_for_a_change_says_so(tmp_path: Any) -> None:
    text = advise(tmp_path, schemes=("HF", "HT", "DT"), fold_epoch=4)
    assert text == "Nothing in the record asks for other ranges, epochs, trials or folds."


def test_a_range_is_not_widened_beyond_what_there_can_be(tmp_path: Any) -> None:
    assert "Widen" not in advise(tmp_path, depth=1, dropout=0.0)
    assert "Widen dropout: the winner's 0.5 is at the upper end" in advise(tmp_path, dropout=0.5)
    assert "Widen depth: the winner's 8 is at the upper end" in advise(tmp_path, depth=8)

"""What a report says in words: which of our figures stand beside it, and whether it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from trial_records import make_record, make_spec

from searchlab.config.study import StudySpec
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.report.claims import CheckedClaim, check_claims
from searchlab.report.reading import StudyReading


def claim_spec(*trials: str, against: str = "folds", **changes: Any) -> StudySpec:
    claim = {"table": "section 4", "says": "so it is", "trials": list(trials), **changes}
    row = {"table": "t", "name": "n", "trial": "a2/DT", "figures": {"accuracy": 90}}
    published = {"source": "report 9", "against": against, "rows": [row], "claims": [claim]}
    return make_spec(published=published, ensembles={"both": ["a2/DT", "a2/HF"]})


def baseline(label: str, *folds: float, **changes: Any) -> TrialRecord:
    number = 0 if label == "a2/DT" else 1
    return make_record(number, "baseline", label=label, fold_values=folds, **changes)


def check(spec: StudySpec, *records: TrialRecord, **evaluations: Any) -> CheckedClaim:
    reading = StudyReading(
        run=RunFolder(Path("unused")), spec=spec, storage_url="", records=list(records),
        is_driven=False, is_finished=True, totals={}, evaluations=evaluations,
    )  # fmt: skip
    [found] = check_claims(reading)
    return found


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        ((0.95, 0.96, 0.97), (0.90, 0.91, 0.925), "yes"),
        ((0.95, 0.96, 0.97), (0.90, 0.97, 0.925), "yes, within the spread over the folds"),
        ((0.90, 0.91, 0.92), (0.95, 0.96, 0.97), "no: not better than a2/HF"),
        ((0.90, 0.91, 0.92), (0.92, 0.91, 0.90), "no: not better than a2/HF"),
    ],
    ids=["shown", "within the spread", "behind", "equal"],
)
def test_a_claim_holds_if_the_first_trial_is_better_than_the_others(
    first: tuple[float, ...], second: tuple[float, ...], holds: str
) -> None:
    found = check(
        claim_spec("a2/DT", "a2/HF"), baseline("a2/DT", *first), baseline("a2/HF", *second)
    )
    assert found.holds == holds
    assert found.ours.startswith(f"a2/DT {sum(first) / 3:.2%}".replace("%", " %"))


def test_a_trial_that_diverged_is_behind_all() -> None:
    diverged = baseline("a2/HF", state="PRUNED", stop_reason="diverged")
    spec = claim_spec("a2/DT", "a2/HF")
    found = check(spec, baseline("a2/DT", 0.9, 0.91, 0.92), diverged)
    assert (found.ours, found.holds) == ("a2/DT 91.00 %, a2/HF diverged", "yes")
    found = check(claim_spec("a2/HF", "a2/DT"), baseline("a2/DT", 0.9, 0.91, 0.92), diverged)
    assert found.holds == "no: a2/HF diverged"


def test_with_an_ensemble_all_are_measured_on_the_test_set() -> None:
    spec = claim_spec("both", "a2/DT")
    record = baseline("a2/DT", 0.99, 0.99, 0.99, test_figures={"accuracy": 0.9})
    found = check(spec, record, both={"accuracy": 0.92})
    assert (found.ours, found.holds) == ("both 92.00 %, a2/DT 90.00 %", "yes, by one model of each")


def test_another_metric_is_judged_by_its_own_direction() -> None:
    spec = claim_spec("a2/DT", "a2/HF", against="test", metric="loss")
    records = [
        baseline("a2/DT", test_figures={"loss": 0.2}), baseline("a2/HF", test_figures={"loss": 0.3})
    ]  # fmt: skip
    found = check(spec, *records)
    assert (found.ours, found.holds) == ("a2/DT 0.2000, a2/HF 0.3000", "yes, by one model of each")


def test_a_claim_without_trials_has_no_figure_and_a_missing_trial_decides_nothing() -> None:
    assert check(claim_spec()).ours == "-"
    found = check(claim_spec("a2/DT", "a2/HF"), baseline("a2/DT", 0.9, 0.91, 0.92))
    assert (found.ours, found.holds) == ("a2/DT 91.00 %, a2/HF -", "-")


def test_a_claim_of_an_unknown_trial_or_metric_is_refused() -> None:
    with pytest.raises(ValidationError, match="must name a trial of this study, got 'a2/DX'"):
        claim_spec("a2/DX")
    with pytest.raises(ValidationError, match="must be a known metric, got 'accurcy'"):
        claim_spec("a2/DT", metric="accurcy")

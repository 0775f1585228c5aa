"""Which trial's model is exported if none is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_records import make_record, make_spec

from searchlab.config.study import StudySpec
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.report.model_export import choose_trial
from searchlab.report.reading import StudyReading

SPEC = make_spec(validation={"folds": 5, "search_folds": 2})
SEARCHED = (0.99, 0.99)
BASELINE = make_record(1, "baseline", fold_values=(0.70, 0.70, 0.92, 0.921, 0.919))


def read(records: list[TrialRecord], spec: StudySpec = SPEC) -> StudyReading:
    return StudyReading(
        run=RunFolder(Path("runs/toy")), spec=spec, storage_url="sqlite://", records=records,
        is_driven=False, is_finished=True, totals={},
    )  # fmt: skip


def finalist(*unseen: float) -> TrialRecord:
    return make_record(7, "finalist", fold_values=(*SEARCHED, *unseen), finalist_of=3)


@pytest.mark.parametrize(
    ("unseen", "chosen"),
    [
        ((0.95, 0.951, 0.9485), 7),  # YES
        ((0.90, 0.902, 0.8985), 1),  # NO, it is worse, although it is first by rank
        ((0.93, 0.89, 0.95), 7),  # UNDECIDED: the first by rank
    ],
)
def test_the_verdicts_winner_is_chosen_or_else_the_first_by_rank(
    unseen: tuple[float, ...], chosen: int
) -> None:
    assert choose_trial(read([BASELINE, finalist(*unseen)]), None).number == chosen


def test_a_winner_without_weights_is_refused_with_a_way_to_train_it() -> None:
    search = make_record(3, fold_values=(0.99, 0.98))
    spec = SPEC.model_copy(update={"confirm": SPEC.confirm.model_copy(update={"top": 0})})
    with pytest.raises(InputError, match="was won by search trial #3") as caught:
        choose_trial(read([BASELINE, search], spec), None)
    assert "study best" in str(caught.value)
    assert "--trial N" in str(caught.value)


def test_a_study_of_which_nothing_completed_has_no_winner() -> None:
    with pytest.raises(InputError, match="has no trial that completed"):
        choose_trial(read([make_record(0, state="FAIL", value=None)]), None)

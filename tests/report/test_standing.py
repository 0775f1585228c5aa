"""Whether a study is running, finished or interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trial_records import accuracy_study, make_record, make_spec

from searchlab.report.reading import StudyReading
from searchlab.report.standing import Standing, take_standing
from searchlab.study.attributes import TrialRecord
from searchlab.study.runs import RunFolder


def _take(records: list[TrialRecord], *, is_driven: bool = False, **changes: Any) -> Standing:
    return take_standing(
        StudyReading(
            run=RunFolder(Path("runs/toy")),
            spec=make_spec(**changes),
            storage_url="sqlite:///study.db",
            records=records,
            is_driven=is_driven,
        )
    )


def test_counts_by_role_and_state() -> None:
    standing = _take(accuracy_study())
    search = standing.roles["search"]
    assert (search.total, search.complete, search.pruned, search.failed) == (8, 6, 1, 1)
    assert (standing.ended, standing.total) == (11, 11)
    assert standing.state == "finished"


def test_a_held_lock_is_a_running_study() -> None:
    assert _take(accuracy_study(), is_driven=True).state == "running"


def test_a_missing_finalist_is_an_interruption() -> None:
    assert _take(accuracy_study()[:-1]).state == "interrupted"


def test_a_trial_left_running_is_an_interruption() -> None:
    assert _take([*accuracy_study(), make_record(11, state="RUNNING")]).state == "interrupted"


def test_a_search_cut_by_its_timeout_and_confirmed_is_finished() -> None:
    assert _take(accuracy_study(), search={"trials": 50, "timeout": 9}).state == "finished"


def test_a_planned_search_has_no_known_total_until_it_is_confirmed() -> None:
    planned = {"sampler": "grid"}
    assert _take(accuracy_study()[:-1], search=planned).total is None
    assert _take(accuracy_study(), search=planned).total == 11

"""An import either takes what every reading command can show, or is refused with one message."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import run_searchlab, unpack_recorded_runs
from hostile_records import forge

from searchlab.config.study import StudySpec
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.records.trial_record import EVALUATIONS, HOSTS_LOST, PROGRESS, TrialRecord
from searchlab.report import reading as reading_module
from searchlab.report import summary
from searchlab.report.reading import StudyReading, read_study
from searchlab.transfer.contents import StudyContents, read_contents
from searchlab.transfer.record_check import check_record

NAMES = ["finished", "interrupted"]
COMMANDS = [
    ("study", "status"), ("study", "status", "--json"), ("study", "best"),
    ("study", "best", "--json"), ("study", "leaderboard", "--all"),
    ("study", "leaderboard", "--all", "--json"), ("study", "leaderboard", "--markdown"),
    ("doctor",), ("doctor", "--json"),
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_recorded_runs(tmp_path_factory.mktemp("recorded"))


def read_as(contents: StudyContents, honest: StudyReading) -> StudyReading:
    """Return what ``read_study`` returns of a study with these contents."""
    progress = contents.user_attrs.get(PROGRESS, {})
    return replace(
        honest,
        records=[TrialRecord.from_trial(trial) for trial in contents.trials],
        trials=contents.trials,
        is_finished=bool(progress.get("finished")),
        totals=progress.get("totals", {}),
        evaluations=contents.user_attrs.get(EVALUATIONS, {}),
        hosts_lost=tuple(contents.user_attrs.get(HOSTS_LOST, ())),
    )


def is_refused(contents: StudyContents, spec: StudySpec) -> bool:
    try:
        check_record(contents, spec)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_study_is_what_the_check_expects(name: str, runs: Path) -> None:
    run = RunFolder(runs / name)
    check_record(read_contents(open_storage(run.storage_url()), name), run.load().spec)


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 100), marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("name", NAMES)
def test_forgery_that_passes_the_check_breaks_no_reading_command(
    name: str, seeds: range, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(runs / name)
    contents = read_contents(open_storage(run.storage_url()), name)
    honest, spec = read_study(run, None), run.load().spec
    num_refused = 0
    for seed in seeds:
        forged = forge(contents, random.Random(seed))
        if is_refused(forged, spec):
            num_refused += 1
            continue
        reading = read_as(forged, honest)
        for module in (reading_module, summary):
            monkeypatch.setattr(module, "read_study", lambda *_, found=reading: found)
        for command, *options in COMMANDS:
            group = [command] if command == "doctor" else [command, options.pop(0)]
            try:
                outcome = run_searchlab(*group, run.path, *options)
            except Exception as error:
                raise AssertionError((seed, command, options)) from error
            assert outcome.code in (0, 1, 2), (seed, command, options, outcome)
    assert len(seeds) // 3 < num_refused < len(seeds), "some are harmless"

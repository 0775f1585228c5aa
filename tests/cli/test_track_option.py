"""--track: a tracker is turned on once, goes on at every resume, and goes with the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from command_line import assert_refused, run_searchlab
from small_studies import NO_DATA, ONE_TRIAL, write_study

PLUGIN = """
from searchlab.study.callbacks import StudyCallback
from searchlab.trackers import register_tracker


@register_tracker("own")
class Own(StudyCallback):
    def __init__(self, options, folder):
        self._file = folder / "ended.txt"

    def end_trial(self, end, snapshot):
        with self._file.open("a") as file:
            file.write(f"{end.number} {end.state}\\n")
"""
SERIAL = ("--engine", "serial", "--data-dir", NO_DATA, "--quiet")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one study, tracked by TensorBoard and a plugin, and then extended."""
    folder = tmp_path_factory.mktemp("tracked")
    study = write_study(folder, **ONE_TRIAL)
    runs, plugin = folder / "runs", folder / "own.py"
    plugin.write_text(PLUGIN)
    for words in (
        (
            "run",
            study,
            "--track",
            "tensorboard",
            "--plugin",
            plugin,
            "--track",
            "own",
            "--on-end",
            "true",
        ),
        ("resume", runs / "tiny", "--set", "search.trials=2"),
    ):
        done = run_searchlab("study", *words, "--runs-dir", runs, *SERIAL)
        assert done.code == 0, done.err
    return runs


def events(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "trackers" / "tensorboard").glob("*/"))


def read_trackers(run: Path) -> dict[str, object]:
    trackers: dict[str, object] = yaml.safe_load((run / "study.yaml").read_text())["trackers"]
    return trackers


def test_a_resume_goes_on_with_the_tracker_of_the_run(runs: Path) -> None:
    assert [name[:11] for name in events(runs / "tiny")] == ["0000-search", "0001-search", "study"]
    assert read_trackers(runs / "tiny") == {"own": {}, "tensorboard": {}}


def test_a_tracker_of_a_plugin_is_told_of_each_trial_once(runs: Path) -> None:
    told = (runs / "tiny" / "trackers" / "own" / "ended.txt").read_text()
    assert told.splitlines() == ["0 COMPLETE", "1 COMPLETE"]


def test_an_archive_turns_no_tracker_on_elsewhere_and_a_deletion_leaves_nothing(
    runs: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "tiny.zip"
    assert run_searchlab("study", "export", runs / "tiny", archive).code == 0
    assert (
        run_searchlab("study", "import", archive, "--runs-dir", tmp_path, "--allow-code").code == 0
    )
    study = yaml.safe_load((tmp_path / "tiny" / "study.yaml").read_text())
    assert "trackers" not in study
    assert "on_end" not in study
    assert study["search"]["trials"] == 2

    (tmp_path / "tiny" / "trackers" / "tensorboard").mkdir(parents=True)
    (tmp_path / "tiny" / "trackers" / "tensorboard" / "deliveries.json").touch()
    deleted = run_searchlab("study", "delete", tmp_path / "tiny", "--yes")
    assert deleted.code == 0, deleted.err
    assert not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("command", ["run", "resume"])
def test_an_unknown_tracker_is_refused_before_anything_starts(
    command: str, runs: Path, tmp_path: Path
) -> None:
    study = write_study(tmp_path, **ONE_TRIAL) if command == "run" else runs / "tiny"
    place = tmp_path / "runs" if command == "run" else runs
    refused = run_searchlab(
        "study", command, study, "--track", "mlfow", "--runs-dir", place, *SERIAL
    )
    assert_refused(refused, "trackers must be a tracker, got 'mlfow'. Did you mean mlflow")
    assert not (tmp_path / "runs").exists()
    assert read_trackers(runs / "tiny") == {"own": {}, "tensorboard": {}}

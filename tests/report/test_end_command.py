"""on_end: what the command is told, and that nothing it does changes the result."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from small_studies import run_study

from searchlab.errors import InputError, InterruptedStudyError, StudyFailedError
from searchlab.records.run_folder import RunFolder
from searchlab.report import end_command
from searchlab.report.end_command import VARIABLES, run_at_end


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_study(
        tmp_path_factory.mktemp("ended"), "serial",
        search={"trials": 1}, training={"epochs": 1},
        baselines={"architectures": ["a2"], "schemes": ["DT"]}, confirm={"top": 1},
    )  # fmt: skip


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told.txt"


def command(told: Path) -> str:
    return f"for name in {' '.join(VARIABLES)}; do eval echo $name=\\$$name; done > {told}"


def read(told: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in told.read_text().splitlines())


def test_the_command_is_told_the_verdict(run: RunFolder, told: Path) -> None:
    with run_at_end(command(told), run, None):
        assert not told.exists()
    found = read(told)
    assert found["SEARCHLAB_RUN"] == str(run.path.resolve())
    assert (found["SEARCHLAB_STUDY"], found["SEARCHLAB_STATUS"]) == ("tiny", "finished")
    assert (found["SEARCHLAB_EXIT_CODE"], found["SEARCHLAB_ANSWER"]) == ("0", "UNDECIDED")
    assert found["SEARCHLAB_VERDICT"].startswith("UNDECIDED. #2 ")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InterruptedStudyError("Stopped. Go on", exit_code=143), "interrupted", "143"),
        (StudyFailedError("all 3 search trials failed"), "failed", "1"),
        (ZeroDivisionError("a bug"), "failed", "1"),
    ],
)
def test_the_command_is_told_what_ended_a_study(
    run: RunFolder, told: Path, error: Exception, status: str, code: str
) -> None:
    with pytest.raises(type(error)), run_at_end(command(told), run, None):
        raise error
    found = read(told)
    assert (found["SEARCHLAB_STATUS"], found["SEARCHLAB_EXIT_CODE"]) == (status, code)
    assert (found["SEARCHLAB_ANSWER"], found["SEARCHLAB_VERDICT"]) == ("", str(error))


def test_a_run_that_cannot_be_read_any_more_still_has_finished(
    tmp_path: Path, told: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run_at_end(command(told), RunFolder(tmp_path / "gone"), None):
        pass
    assert read(told)["SEARCHLAB_STATUS"] == "finished"
    assert read(told)["SEARCHLAB_ANSWER"] == ""
    assert "on_end is not told the verdict" in caplog.text


def test_a_study_that_was_refused_has_no_end(run: RunFolder, told: Path) -> None:
    with pytest.raises(InputError), run_at_end(command(told), run, None):
        raise InputError("is wrong")
    assert not told.exists()


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("echo said; exit 3", "on_end failed with exit code 3: echo said; exit 3"),
        ("echo said; sleep 60 & sleep 60", "on_end was ended after 1 s"),
    ],
)
def test_a_command_that_fails_or_hangs_is_a_warning(
    run: RunFolder,
    command: str,
    warning: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(end_command, "_MOST_SECONDS", 0.6)
    with caplog.at_level(logging.WARNING), run_at_end(command, run, None):
        pass
    assert warning in caplog.text
    assert capsys.readouterr().out == ""


def test_what_the_command_prints_goes_to_stderr(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_at_end("echo said", run, None):
        pass
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "said\n")

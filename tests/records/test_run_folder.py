"""The small files of a run folder, damaged or empty: one message, and nothing is lost."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_studies import ONE_TRIAL, describe_trials, read_trials, resume, run_study, write_study

from searchlab.cli.main import main
from searchlab.engine import launch
from searchlab.errors import InfrastructureError, InputError
from searchlab.records.run_folder import RunFolder, find_run
from searchlab.report.reading import read_study
from searchlab.study.ledger import Ledger

DAMAGE = [b"", b"\x00" * 64, b"name: [tiny", b"- a\n- list\n", bytes(range(128, 256))]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_study(tmp_path_factory.mktemp("finished"), "serial", **ONE_TRIAL)


@pytest.fixture
def run(finished: RunFolder) -> Any:
    """A finished run; the test's damage is mended."""
    content = finished.study_file.read_bytes()
    yield finished
    finished.study_file.write_bytes(content)
    (finished.path / "storage.json").unlink(missing_ok=True)


@pytest.mark.parametrize("content", DAMAGE)
def test_a_damaged_study_file_says_how_to_mend_it(run: RunFolder, content: bytes) -> None:
    before = describe_trials(run)
    run.study_file.write_bytes(content)
    for act in (resume, lambda run: read_study(run, None)):
        with pytest.raises(InfrastructureError, match=r"study\.yaml.*Restore it, or delete it"):
            act(run)
    assert run.study_file.read_bytes() == content
    run.study_file.unlink()
    resume(find_run(str(run.path), run.path.parent))
    assert describe_trials(run) == before


@pytest.mark.parametrize(
    "content", [*DAMAGE, b"[]", b'{"store": 1}', b'{"storage": null}', b'{"storage": "x"}']
)
def test_a_damaged_note_of_the_storage_is_not_taken_for_none(
    run: RunFolder, content: bytes
) -> None:
    (run.path / "storage.json").write_bytes(content)
    for act in (resume, lambda run: read_study(run, None)):
        with pytest.raises(InfrastructureError, match=r"storage\.json, which names .* is damaged"):
            act(run)


@pytest.mark.parametrize("content", [b"x", bytes(range(128, 256))])
def test_what_the_lock_file_holds_does_not_matter(run: RunFolder, content: bytes) -> None:
    run.lock_file.write_bytes(content)
    resume(run)


def test_a_lock_file_that_cannot_be_made_is_a_fault_of_the_machine(run: RunFolder) -> None:
    run.lock_file.unlink()
    run.lock_file.mkdir()
    try:
        with pytest.raises(InfrastructureError, match=r"cannot be locked by .*Is a directory"):
            resume(run)
    finally:
        run.lock_file.rmdir()


def begin(folder: Path) -> None:
    run_study(folder, "serial", **ONE_TRIAL)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/tiny/file")
FORBIDDEN = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "runs/tiny/file")


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("RunFolder.load", FORBIDDEN),
        ("RunFolder.write", FULL),
        ("Ledger._delete_checkpoint", FORBIDDEN),
        ("Ledger._delete_checkpoint", OSError("no number and no name")),
        ("launch.evaluate_finished", FULL),
    ],
)
def test_an_error_of_the_file_system_is_one_message_wherever_it_strikes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: OSError
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    owners: dict[str, Any] = {"RunFolder": RunFolder, "Ledger": Ledger, "launch": launch}
    owner, name = place.split(".")
    is_resumed = owner == "RunFolder" and name == "load"
    if is_resumed:
        run_study(tmp_path, "serial", **ONE_TRIAL)
    run = RunFolder(tmp_path / "runs" / "tiny")
    with monkeypatch.context() as patch:
        patch.setattr(owners[owner], name, fail)
        act = partial(resume, run) if is_resumed else partial(begin, tmp_path)
        with pytest.raises(InfrastructureError, match="cannot be used") as caught:
            act()
    assert "searchlab study resume" in str(caught.value)
    if name == "write":
        assert not run.path.exists()
        return
    resume(run)
    assert [trial.state.name for trial in read_trials(run)] == ["COMPLETE"]


def test_a_name_that_the_file_system_refuses_is_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["study", "status", "x" * 400, "--runs-dir", str(tmp_path)])
    assert "File name too long" in capsys.readouterr().err


def test_an_obstacle_in_a_new_run_s_place_is_bad_input(tmp_path: Path) -> None:
    write_study(tmp_path)
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        run_study(tmp_path, "serial", **ONE_TRIAL)


def test_a_command_names_its_run_as_briefly_as_the_current_folder_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEARCHLAB_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert run.command("dashboard") == "searchlab dashboard tiny"
    assert RunFolder(Path("runs/tiny")).command("dashboard") == "searchlab dashboard tiny"
    (tmp_path / "tiny").mkdir()  # which a command would take for the run
    assert run.command("dashboard") == "searchlab dashboard runs/tiny"
    other = RunFolder(tmp_path / "my runs" / "x")
    assert other.command("study", "resume", options=["--join"]) == (
        "searchlab study resume 'my runs/x' --join"
    )
    monkeypatch.setenv("SEARCHLAB_RUNS", "my runs")
    assert other.command("dashboard") == "searchlab dashboard x"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run.command("dashboard") == f"searchlab dashboard {run.path}"

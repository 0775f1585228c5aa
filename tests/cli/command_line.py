"""Runs the command line in this process, as the entry point does."""

from __future__ import annotations

import contextlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from searchlab.cli.main import main


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


def run_searchlab(*arguments: object) -> Outcome:
    """Run ``searchlab`` with these arguments; any exception but SystemExit fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit_info,
    ):
        main([str(argument) for argument in arguments])
    code = exit_info.value.code
    return Outcome(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def assert_refused(outcome: Outcome, *pieces: str) -> None:
    """Bad input: exit code 2, nothing on stdout, one message that holds all pieces."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    for piece in pieces:
        assert piece in outcome.err


def unpack_recorded_runs(folder: Path) -> Path:
    """Unpack the runs that an earlier searchlab recorded; return the folder."""
    with zipfile.ZipFile(Path(__file__).parents[1] / "fixtures" / "recorded_runs.zip") as archive:
        archive.extractall(folder)
    return folder

"""``on_end``: the command that is run at the end of a study, to tell somebody how it ended."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from searchlab.errors import InputError, InterruptedStudyError, SearchlabError, first_line
from searchlab.exit_codes import ExitCode
from searchlab.records.storage.urls import hide_passwords

if TYPE_CHECKING:
    from searchlab.records.run_folder import RunFolder

__all__ = ["VARIABLES", "find_end_command", "run_at_end"]

logger = logging.getLogger(__name__)

VARIABLES = {
    "SEARCHLAB_RUN": "the run folder",
    "SEARCHLAB_STUDY": "the study's name",
    "SEARCHLAB_STATUS": "finished, failed (resume it once the cause is mended) or interrupted",
    "SEARCHLAB_EXIT_CODE": "the exit code of the command that ran the study",
    "SEARCHLAB_ANSWER": "YES, NO, UNDECIDED, or nothing",
    "SEARCHLAB_VERDICT": "the verdict's sentence; of a study that did not finish, what ended it",
    "SEARCHLAB_REPORT": "the report's HTML file, if there is one",
}
"""What the command finds in its environment."""

_MOST_SECONDS = 120.0


@contextmanager
def run_at_end(command: str | None, run: RunFolder, storage: str | None) -> Iterator[None]:
    """Run a shell command once the block, which runs a study and shows it, has ended.

    Not if the study was refused from the start. Nothing that the command does changes how the
    block ends: its output goes to stderr, and if it fails or takes over two minutes, a warning says
    so.
    """
    if command is None:
        yield
        return
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        _run(command, _describe_failure(run, error))
        raise
    _run(command, _describe_finished(run, storage))


def find_end_command(run: RunFolder, overrides: Iterable[str]) -> str | None:
    """Return the ``on_end`` of a run that is to be resumed with these overrides.

    None if its file cannot be read, which the resume itself mends or refuses.
    """
    try:
        return run.load(overrides).spec.on_end
    except SearchlabError:
        return None


def _describe_failure(run: RunFolder, error: Exception) -> dict[str, str]:
    status = "interrupted" if isinstance(error, InterruptedStudyError) else "failed"
    exit_code = error.exit_code if isinstance(error, SearchlabError) else ExitCode.NEGATIVE
    return {
        **_describe(run, status, exit_code),
        "SEARCHLAB_ANSWER": "",
        "SEARCHLAB_VERDICT": hide_passwords(first_line(error)),
    }


def _describe_finished(run: RunFolder, storage: str | None) -> dict[str, str]:
    from searchlab.report.leaderboard import build_leaderboard
    from searchlab.report.reading import read_study
    from searchlab.report.verdict import reach_verdict

    finished = _describe(run, "finished", ExitCode.DONE)
    try:
        reading = read_study(run, storage)
    except SearchlabError as error:  # moved away, or locked, since the study ended
        logger.warning("on_end is not told the verdict: %s", error)
        return {**finished, "SEARCHLAB_ANSWER": "", "SEARCHLAB_VERDICT": ""}
    board = build_leaderboard(reading.records, reading.spec)
    verdict = reach_verdict(board, reading.records, reading.spec)
    return {
        **finished,
        "SEARCHLAB_ANSWER": verdict.answer or "",
        "SEARCHLAB_VERDICT": verdict.text,
    }


def _describe(run: RunFolder, status: str, exit_code: int) -> dict[str, str]:
    report = run.path / "report.html"
    return {
        "SEARCHLAB_RUN": str(run.path.resolve()),
        "SEARCHLAB_STUDY": run.path.name,
        "SEARCHLAB_STATUS": status,
        "SEARCHLAB_EXIT_CODE": str(int(exit_code)),
        "SEARCHLAB_REPORT": str(report.resolve()) if report.is_file() else "",
    }


def _run(command: str, variables: Mapping[str, str]) -> None:
    try:
        process = subprocess.Popen(
            command,
            shell=True,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that what it starts can be ended with it
        )
    except OSError as error:
        logger.warning("on_end cannot be run: %s", error)
        return
    try:
        output, _ = process.communicate(timeout=_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process)
        logger.warning("on_end was ended after %.0f s: %s", _MOST_SECONDS, command)
        return
    except BaseException:  # Ctrl-C too: the command has a session of its own, so it gets no signal
        _end(process)
        raise
    sys.stderr.write(output)
    if process.returncode:
        logger.warning("on_end failed with exit code %d: %s", process.returncode, command)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

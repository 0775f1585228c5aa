"""The exit codes of the command line: what each of them means, for scripts and CI."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode", "list_exit_codes"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    NEGATIVE = 1
    BAD_INPUT = 2
    MACHINE_FAILED = 3
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


_MEANINGS = {
    ExitCode.DONE: "done; a study is finished, whatever its verdict",
    ExitCode.NEGATIVE: "done, and the answer is no (a check found a problem, two studies differ, "
    "every search trial failed, a question was declined), or an unexpected error, with its "
    "traceback",
    ExitCode.BAD_INPUT: "the input is wrong; the message says where, and what to do",
    ExitCode.MACHINE_FAILED: "the machine failed, not the study (a full disk, a lost storage): "
    "resume it once that is mended",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C (SIGINT); a study can be resumed",
    ExitCode.READER_GONE: "whoever read the output had enough of it (SIGPIPE)",
    ExitCode.TERMINATED: "stopped by SIGTERM, as schedulers send it; a study can be resumed",
}


def list_exit_codes() -> list[tuple[int, str]]:
    """Return every exit code with its meaning, in order."""
    return [(int(code), _MEANINGS[code]) for code in ExitCode]

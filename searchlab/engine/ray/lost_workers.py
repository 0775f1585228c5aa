"""Why a worker died, as far as Ray can tell."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["describe_loss", "is_killed_for_memory", "read_loss"]

# The words of Ray's memory monitor and of its control service, in the error of a dead actor.
# Of a bare SIGKILL Ray says that it might have been the kernel, for memory; that is no evidence.
_KILLED_FOR_MEMORY = "killed due to the node running low on memory"
# As a worker raises it whose GPU failed; what it came from stands behind.
_DEVICE_LOST = re.compile(r"DeviceLostError: (?:DeviceLostError: )?(.+)")
_HOST_LOST = ("its node has died", "node it was running on is dead")
# What Ray says as well of a host that is lost, until it has given that host up.
_UNREACHABLE = "is unavailable: "


def read_loss(error_file: str | None) -> str:
    """Return what Ray said of a worker's death, from the file in which Tune keeps it.

    ``error_file`` is the trial's. Its ``get_error`` would look where Tune copies that file to
    later, if at all. Empty where there is none, as on a full disk.
    """
    if error_file is None:
        return ""
    try:
        return Path(error_file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def is_killed_for_memory(loss: str) -> bool:
    """Whether Ray killed a worker because its host ran out of memory."""
    return _KILLED_FOR_MEMORY in loss


def describe_loss(loss: str) -> str:
    """Return in a few words what happened to a worker."""
    if is_killed_for_memory(loss):
        return "its worker was killed, for the host ran out of memory"
    if any(words in loss for words in _HOST_LOST):
        return "its host was lost"
    if found := _DEVICE_LOST.search(loss):
        return f"its GPU failed ({found[1]})"
    if _UNREACHABLE in loss:
        return "its worker could not be reached any more"
    return "its worker died"

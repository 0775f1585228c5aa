"""Why a worker died, as far as Ray can tell."""

from __future__ import annotations

import ray.exceptions

__all__ = ["describe_loss", "is_killed_for_memory"]

# The words of Ray's memory monitor and of its control service, in the error of a dead actor.
# Of a bare SIGKILL Ray says that it might have been the kernel, for memory; that is no evidence.
_KILLED_FOR_MEMORY = "killed due to the node running low on memory"
_HOST_LOST = ("its node has died", "node it was running on is dead")


def is_killed_for_memory(error: BaseException | None) -> bool:
    """Whether Ray killed a worker because its host ran out of memory."""
    return isinstance(error, ray.exceptions.OutOfMemoryError) or _KILLED_FOR_MEMORY in str(error)


def describe_loss(error: BaseException | None) -> str:
    """Return in a few words what happened to a worker."""
    if is_killed_for_memory(error):
        return "its worker was killed, for the host ran out of memory"
    if any(words in str(error) for words in _HOST_LOST):
        return "its host was lost"
    return "its worker died"

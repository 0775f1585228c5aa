"""What made a trial fail: its own error, memory, or the disk; and in which words it is recorded."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Failure", "FailureKind", "describe_failure"]

FailureKind = Literal["error", "oom", "disk"]

_LONGEST = 500

_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}

# torch's allocators, cuBLAS, cuDNN and C++, on which torch raises plain RuntimeErrors
_MEMORY_WORDS = re.compile(
    r"out of memory|out_of_memory|can't allocate memory|cannot allocate memory|not enough memory"
    r"|alloc_failed|allocation_failed|cudaErrorMemoryAllocation|bad_alloc",
    re.IGNORECASE,
)
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as Rust writes an errno, hence safetensors
_DISK_WORDS = re.compile(
    r"no space left|quota exceeded|read-only file system|input/output error|stale file handle",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a trial failed.

    ``oom`` is memory, the device's or the host's; ``disk`` a disk that is full, read-only, broken
    or gone: no fault of the trial. ``message`` is the error's type and its first line.
    """

    kind: FailureKind
    message: str


def describe_failure(error: BaseException) -> Failure:
    """Return what kind of failure an error, or one that it came from, is."""
    first_line = (str(error).strip().splitlines() or [""])[0]
    kinds = (kind for link in _chain(error) if (kind := _kind_of(link)) != "error")
    return Failure(
        kind=next(kinds, "error"), message=f"{type(error).__name__}: {first_line}"[:_LONGEST]
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those behind it, as a traceback shows them."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        if link.__cause__ is not None or link.__suppress_context__:
            link = link.__cause__
        else:
            link = link.__context__


def _kind_of(error: BaseException) -> FailureKind:
    if isinstance(error, MemoryError):
        return "oom"
    if isinstance(error, OSError):
        return _kind_of_errno(error.errno)
    # By name: a process that has not imported them meets none, and need not import them.
    names = {kind.__name__ for kind in type(error).__mro__}
    if "SafetensorError" in names:
        if found := _OS_ERROR.search(str(error)):
            return _kind_of_errno(int(found[1]))
        return "disk" if _DISK_WORDS.search(str(error)) else "error"
    if "OutOfMemoryError" in names:  # torch's
        return "oom"
    if isinstance(error, RuntimeError) and _MEMORY_WORDS.search(str(error)):
        return "oom"
    return "error"


def _kind_of_errno(number: int | None) -> FailureKind:
    if number == errno.ENOMEM:
        return "oom"
    return "disk" if number in _DISK_ERRNOS else "error"

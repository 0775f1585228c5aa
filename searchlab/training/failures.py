"""Why a trial failed (its code, memory, the disk or the GPU), and the words that record it."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "DeviceLostError",
    "Failure",
    "FailureKind",
    "RunFilesError",
    "describe_failure",
    "run_files_named",
]

FailureKind = Literal["error", "oom", "disk", "device"]

_LONGEST = 500

_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}

# torch's allocators, cuBLAS, cuDNN and C++; torch raises plain RuntimeErrors for them
_MEMORY_WORDS = re.compile(
    r"out of memory|out_of_memory|can't allocate memory|cannot allocate memory|not enough memory"
    r"|alloc_failed|allocation_failed|cudaErrorMemoryAllocation|bad_alloc",
    re.IGNORECASE,
)
# CUDA's messages for a broken context: the process cannot use the device again.
_DEVICE_WORDS = re.compile(
    r"illegal memory access|illegal instruction|misaligned address|invalid program counter"
    r"|global/shared address space|hardware stack error|device-side assert|context is destroyed"
    r"|unspecified launch failure|launch timed out|uncorrectable (ECC|NVLink) error"
    r"|busy or unavailable|CUDA error: unknown error",
    re.IGNORECASE,
)
# Messages of cuBLAS and cuDNN when they get no memory, but also for other faults.
_LIBRARY_WORDS = re.compile(
    r"unable to find an engine"
    r"|(CUBLAS|CUDNN)_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR|EXECUTION_FAILED)"
)
# Less is free on a device that is out of memory: their workspaces take hundreds of megabytes.
_LITTLE_BYTES = 1e9
_LITTLE_SHARE = 0.05
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # an errno as Rust, and so safetensors, writes it
_DISK_WORDS = re.compile(
    r"no space left|quota exceeded|read-only file system|input/output error|stale file handle",
    re.IGNORECASE,
)


class DeviceLostError(RuntimeError):
    """A worker's GPU cannot be used, or its process can no longer use it."""


class RunFilesError(OSError):
    """A file of the run folder cannot be read or written, whatever the reason."""


@contextmanager
def run_files_named() -> Iterator[None]:
    """Tell errors of the run's own files, which no trial can help, from those of other files.

    Raises RunFilesError in place of any OSError and SafetensorError, but for a lack of memory.
    """
    try:
        yield
    except Exception as error:
        is_files = isinstance(error, OSError) or _is_safetensors(error)
        if not is_files or _kind_of(error) == "oom":
            raise
        raise RunFilesError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a trial failed.

    ``oom`` is memory of the device or the host. ``disk`` (full, read-only, broken or gone) and
    ``device`` (a GPU that this process can no longer use) are not the trial's fault. ``message`` is
    the error's type and first line.
    """

    kind: FailureKind
    message: str


def describe_failure(error: BaseException) -> Failure:
    """Return the kind of failure of an error or its causes.

    Call it in the process that met the error: if the message is ambiguous, it asks the device.
    """
    first_line = (str(error).strip().splitlines() or [""])[0]
    kinds = (kind for link in _chain(error) if (kind := _kind_of(link)) != "error")
    return Failure(
        kind=next(kinds, "error"), message=f"{type(error).__name__}: {first_line}"[:_LONGEST]
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, as a traceback shows them."""
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
    if isinstance(error, RunFilesError):
        return "disk"
    if isinstance(error, OSError):
        return _kind_of_errno(error.errno)
    names = _names_of(error)
    if _is_safetensors(error):
        if found := _OS_ERROR.search(str(error)):
            return _kind_of_errno(int(found[1]))
        return "disk" if _DISK_WORDS.search(str(error)) else "error"
    if "OutOfMemoryError" in names:  # torch's
        return "oom"
    if isinstance(error, DeviceLostError):
        return "device"
    if isinstance(error, RuntimeError):
        return _kind_of_words(str(error), is_cudas="AcceleratorError" in names)
    return "error"


def _names_of(error: BaseException) -> set[str]:
    """Return the names of its types: a process that has not imported them cannot meet them."""
    return {kind.__name__ for kind in type(error).__mro__}


def _is_safetensors(error: BaseException) -> bool:
    return "SafetensorError" in _names_of(error)


def _kind_of_words(text: str, *, is_cudas: bool) -> FailureKind:
    if _MEMORY_WORDS.search(text):
        return "oom"
    if _DEVICE_WORDS.search(text):
        return "device"
    if _LIBRARY_WORDS.search(text):
        return _ask_device()
    # A launch with wrong arguments is an ordinary error; the device still responds after it.
    return "device" if is_cudas and _ask_device() == "device" else "error"


def _ask_device() -> FailureKind:
    """Return ``device`` if CUDA no longer responds, ``oom`` if little memory is left.

    That is the device's, and this process's share of it (``limit_device_memory``).
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return "error"
    try:
        free, total = torch.cuda.mem_get_info()
        share = torch.cuda.get_per_process_memory_fraction() * total
        left = share - torch.cuda.memory_reserved()
    except RuntimeError:  # a broken context makes every call fail
        return "device"
    return "oom" if _is_little(free, total) or _is_little(left, share) else "error"


def _is_little(free: float, total: float) -> bool:
    return free < max(min(_LITTLE_BYTES, total / 4), _LITTLE_SHARE * total)


def _kind_of_errno(number: int | None) -> FailureKind:
    if number == errno.ENOMEM:
        return "oom"
    return "disk" if number in _DISK_ERRNOS else "error"

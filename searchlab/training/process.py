"""Settings of a process that trains: threads, memory, and kernels that repeat their results."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["prepare_process", "repeatable"]

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8

# Any, for mypy does not see the property that torch puts on this module.
_memory: Any = torch.utils.deterministic

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_CUBLAS_REPEATABLE = ":4096:8"  # a workspace of its own for each stream (cuBLAS, Reproducibility)


def prepare_process(num_threads: int) -> None:
    """Make a worker's process train fast, and to the same bits every time.

    Sets torch's threads, takes CUDA's deterministic kernels, and keeps freed memory in the process
    instead of handing it back. Call once, before the first large allocation and before CUDA starts.
    """
    _make_repeatable(num_threads)
    _keep_freed_memory()


@contextmanager
def repeatable(num_threads: int) -> Iterator[None]:
    """Train to a worker's bits until the block ends: its number of threads, its kernels.

    With another number of threads, sums round differently. Begin before CUDA starts.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    fill = _memory.fill_uninitialized_memory
    workspace = os.environ.get(_CUBLAS)
    _make_repeatable(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        _memory.fill_uninitialized_memory = fill
        if workspace is None:
            os.environ.pop(_CUBLAS, None)


def _make_repeatable(num_threads: int) -> None:
    torch.set_num_threads(num_threads)
    # Convolutions pick among kernels, some of which add in any order; benchmark picks by the clock.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ.setdefault(_CUBLAS, _CUBLAS_REPEATABLE)  # read when CUDA starts
    # On the CPU a number of threads settles the bits already, and the switch costs some speed.
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Every empty tensor would be filled with NaN first, for the sake of code that reads them.
        _memory.fill_uninitialized_memory = False


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed.

    By default it returns every large tensor's pages to the kernel, and the next step faults them
    in again: 10,000 to 25,000 page faults a step, which cost a third of the images a second on the
    CPU. Only glibc is touched.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):  # musl
        return
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, 256 * 2**20)
    libc.mallopt(_M_ARENA_MAX, 1)

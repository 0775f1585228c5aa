"""Settings of a process that trains: threads, memory, and deterministic kernels."""

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

# Any, because mypy does not see the property that torch adds to this module.
_memory: Any = torch.utils.deterministic

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_CUBLAS_REPEATABLE = ":4096:8"  # a separate workspace for each stream (cuBLAS, Reproducibility)


def prepare_process(num_threads: int) -> None:
    """Make a worker's process train fast, and give the same bits every time.

    It sets torch's threads, selects CUDA's deterministic kernels, and keeps freed memory in the
    process. Call it once, before the first large allocation and before CUDA starts.
    """
    _make_repeatable(num_threads)
    _keep_freed_memory()


@contextmanager
def repeatable(num_threads: int) -> Iterator[None]:
    """Use a worker's number of threads and its kernels until the block ends, for equal bits.

    With another number of threads, sums round differently. Enter it before CUDA starts.
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
    # Convolutions choose among kernels, some of which add in any order; benchmark chooses by speed.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ.setdefault(_CUBLAS, _CUBLAS_REPEATABLE)  # read when CUDA starts
    # On the CPU the number of threads already decides the bits, and this switch costs speed.
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Otherwise every empty tensor is first filled with NaN, in case code reads it.
        _memory.fill_uninitialized_memory = False


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory.

    By default it returns every large tensor's pages to the kernel, and the next step faults them in
    again: 10,000 to 25,000 page faults a step, which cost a third of the images per second on the
    CPU. This affects only glibc.
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

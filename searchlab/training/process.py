"""Settings of a process that trains: threads, memory, and kernels."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = [
    "CONTEXT_BYTES",
    "limit_device_memory",
    "most_image_bytes",
    "prepare_process",
    "repeatable",
]

CONTEXT_BYTES = 500e6
"""The memory of a GPU that CUDA takes for each process: an estimate, as GPUs and drivers differ."""

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8

# Any, because mypy does not see the property that torch adds to this module.
_memory: Any = torch.utils.deterministic

_CPU = torch.device("cpu")

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_CUBLAS_REPEATABLE = ":4096:8"  # a separate workspace for each stream (cuBLAS, Reproducibility)


def prepare_process(num_threads: int, device: torch.device = _CPU) -> None:
    """Make a process that trains on ``device`` fast, and give the same bits every time.

    It sets torch's threads, selects CUDA's deterministic kernels and TF32, and keeps freed memory
    in the process. Call it once, before the first large allocation and before CUDA starts.
    """
    _make_repeatable(num_threads, device)
    _keep_freed_memory()


@contextmanager
def repeatable(num_threads: int, device: torch.device) -> Iterator[None]:
    """Use a worker's number of threads and its kernels until the block ends, for equal bits.

    With another number of threads, sums round differently. Enter it before CUDA starts.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    fill = _memory.fill_uninitialized_memory
    workspace = os.environ.get(_CUBLAS)
    _make_repeatable(num_threads, device)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            # Any call imports torch.compile, which takes as long as importing torch.
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32
        _memory.fill_uninitialized_memory = fill
        if workspace is None:
            os.environ.pop(_CUBLAS, None)


def limit_device_memory(device: torch.device, share: float) -> None:
    """Keep this process to its ``share`` of a GPU, above 0, so that none can take another's.

    Otherwise a trial may run out of memory because of its neighbours, and is then trained in parts:
    its result would depend on who else was there. The share includes CUDA's own memory. There is
    nothing to share on the CPU.
    """
    if device.type == "cuda" and share < 1:
        total = torch.cuda.get_device_properties(device).total_memory
        # At least half, for a GPU so small that the estimate takes most of the share.
        fraction = max(share - CONTEXT_BYTES / total, share / 2)
        # The index, because torch refuses a device without one here; None is the current device.
        torch.cuda.set_per_process_memory_fraction(fraction, device.index)


def most_image_bytes(device: torch.device, share: float) -> float:
    """Return how much of its share of a GPU a process may fill with images: half."""
    if device.type != "cuda":
        return math.inf
    return share * torch.cuda.get_device_properties(device).total_memory / 2


def _make_repeatable(num_threads: int, device: torch.device) -> None:
    torch.set_num_threads(num_threads)
    # Convolutions choose among kernels, some of which add in any order; benchmark chooses by speed.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ.setdefault(_CUBLAS, _CUBLAS_REPEATABLE)  # read when CUDA starts
    # On the CPU the number of threads already decides the bits, and this switch costs speed.
    if device.type == "cuda":
        # float32 with 10 of its 23 bits, summed in all 23. By default torch has convolutions use it
        # and matrix products not, so that what a layer computes would depend on its kind.
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cuda.matmul.allow_tf32 = True
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

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors import SafetensorError

from searchlab.training.failures import (
    DeviceLostError,
    FailureKind,
    RunFilesError,
    describe_failure,
    run_files_named,
)

CASES: list[tuple[BaseException, FailureKind]] = [
    (ValueError("out of memory"), "error"),
    (RuntimeError("shapes do not match"), "error"),
    (MemoryError(), "oom"),
    (torch.OutOfMemoryError("whatever it says"), "oom"),
    (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "oom"),
    (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported"), "oom"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "oom"),
    (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "oom"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
    (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), "oom"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom"),
    *((OSError(number, os.strerror(number)), "disk") for number in (
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)),
    (FileNotFoundError(errno.ENOENT, "No such file"), "error"),
    (SafetensorError("I/O error: No space left on device (os error 28)"), "disk"),
    (SafetensorError("Error while serializing: I/O error: No space left on device"), "disk"),
    (SafetensorError("I/O error: No such file or directory (os error 2)"), "error"),
    (SafetensorError("Error while deserializing header"), "error"),
    (torch.AcceleratorError("CUDA error: out of memory"), "oom"),
    *((torch.AcceleratorError(f"CUDA error: {words}\nSearch for it in the CUDA docs"), "device")
      for words in ("an illegal memory access was encountered", "unspecified launch failure",
                    "device-side assert triggered", "uncorrectable ECC error encountered",
                    "CUDA-capable device(s) is/are busy or unavailable", "unknown error")),
    (DeviceLostError("torch finds no GPU"), "device"),
    (ValueError("an illegal memory access was encountered"), "error"),
    # Where CUDA is not in use there is nobody to ask.
    (torch.AcceleratorError("CUDA error: invalid configuration argument"), "error"),
    (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), "error"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind"), CASES, ids=lambda case: str(case)[:40])
def test_a_failure_is_of_its_kind(error: BaseException, kind: FailureKind) -> None:
    assert describe_failure(error).kind == kind


@pytest.mark.parametrize(
    ("cause", "kind"), [(OSError(errno.ENOSPC, "full"), "disk"), (MemoryError(), "oom")]
)
def test_the_errors_behind_an_error_count(cause: BaseException, kind: FailureKind) -> None:
    with pytest.raises(ValueError, match="told") as caused:
        raise ValueError("told") from cause
    assert describe_failure(caused.value).kind == kind
    assert describe_failure(caused.value).message == "ValueError: told"
    met = KeyError()
    met.__context__ = cause
    assert describe_failure(met).kind == kind
    met.__suppress_context__ = True  # as "from None" has it
    assert describe_failure(met).kind == "error"


GIGABYTE = 10**9
AMBIGUOUS = [
    "GET was unable to find an engine to execute this computation",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`",
]


def use_cuda(
    monkeypatch: pytest.MonkeyPatch,
    free: int | None,
    total: int = 80 * GIGABYTE,
    *,
    share: float = 1.0,
    reserved: int = 0,
) -> None:
    """Stand in for a device with so many bytes free; None for one whose context is broken.

    This process may use a share of it, of which it has reserved so many bytes.
    """

    def mem_get_info() -> tuple[int, int]:
        if free is None:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return free, total

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: share)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: reserved)


@pytest.mark.parametrize("words", AMBIGUOUS)
@pytest.mark.parametrize(
    ("free", "total", "kind"),
    [
        (40 * GIGABYTE, 80 * GIGABYTE, "error"),
        (3 * GIGABYTE, 80 * GIGABYTE, "oom"),
        (GIGABYTE // 2, 4 * GIGABYTE, "oom"),
        (2 * GIGABYTE, 4 * GIGABYTE, "error"),
        (None, 0, "device"),
    ],
)
def test_where_the_words_may_mean_memory_the_device_is_asked(
    monkeypatch: pytest.MonkeyPatch, words: str, free: int | None, total: int, kind: str
) -> None:
    use_cuda(monkeypatch, free, total)
    assert describe_failure(RuntimeError(words)).kind == kind


@pytest.mark.parametrize(
    ("share", "reserved", "kind"),
    [
        (0.25, 19.5, "oom"),
        (0.25, 9, "error"),
        (0.04, 0, "error"),
        (0.04, 2.5, "oom"),
    ],
)
def test_a_process_has_no_more_than_its_share(
    monkeypatch: pytest.MonkeyPatch, share: float, reserved: float, kind: str
) -> None:
    taken = int(reserved * GIGABYTE)
    use_cuda(monkeypatch, free=40 * GIGABYTE, share=share, reserved=taken)
    assert describe_failure(RuntimeError(AMBIGUOUS[0])).kind == kind


def test_a_wrong_launch_is_the_trials_own_error_unless_the_device_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch = torch.AcceleratorError("CUDA error: invalid configuration argument")
    use_cuda(monkeypatch, free=0)
    assert describe_failure(launch).kind == "error"
    use_cuda(monkeypatch, free=None)
    assert describe_failure(launch).kind == "device"
    assert describe_failure(RuntimeError("shapes do not match")).kind == "error"


def test_errors_in_a_circle_are_described() -> None:
    first, second = ValueError("one"), ValueError("two")
    first.__cause__, second.__cause__ = second, first
    assert describe_failure(first).kind == "error"


def test_the_message_is_the_type_and_the_first_line_and_bounded() -> None:
    assert describe_failure(ValueError("\n first\nsecond")).message == "ValueError: first"
    assert describe_failure(MemoryError()).message == "MemoryError: "
    assert len(describe_failure(ValueError("x" * 1000)).message) == 500


def test_describing_needs_no_torch() -> None:
    code = "import sys, searchlab.training.failures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "trial-00000.json"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        NotADirectoryError(errno.ENOTDIR, "Not a directory"),
        OSError(errno.EMFILE, "Too many open files"),
        SafetensorError("I/O error: No such file or directory (os error 2)"),
    ],
)
def test_any_error_of_a_run_s_own_files_is_the_machine_s(error: Exception) -> None:
    with pytest.raises(RunFilesError, match=re.escape(str(error))) as caught, run_files_named():
        raise error
    assert describe_failure(caught.value).kind == "disk"


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "no memory"), ValueError("wrong")])
def test_other_errors_met_beside_a_run_s_files_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, run_files_named():
        raise error
    assert caught.value is error

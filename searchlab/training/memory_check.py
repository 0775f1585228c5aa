"""Measuring a configuration before a study: its memory and training speed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from searchlab.config.trial import TrialConfig
from searchlab.training.graphed_steps import RecordingError, can_graph
from searchlab.training.images import TrainingData
from searchlab.training.inference import evaluation_batch
from searchlab.training.member import DivergedError, Member
from searchlab.training.memory import free_memory, release_frames
from searchlab.training.metrics import count_parameters

__all__ = ["ProbeResult", "probe_training"]

_FEW_IMAGES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The memory and speed of ``num_members`` members of a trial.

    ``peak_bytes`` is their peak in training and evaluation. On CUDA it is the most that torch
    reserved, including each worker's copy of the images but not the CUDA context; on the CPU it
    is the growth of the process, to which the shared images add nothing. ``images_per_second`` is
    the training speed of one. ``bytes_per_member`` is the size of its weights, gradients and
    optimizer state, which stay while other members train. ``device_bytes`` is the GPU's memory.
    ``batch_split`` is the number of parts in which batches were trained.
    """

    peak_bytes: int
    images_per_second: float
    num_parameters: int
    bytes_per_member: int
    num_members: int = 1
    device_bytes: int | None = None
    batch_split: int = 1

    def cohort_bytes(self, num_members: int) -> int:
        """Return the peak of a cohort, whose members train in turn but stay in memory."""
        return self.peak_bytes + (num_members - self.num_members) * self.bytes_per_member


def probe_training(
    config: TrialConfig, data: TrainingData, *, num_batches: int = 2, batch_split: int = 1
) -> ProbeResult:
    """Measure one member training a few batches, after one to warm up, and evaluating one.

    On CUDA all members of the trial do, because there they may train at the same time.
    ``batch_split`` is as for ``Member``. Nothing is changed or written. Raises
    torch.OutOfMemoryError, MemoryError or RuntimeError if memory runs out (``describe_failure``
    recognises them).

    On Linux it first resets the peak of resident memory, if /proc/self/clear_refs is writable;
    elsewhere it sees only growth beyond the process's highest peak so far, so call it there in a
    separate process.
    """
    assert num_batches > 0, num_batches
    if batch_split == 1 and can_graph(config, data):
        try:
            return _probe(config, data, num_batches, batch_split, graphed=True)
        except RecordingError as error:  # a worker goes on without graphs, too
            release_frames(error)
        free_memory()  # not in the clause above, which keeps the error and its models alive
    return _probe(config, data, num_batches, batch_split, graphed=False)


def _probe(
    config: TrialConfig, data: TrainingData, num_batches: int, batch_split: int, *, graphed: bool
) -> ProbeResult:
    folds: list[int | None] = [*config.folds.folds, *([None] if config.folds.test else [])]
    if not _trains_together(data.device):
        folds = folds[:1]
    _load_kernels(config, data, config.folds.folds[0])
    peak = _PeakMemory(data.device)
    members = [
        Member(config, data, fold, batch_split=batch_split, graphed=graphed) for fold in folds
    ]
    member = members[0]
    best = member.snapshot() if config.folds.test else None  # which a cohort keeps for one member
    for one in members:
        with _whatever_the_loss():
            one.train_epoch(1, most_batches=2 if graphed else 1)  # the second is recorded
    seconds = _time_batches(member, num_batches)
    member.validate(most_images=evaluation_batch(data.image_shape, data.device))
    result = ProbeResult(
        peak_bytes=peak.measure(),
        images_per_second=_count_images(member, config, num_batches) / seconds,
        num_parameters=count_parameters(member.model),
        bytes_per_member=_count_kept_bytes(member),
        num_members=len(members),
        device_bytes=_device_bytes(data.device),
        batch_split=batch_split,
    )
    del best
    return result


def _load_kernels(config: TrialConfig, data: TrainingData, fold: int) -> None:
    """Run everything once on a few images, so that loaded code does not count as trial memory."""
    few = replace(config, settings=config.settings.model_copy(update={"batch_size": _FEW_IMAGES}))
    member = Member(few, data, fold)
    with _whatever_the_loss():
        member.train_epoch(1, most_batches=1)
    member.validate(most_images=_FEW_IMAGES)


def _trains_together(device: torch.device) -> bool:
    """Return whether the members of a trial may train at the same time."""
    return device.type == "cuda"


@contextmanager
def _whatever_the_loss() -> Iterator[None]:
    with contextlib.suppress(DivergedError):  # it takes as much time and memory
        yield


def _time_batches(member: Member, num_batches: int) -> float:
    start = time.perf_counter()
    with _whatever_the_loss():
        # It reads the loss, so it waits for the device.
        member.train_epoch(1, most_batches=num_batches)
    return time.perf_counter() - start


def _count_images(member: Member, config: TrialConfig, num_batches: int) -> int:
    size = config.settings.batch_size * config.settings.accumulate
    return min(num_batches * size, member.num_training_images)


def _device_bytes(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def _count_kept_bytes(member: Member) -> int:
    tensors: list[Tensor] = list(member.model.state_dict().values())
    tensors += [p.grad for p in member.model.parameters() if p.grad is not None]
    for state in member.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, Tensor)]
    if member.average is not None:
        tensors += member.average.tensors().values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class _PeakMemory:
    """The peak memory since the object was made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            return
        _trim_heap()
        self._is_reset = _reset_peak()
        self._start = _read_status("VmRSS") if self._is_reset else _highest_ever()

    def measure(self) -> int:
        """Return bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._device)
        peak = _read_status("VmHWM") if self._is_reset else _highest_ever()
        return max(0, peak - self._start)


def _trim_heap() -> None:
    """Return freed memory to the kernel (glibc); if reused, it would not count as growth."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


def _reset_peak() -> bool:
    """Reset VmHWM to VmRSS; return whether it was allowed (proc(5))."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _read_status("VmHWM") > 0
    except OSError:
        return False


def _read_status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _highest_ever() -> int:
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest

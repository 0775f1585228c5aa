"""What each worker gets and how many there are: as asked for, or as the cluster allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchlab.config.resources import ResourceSpec
from searchlab.config.trial import TrialConfig
from searchlab.engine.ray.cluster import ClusterFacts, NodeFacts
from searchlab.training.memory_check import ProbeResult

__all__ = ["Placement", "least_request", "place_workers"]

# A process with torch in it, before any model.
_WORKER_BYTES = 500e6
# The rest is the system's, and Ray's.
_USABLE_SHARE = 0.8
# What CUDA takes of a GPU for each process: an estimate, for it varies with GPU and driver.
_CONTEXT_BYTES = 500e6
# More trials on one GPU wait for each other more than they fill its gaps.
_MAX_PER_GPU = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """``request`` is what one worker asks of Ray; ``workers`` run at once."""

    request: dict[str, float]
    workers: int
    is_short_of_memory: bool = False

    def describe(self, forecast_seconds: float | None) -> str:
        """Return a line for the user."""
        text = f"{_count(self.workers, 'worker')} of {_amount(self.request['cpu'], 'CPU')}"
        if self.request["gpu"]:
            text += f" and {_amount(self.request['gpu'], 'GPU')}"
        if forecast_seconds is not None:
            text += f"; if every model took as long as the largest: {_span(forecast_seconds)}"
        if self.is_short_of_memory:
            text += "; the largest may not fit into memory, and would be trained in parts"
        return text


def least_request(resources: ResourceSpec, cluster: ClusterFacts) -> dict[str, float]:
    """Return what a worker asks for at the least, by which a node can host one or not."""
    gpus = resources.gpus
    if gpus == "auto":
        gpus = 1 / _MAX_PER_GPU if any(node.gpus for node in cluster.nodes) else 0
    return {"cpu": float(resources.cpus), "gpu": float(gpus)}


def place_workers(
    resources: ResourceSpec,
    cluster: ClusterFacts,
    config: TrialConfig | None,
    probe: ProbeResult | None,
    *,
    is_short_of_memory: bool = False,
) -> Placement:
    """Settle what ``auto`` leaves open, for the largest model's needs.

    As many trials share a GPU as fit into its memory, four at the most; there are as many workers
    as the nodes have room for, in CPUs, GPUs and memory. Without a probe each worker has a GPU to
    itself, and memory is left out; ``is_short_of_memory`` says what is known of it otherwise.
    """
    per_gpu = need = None
    if config is not None and probe is not None:
        need = probe.cohort_bytes(config.folds.num_members)
        per_gpu = _count_on_device(probe, need)
    request = {"cpu": float(resources.cpus), "gpu": _settle_gpus(resources, cluster, per_gpu)}
    nodes = [node for node in cluster.nodes if node.alive]
    by_resources = sum(_count_fitting(node, request) for node in nodes)
    by_memory = by_resources
    if not request["gpu"] and need is not None:
        by_memory = sum(
            min(_count_fitting(node, request), _count_in_memory(node, need)) for node in nodes
        )
    workers = int(resources.workers) if resources.workers != "auto" else max(1, by_memory)
    return Placement(
        request=request,
        workers=workers,
        is_short_of_memory=is_short_of_memory
        or (probe is not None and probe.batch_split > 1)
        or (request["gpu"] > 0 and per_gpu == 0)
        or by_memory == 0 < by_resources,
    )


def _count_on_device(probe: ProbeResult, need: int) -> int | None:
    """Return how many workers fit into the memory of one GPU; None where none was probed."""
    if probe.device_bytes is None:
        return None
    fitting = int(probe.device_bytes * _USABLE_SHARE // (need + _CONTEXT_BYTES))
    # What did not fit whole was measured in parts; the others are whole, so nearly as large.
    return fitting if probe.batch_split == 1 else min(1, fitting)


def _settle_gpus(resources: ResourceSpec, cluster: ClusterFacts, per_gpu: int | None) -> float:
    if resources.gpus != "auto":
        return float(resources.gpus)
    with_gpus = [node for node in cluster.nodes if node.gpus]
    if not with_gpus:
        return 0.0
    cpus_per_gpu = min(node.cpus / node.gpus for node in with_gpus)
    by_cpus = _count_in(cpus_per_gpu, resources.cpus)
    return 1 / max(1, min(_MAX_PER_GPU, per_gpu or 0, by_cpus))


def _count_fitting(node: NodeFacts, request: dict[str, float]) -> int:
    by_cpus = _count_in(node.cpus, request["cpu"])
    gpu = request["gpu"]
    if not gpu:
        return by_cpus
    # Fractions of a GPU do not span two of them.
    by_gpus = int(node.gpus) * _count_in(1, gpu) if gpu <= 1 else _count_in(node.gpus, gpu)
    return min(by_cpus, by_gpus)


def _count_in(whole: float, part: float) -> int:
    """Return how often a part goes into the whole: ten times 0.1 into 1, though 1 // 0.1 is 9."""
    return math.floor(whole / part + 1e-9)


def _count_in_memory(node: NodeFacts, need: int) -> int:
    return int(node.memory_bytes * _USABLE_SHARE // (_WORKER_BYTES + need))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _amount(number: float, noun: str) -> str:
    return f"{number:.3g} {noun}" if number <= 1 else f"{number:.3g} {noun}s"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

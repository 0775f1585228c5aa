"""How many workers there are and what each gets: as requested, or as the cluster allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchlab.config.resources import ResourceSpec
from searchlab.config.trial import TrialConfig
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts
from searchlab.training.memory_check import ProbeResult
from searchlab.training.process import CONTEXT_BYTES

__all__ = ["Placement", "least_request", "place_workers"]

# A process with torch in it, before any model.
_WORKER_BYTES = 500e6
# The system and Ray need the rest.
_USABLE_SHARE = 0.8
# With more trials on one GPU they wait for each other more than they fill its gaps.
_MAX_PER_GPU = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """``request`` is what one worker requests from Ray; ``workers`` run at once."""

    request: dict[str, float]
    workers: int
    is_short_of_memory: bool = False

    def describe(self) -> str:
        """Return a line for the user."""
        text = f"{_count(self.workers, 'worker')} of {_amount(self.request['cpu'], 'CPU')}"
        if self.request["gpu"]:
            text += f" and {_amount(self.request['gpu'], 'GPU')}"
        if self.is_short_of_memory:
            text += "; the largest model may not fit into memory and would be trained in parts"
        return text


def least_request(resources: ResourceSpec, cluster: ClusterFacts) -> dict[str, float]:
    """Return the least that a worker requests, which decides whether a node can host one."""
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
    """Resolve what ``auto`` leaves open, by the needs of the largest model.

    Trials share a GPU if they fit into its memory, four at most; there are as many workers as the
    nodes have room for in CPUs, GPUs and memory. Without a probe each worker has a GPU to itself
    and memory is ignored; ``is_short_of_memory`` then says what else is known about it.
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
    """Return how many workers fit into the memory of one GPU; None if no GPU was probed."""
    if probe.device_bytes is None:
        return None
    fitting = int(probe.device_bytes * _USABLE_SHARE // (need + CONTEXT_BYTES))
    # A batch that didn't fit was measured in parts; other trials train theirs whole.
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
    by_gpus = int(node.gpus) * _count_in(1, gpu)
    return min(by_cpus, by_gpus)


def _count_in(whole: float, part: float) -> int:
    """Return how often a part fits into the whole: 0.1 fits ten times into 1; 1 // 0.1 is 9."""
    return math.floor(whole / part + 1e-9)


def _count_in_memory(node: NodeFacts, need: int) -> int:
    return int(node.memory_bytes * _USABLE_SHARE // (_WORKER_BYTES + need))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _amount(number: float, noun: str) -> str:
    return f"{number:.3g} {noun}" if number <= 1 else f"{number:.3g} {noun}s"

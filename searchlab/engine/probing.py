"""Trying the study's biggest model for two batches, where its workers will run."""

from __future__ import annotations

from typing import Any

import torch

from searchlab.config.trial import TrialConfig
from searchlab.engine.cluster import ClusterFacts
from searchlab.study.preparation import PreparedStudy
from searchlab.training.images import TrainingData
from searchlab.training.probe import ProbeResult, probe_training
from searchlab.training.process import repeatable

__all__ = ["describe_probe", "probe_config"]

_MEGABYTE = 1e6


def probe_config(
    config: TrialConfig, cluster: ClusterFacts, prepared: PreparedStudy
) -> ProbeResult:
    """Train two batches of ``config`` on a node of the cluster; return what they took.

    On this machine's CPUs it is done in this process, which has torch loaded already.
    """
    num_threads = max(1, int(prepared.spec.resources.cpus))
    has_gpus = any(node.gpus for node in cluster.nodes)
    if _is_this_machine(cluster) and not has_gpus:
        return _probe_here(config, prepared.images, prepared.folds, num_threads)
    return _probe_there(config, prepared, num_threads, has_gpus)


def _is_this_machine(cluster: ClusterFacts) -> bool:
    import ray

    alive = [node.node_id for node in cluster.nodes if node.alive]
    return alive == [ray.get_runtime_context().get_node_id()]


def _probe_here(config: TrialConfig, images: Any, folds: Any, num_threads: int) -> ProbeResult:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with repeatable(num_threads):
        return probe_training(config, TrainingData.from_images(images, folds, device))


def _probe_there(
    config: TrialConfig, prepared: PreparedStudy, num_threads: int, has_gpus: bool
) -> ProbeResult:
    import ray

    from searchlab.config.plugins import load_sources, loaded_sources

    sources = loaded_sources(prepared.spec.plugins)
    resources = prepared.spec.resources
    num_gpus = 0 if resources.gpus == 0 or not has_gpus else 1

    def probe(text: str, images: Any, folds: Any) -> ProbeResult:
        load_sources(sources)
        return _probe_here(TrialConfig.from_json(text), images, folds, num_threads)

    # A probe whose node dies is tried elsewhere, three times at the most.
    task = ray.remote(num_cpus=resources.cpus, num_gpus=num_gpus, max_retries=3)(probe)
    images = ray.put(prepared.images)
    result: ProbeResult = ray.get(task.remote(config.to_json(), images, prepared.folds))
    return result


def describe_probe(config: TrialConfig, probe: ProbeResult) -> str:
    """Return a line about the biggest model, for the user."""
    need = probe.cohort_bytes(config.folds.num_members) / _MEGABYTE
    return (
        f"biggest model: {config.model.family}, {probe.num_parameters:,} parameters, batch "
        f"{config.batch_size}, {config.folds.num_members} at once: {need:,.0f} MB, "
        f"{probe.images_per_second:,.0f} images/s"
    )

"""Probing the study's largest model: two batches, trained where the workers will run."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from searchlab.config.trial import TrialConfig
from searchlab.data.shared_images import open_shared, share_images
from searchlab.engine.devices import choose_device
from searchlab.engine.ray.node_facts import ClusterFacts
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.failures import DeviceLostError, Failure, describe_failure
from searchlab.training.images import TrainingData
from searchlab.training.memory import BATCH_SPLIT, free_memory, release_frames
from searchlab.training.memory_check import ProbeResult, probe_training
from searchlab.training.process import repeatable

if TYPE_CHECKING:
    from ray.exceptions import RayError

__all__ = ["describe_probe", "try_config"]

logger = logging.getLogger(__name__)

_MEGABYTE = 1e6
_WHOLE_THEN_IN_PARTS = (1, BATCH_SPLIT)


def try_config(
    config: TrialConfig, cluster: ClusterFacts, prepared: PreparedStudy
) -> ProbeResult | Failure:
    """Train two batches of ``config`` on a node of the cluster; return what they took.

    If memory runs out, they are trained once more in parts, as a worker does. Returns a Failure if
    that fails too, or if the model fails for another reason. On this machine's CPUs the probe runs
    in this process, which has already loaded torch.
    """
    resources = prepared.spec.resources
    num_threads = max(1, int(resources.cpus))
    num_gpus = int(resources.gpus != 0 and any(node.gpus for node in cluster.nodes))
    is_here = _is_this_machine(cluster)
    if is_here and not num_gpus:
        images, folds = prepared.images, prepared.folds
        return _try_here(config, images, folds, num_threads, num_gpus, _WHOLE_THEN_IN_PARTS)
    shared = share_images(prepared.images) if is_here else prepared.images.without_files()
    return _try_there(config, prepared, shared, num_threads, num_gpus)


def _is_this_machine(cluster: ClusterFacts) -> bool:
    import ray

    alive = [node.node_id for node in cluster.nodes if node.alive]
    return alive == [ray.get_runtime_context().get_node_id()]


def _try_here(
    config: TrialConfig,
    images: Any,
    folds: Any,
    num_threads: int,
    num_gpus: int,
    splits: Iterable[int],
) -> ProbeResult | Failure:
    """Try one split after another until one fits into memory."""
    failure: Failure | None = None
    try:
        device = choose_device(num_gpus)
    except DeviceLostError as error:
        return describe_failure(error)
    with repeatable(num_threads, device):
        for batch_split in splits:
            try:
                data = TrainingData.from_images(images, folds, device)
                return probe_training(config, data, batch_split=batch_split)
            except Exception as error:  # a plugin's model may raise anything
                logger.debug("the probe failed", exc_info=True)
                failure = describe_failure(error)
                release_frames(error)
            if failure.kind != "oom":
                break
            free_memory()  # not in the handler, where the error keeps all it refers to alive
    assert failure is not None
    return failure


def _try_there(
    config: TrialConfig, prepared: PreparedStudy, shared: Any, num_threads: int, num_gpus: int
) -> ProbeResult | Failure:
    import ray
    from ray.exceptions import RayError

    from searchlab.config.plugins import load_sources, loaded_sources

    sources = loaded_sources(prepared.spec.plugins)

    def probe(text: str, images: Any, folds: Any, splits: tuple[int, ...]) -> ProbeResult | Failure:
        load_sources(sources)
        config = TrialConfig.from_json(text)
        opened = open_shared(images)
        return _try_here(config, opened, folds, num_threads, num_gpus, splits)

    # If its node dies, Ray runs the probe elsewhere, three times at most.
    task = ray.remote(num_cpus=prepared.spec.resources.cpus, num_gpus=num_gpus, max_retries=3)(
        probe
    )
    images = ray.put(shared)
    failure: Failure | None = None
    for splits in (_WHOLE_THEN_IN_PARTS, (BATCH_SPLIT,)):
        try:
            pending = task.remote(config.to_json(), images, prepared.folds, splits)
            outcome: ProbeResult | Failure = ray.get(pending)
            return outcome
        except RayError as error:
            failure = _failure_of(error)
        if failure.kind != "oom":
            break
    assert failure is not None
    return failure


def _failure_of(error: RayError) -> Failure:
    """Return why a task has no answer. A killed process is assumed to have run out of memory."""
    from ray.exceptions import OutOfMemoryError, WorkerCrashedError

    cause = getattr(error, "cause", None)
    failure = describe_failure(cause if isinstance(cause, Exception) else error)
    is_killed = isinstance(error, (OutOfMemoryError, WorkerCrashedError))
    return Failure(kind="oom" if is_killed else failure.kind, message=failure.message)


def describe_probe(config: TrialConfig, probe: ProbeResult) -> str:
    """Return a line about the model that computes most, for the user."""
    need = probe.cohort_bytes(config.folds.num_members) / _MEGABYTE
    parts = f" in {probe.batch_split} parts" if probe.batch_split > 1 else ""
    return (
        f"the model that computes most: {config.model.family}, {probe.num_parameters:,} "
        f"parameters, batch {config.settings.batch_size}{parts}, "
        f"{config.folds.num_members} at once: {need:,.0f} MB, "
        f"{probe.images_per_second:,.0f} images/s"
    )

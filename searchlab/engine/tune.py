"""The Tune engine: Ray Tune places the trials, retries lost workers, and reuses its actors."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from searchlab.config.plugins import loaded_sources
from searchlab.config.study import ResourceSpec
from searchlab.engine.stopping import StopRequest, stop_on_signals
from searchlab.study.ledger import Ledger
from searchlab.study.preparation import PreparedStudy
from searchlab.training.run import STOP_MARKER, TrialFolders

__all__ = ["run_on_ray"]

logger = logging.getLogger(__name__)

# A worker gets this long to end its epoch and save when the study is stopped.
_GRACE_SECONDS = 5.0
# A trial whose worker died is tried this often again.
_RETRIES = 2

# Read by Ray and Tune when they are imported or when an experiment starts.
_RAY_SETTINGS = {
    # Tune's loggers write three files a trial that nobody reads: more than half of its time.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours is stop_on_signals
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # the storage is the record, Tune's snapshots are not read
    "TUNE_WARN_THRESHOLD_S": "1e9",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed",
}


def _load_worker() -> type:
    from searchlab.engine.worker import TrialActor

    return TrialActor


def run_on_ray(
    ledger: Ledger,
    prepared: PreparedStudy,
    folders: TrialFolders,
    stop: StopRequest,
    *,
    load_worker: Callable[[], type] = _load_worker,
) -> None:
    """Run the ledger's trials on Ray until it is finished or a stop is asked for.

    Uses the Ray that this process is connected to, or else starts one here and ends it.
    ``load_worker`` returns TrialActor or a subclass; called once Ray's settings are made.
    """
    os.environ.update(_RAY_SETTINGS)
    # Signals twice: Ray takes SIGTERM for itself when it starts, and keeps it when it has ended.
    with (
        stop_on_signals(stop),
        _connected_ray(prepared.spec.resources),
        stop_on_signals(stop),
    ):
        _run_experiment(ledger, prepared, folders, stop, load_worker())


@contextmanager
def _connected_ray(resources: ResourceSpec) -> Iterator[None]:
    import ray

    if ray.is_initialized():
        yield
        return
    workers = 1 if resources.workers == "auto" else int(resources.workers)
    ray.init(
        # More workers than cores is the user's choice; Ray would otherwise never start them.
        num_cpus=max(_count_cpus(), math.ceil(workers * resources.cpus)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )
    for name in ("ray", "ray.tune", "ray.train", "ray._private"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def _count_cpus() -> int:
    """Return the cores this process may use, which a container or taskset may have cut."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_experiment(
    ledger: Ledger,
    prepared: PreparedStudy,
    folders: TrialFolders,
    stop: StopRequest,
    worker: Any,
) -> None:
    import ray
    from ray import tune

    from searchlab.engine.adapters import GraceStopper, LedgerScheduler, LedgerSearcher

    request = _worker_resources(prepared.spec.resources, ray.cluster_resources())
    shared = {
        "images": ray.put((prepared.images, prepared.folds)),
        # Plain data: unpickling a TrialFolders would import torch before the actor is up.
        "folders": asdict(folders),
        "plugins": loaded_sources(prepared.spec.plugins),
        "num_threads": max(1, int(request["cpu"])),
    }
    trainable = tune.with_resources(tune.with_parameters(worker, shared=shared), request)
    workers = _count_workers(prepared.spec.resources, request, ray.cluster_resources())
    logger.info("%d workers of %s", workers, request)
    searcher = LedgerSearcher(ledger, stop)
    scheduler = LedgerScheduler(ledger)
    marker = folders.checkpoints / STOP_MARKER
    marker.unlink(missing_ok=True)
    folders.checkpoints.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tune-", dir=folders.checkpoints) as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=workers,  # without it Tune keeps one pending trial only
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"trial-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                callbacks=[],
                stop=GraceStopper(scheduler, stop, marker, _GRACE_SECONDS),
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
                # Checkpoints are the project's own (DESIGN 3).
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
            ),
        )
        try:
            tuner.fit()
        finally:
            marker.unlink(missing_ok=True)


def _worker_resources(resources: ResourceSpec, available: dict[str, float]) -> dict[str, float]:
    """Return what one worker asks of Ray; ``auto`` takes a whole GPU where there is one."""
    gpus = resources.gpus
    if gpus == "auto":
        gpus = 1 if available.get("GPU", 0) >= 1 else 0
    return {"cpu": resources.cpus, "gpu": gpus}


def _count_workers(
    resources: ResourceSpec, request: dict[str, float], available: dict[str, float]
) -> int:
    if resources.workers != "auto":
        return int(resources.workers)
    fitting = [available.get("CPU", 0) // request["cpu"]]
    if request["gpu"]:
        fitting.append(available.get("GPU", 0) // request["gpu"])
    return max(1, int(min(fitting)))

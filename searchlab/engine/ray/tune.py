"""The Tune engine: Ray Tune places the trials and reuses its actors."""

from __future__ import annotations

import logging
import signal
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from searchlab.config.plugins import loaded_sources
from searchlab.engine.ray.cluster import ClusterFacts, connected_ray, prepare_ray_settings
from searchlab.engine.ray.host_watch import HostWatch
from searchlab.engine.ray.memory_check import describe_probe, try_config
from searchlab.engine.ray.node_facts import read_cluster
from searchlab.engine.ray.placement import Placement, least_request, place_workers
from searchlab.engine.ray.preflight import check_nodes
from searchlab.engine.stopping import StopRequest, stop_on_signals
from searchlab.study.ledger import Ledger
from searchlab.study.preparation.largest_model import find_largest_model
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.failures import Failure
from searchlab.training.run import STOP_MARKER, TrialFolders

__all__ = ["run_on_ray"]

logger = logging.getLogger(__name__)

# A worker gets this long to end its epoch and save when the study is stopped.
_GRACE_SECONDS = 5.0


def _load_worker() -> type:
    from searchlab.engine.ray.worker import TrialActor

    return TrialActor


def run_on_ray(
    ledger: Ledger,
    prepared: PreparedStudy,
    folders: TrialFolders,
    stop: StopRequest,
    *,
    address: str | None = None,
    load_worker: Callable[[], type] = _load_worker,
) -> None:
    """Run the ledger's trials on Ray until it is finished or a stop is asked for.

    Uses the Ray that this process is connected to, or the cluster at ``address``, or else starts
    one here and ends it. ``load_worker`` returns TrialActor or a subclass; called once Ray's
    settings are made. Raises InputError where a node lacks what workers need.
    """
    prepare_ray_settings()
    try:
        # Signals twice: Ray takes SIGTERM for itself when it starts, and keeps it when it ended.
        with (
            stop_on_signals(stop),
            connected_ray(prepared.spec.resources, address=address) as cluster,
            stop_on_signals(stop),
        ):
            if not stop.is_made:
                placement = _prepare_cluster(cluster, ledger, prepared, folders)
            if not stop.is_made:
                _run_experiment(
                    ledger, prepared, folders, stop, load_worker(), placement, not cluster.is_ours
                )
    except SystemExit as ending:
        if ending.code != signal.SIGTERM:
            raise
        stop.make(signal.SIGTERM)  # it came to Ray's handler, between Ray's start and ours


def _prepare_cluster(
    cluster: ClusterFacts, ledger: Ledger, prepared: PreparedStudy, folders: TrialFolders
) -> Placement:
    """Check every node and settle what each worker gets, before the first trial is asked for."""
    resources = prepared.spec.resources
    for warning in check_nodes(
        cluster,
        run_path=folders.checkpoints.parent,
        checkpoints=folders.checkpoints,
        images_bytes=prepared.images.num_bytes,
        plugins=loaded_sources(prepared.spec.plugins),
        request=least_request(resources, cluster),
    ):
        logger.warning(warning)
    placement, forecast = _place_by_probe(cluster, ledger, prepared)
    ledger.announce(placement.describe(forecast))
    return placement


def _place_by_probe(
    cluster: ClusterFacts, ledger: Ledger, prepared: PreparedStudy
) -> tuple[Placement, float | None]:
    """Place the workers by what the largest model takes; return seconds, too, where it was tried.

    One that cannot be tried ends no study: its own trials fail, each with the reason, others run.
    """
    resources = prepared.spec.resources
    config = find_largest_model(prepared)
    if config is None:
        ledger.announce(
            "no model was tried beforehand: neither the largest nor the smallest can be built"
        )
        return place_workers(resources, cluster, None, None), None
    probe = try_config(config, cluster, prepared)
    if isinstance(probe, Failure):
        logger.warning("the largest model could not be tried: %s", probe.message)
        is_short = probe.kind == "oom"
        return place_workers(resources, cluster, None, None, is_short_of_memory=is_short), None
    ledger.announce(describe_probe(config, probe))
    placement = place_workers(resources, cluster, config, probe)
    num_images = len(prepared.images.train_labels)
    return placement, ledger.expect(num_images / probe.images_per_second / placement.workers)


def _run_experiment(
    ledger: Ledger,
    prepared: PreparedStudy,
    folders: TrialFolders,
    stop: StopRequest,
    worker: Any,
    placement: Placement,
    has_hosts: bool,
) -> None:
    import ray
    from ray import tune

    from searchlab.engine.ray.actor_deaths import deaths_recognised, faults_named
    from searchlab.engine.ray.adapters import GraceStopper, LedgerScheduler, LedgerSearcher

    shared = {
        "images": ray.put((prepared.images, prepared.folds)),
        # Plain data: unpickling a TrialFolders would import torch before the actor is up.
        "folders": asdict(folders),
        "plugins": loaded_sources(prepared.spec.plugins),
        "num_threads": max(1, int(placement.request["cpu"])),
        "num_gpus": placement.request["gpu"],
    }
    trainable = tune.with_resources(tune.with_parameters(worker, shared=shared), placement.request)
    searcher = LedgerSearcher(ledger, stop, has_hosts=has_hosts)
    scheduler = LedgerScheduler(searcher, stop, folders.checkpoints)
    hosts = _watch_hosts(ledger) if has_hosts else None
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
                # Without it Tune keeps one pending trial only.
                max_concurrent_trials=placement.workers,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"trial-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                callbacks=[],
                stop=GraceStopper(scheduler, stop, marker, _GRACE_SECONDS, hosts),
                failure_config=tune.FailureConfig(max_failures=0),  # the ledger retries
                # Checkpoints are the project's own (DESIGN 3).
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
            ),
        )
        try:
            with deaths_recognised(), faults_named(stop):
                tuner.fit()
        finally:
            marker.unlink(missing_ok=True)


def _watch_hosts(ledger: Ledger) -> HostWatch:
    return HostWatch(
        lambda: read_cluster(is_ours=False).nodes,
        on_lost=ledger.note_host_lost,
        on_joined=lambda host: ledger.announce(f"host {host} joined the cluster"),
    )

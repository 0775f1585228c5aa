"""The Tune engine: Ray Tune places the trials and reuses its actors."""

from __future__ import annotations

import logging
import signal
import tempfile
from collections.abc import Callable
from dataclasses import asdict

from searchlab.config.named_code import list_references
from searchlab.config.plugins import loaded_sources
from searchlab.data.image_data import ImageData
from searchlab.data.shared_images import share_images
from searchlab.engine.ray.cluster import connected_ray, prepare_ray_settings
from searchlab.engine.ray.host_watch import HostWatch
from searchlab.engine.ray.memory_check import describe_probe, try_config
from searchlab.engine.ray.node_facts import ClusterFacts
from searchlab.engine.ray.placement import Placement, least_request, place_workers
from searchlab.engine.ray.preflight import check_nodes
from searchlab.engine.session import RunSession
from searchlab.engine.stopping import stop_on_signals
from searchlab.study.ledger import Ledger
from searchlab.study.preparation.largest_model import find_largest_model
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.failures import Failure
from searchlab.training.run import STOP_MARKER

__all__ = ["run_on_ray"]

logger = logging.getLogger(__name__)

# When the study is stopped, a worker has this long to end its epoch and save.
_GRACE_SECONDS = 5.0


def _load_worker() -> type:
    from searchlab.engine.ray.worker import TrialActor

    return TrialActor


def run_on_ray(session: RunSession, *, load_worker: Callable[[], type] = _load_worker) -> None:
    """Run a session's trials on Ray until the study is finished or a stop is requested.

    Uses the Ray to which this process is connected, or the cluster at the session's address, or
    starts one here and ends it. ``load_worker`` returns TrialActor or a subclass; it is called
    after Ray's settings are made. Raises InputError if a node lacks what workers need.
    """
    stop = session.stop
    prepare_ray_settings()
    session.ledger.begin_phase("starting Ray" if session.address is None else "connecting to Ray")
    try:
        # Signals twice: Ray takes over SIGTERM when it starts, and keeps it when it ends.
        with (
            stop_on_signals(stop),
            connected_ray(session.prepared.spec.resources, address=session.address) as cluster,
            stop_on_signals(stop),
        ):
            if not stop.is_made:
                placement = _prepare_cluster(cluster, session)
            if not stop.is_made:
                session.ledger.begin_phase("starting the workers")
                _run_experiment(session, placement, load_worker(), is_ours=cluster.is_ours)
    except SystemExit as exit_:
        if exit_.code != signal.SIGTERM:
            raise
        stop.make(signal.SIGTERM)  # Ray's handler got it, between Ray's start and ours


def _prepare_cluster(cluster: ClusterFacts, session: RunSession) -> Placement:
    """Check every node and decide what each worker gets, before the first trial is asked."""
    prepared, folders = session.prepared, session.folders
    session.ledger.begin_phase("checking the machines")
    for warning in check_nodes(
        cluster,
        run_path=folders.checkpoints.parent,
        checkpoints=folders.checkpoints,
        images_bytes=_stored_bytes(prepared.images, cluster),
        plugins=loaded_sources(prepared.spec.plugins),
        code=list_references(prepared.spec),
        request=least_request(prepared.spec.resources, cluster),
    ):
        logger.warning(warning)
    placement = _place_by_probe(cluster, session.ledger, prepared)
    session.ledger.announce(placement.describe())
    return placement


def _stored_bytes(images: ImageData, cluster: ClusterFacts) -> int:
    """Return how much of Ray's store the images take: nothing if workers read their files."""
    return 0 if cluster.is_ours and images.is_large else images.num_bytes


def _place_by_probe(cluster: ClusterFacts, ledger: Ledger, prepared: PreparedStudy) -> Placement:
    """Place the workers by the needs of the largest model.

    A model that cannot be probed doesn't end the study: only its own trials fail, with the reason.
    """
    resources = prepared.spec.resources
    ledger.begin_phase("trying the largest model")
    config = find_largest_model(prepared)
    if config is None:
        ledger.announce("no model was probed: neither the largest nor the smallest can be built")
        return place_workers(resources, cluster, None, None)
    probe = try_config(config, cluster, prepared)
    if isinstance(probe, Failure):
        logger.warning("the probe of the largest model failed: %s", probe.message)
        is_short = probe.kind == "oom"
        return place_workers(resources, cluster, None, None, is_short_of_memory=is_short)
    ledger.announce(describe_probe(config, probe))
    return place_workers(resources, cluster, config, probe)


def _run_experiment(
    session: RunSession, placement: Placement, worker: type, *, is_ours: bool
) -> None:
    import ray
    from ray import tune
    from ray.widgets.util import in_notebook

    from searchlab.engine.ray.adapters import (
        GraceStopper,
        LedgerScheduler,
        LedgerSearcher,
        SilentReporter,
    )
    from searchlab.engine.ray.worker_deaths import ray_faults_named

    prepared, stop = session.prepared, session.stop
    checkpoints = session.folders.checkpoints
    # A Ray that is ours is on this machine, whose files its workers can read.
    images = share_images(prepared.images) if is_ours else prepared.images.without_files()
    shared = {
        "images": ray.put((images, prepared.folds)),
        # Plain data: unpickling a TrialFolders would import torch before the actor is up.
        "folders": asdict(session.folders),
        "plugins": loaded_sources(prepared.spec.plugins),
        "num_threads": max(1, int(placement.request["cpu"])),
        "num_gpus": placement.request["gpu"],
    }
    trainable = tune.with_resources(tune.with_parameters(worker, shared=shared), placement.request)
    searcher = LedgerSearcher(session.ledger, stop, has_hosts=not is_ours)
    scheduler = LedgerScheduler(searcher, stop, checkpoints)
    hosts = None if is_ours else HostWatch(session.ledger)
    marker = checkpoints / STOP_MARKER
    marker.unlink(missing_ok=True)
    checkpoints.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tune-", dir=checkpoints) as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                # Without it Tune keeps only one pending trial.
                max_concurrent_trials=placement.workers,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"trial-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                # Outside of notebooks Tune warns of any reporter, and verbose=0 is enough.
                progress_reporter=SilentReporter() if in_notebook() else None,
                callbacks=[],
                stop=GraceStopper(scheduler, stop, marker, _GRACE_SECONDS, hosts),
                failure_config=tune.FailureConfig(max_failures=0),  # the ledger retries
                # searchlab writes its own checkpoints.
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
            ),
        )
        try:
            with ray_faults_named(stop):
                tuner.fit()
        finally:
            marker.unlink(missing_ok=True)

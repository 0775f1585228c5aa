"""Connecting to Ray: to an existing cluster, or to one started here for this study alone."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from searchlab.config.resources import ResourceSpec
from searchlab.engine.ray.access_token import guarded_by_token
from searchlab.engine.ray.local_ray import find_checkout, start_ray
from searchlab.engine.ray.node_facts import ClusterFacts, read_cluster
from searchlab.engine.ray.ray_internals import hidden_command_line, job_without_driver_paths
from searchlab.engine.ray.secrecy import hidden_secrets
from searchlab.engine.ray.session_folder import private_folder
from searchlab.errors import InputError

__all__ = ["connected_ray", "prepare_ray_settings"]

# Together under half a minute.
_DIAL_SECONDS = 5.0
_PING_SECONDS = 22.0

# Ray and Tune read these when they are imported or when an experiment starts.
_RAY_SETTINGS = {
    # Tune's loggers write three files per trial that nobody reads: over half of a trial's time.
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


# A Ray of our own does not come back: its driver ends this long after its control service. (Ray
# waits for a minute, for clusters that restart theirs.)
_OWN_RAY_SETTINGS = {"RAY_gcs_rpc_server_reconnect_timeout_s": "10"}


def prepare_ray_settings() -> None:
    """Set Ray's environment variables for this process; call it before Ray is imported."""
    os.environ.update(_RAY_SETTINGS)


@contextmanager
def connected_ray(resources: ResourceSpec, *, address: str | None = None) -> Iterator[ClusterFacts]:
    """Connect this process to Ray, and disconnect at the end.

    Uses the Ray to which this process is already connected; else the cluster at ``address``
    (``auto`` or HOST:PORT) or RAY_ADDRESS, which outlives the study; else starts one here, which
    ends with the study, requires a token and listens on loopback only. Raises InputError, within
    half a minute, if no cluster can be reached at the address, and InfrastructureError if none can
    be started here.
    """
    prepare_ray_settings()
    place = _choose_place(address)
    if place is None:
        os.environ.update(_OWN_RAY_SETTINGS)
    import ray

    if ray.is_initialized():
        yield read_cluster(is_ours=False)
        return
    with ExitStack() as stack:
        folder: Path | None = None
        if place is None:
            folder = stack.enter_context(private_folder())
            stack.enter_context(guarded_by_token(folder))
        # Even if the connection fails half-way.
        stack.callback(ray.shutdown)
        # Only in this block: a database client here may have to connect again later.
        with hidden_secrets(), hidden_command_line():
            if place is None:
                start_ray(resources, folder=folder)
            else:
                _join(*place)
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield read_cluster(is_ours=place is None)


def _choose_place(address: str | None) -> tuple[str, str] | None:
    """Return the address and its name in messages, or None to start a Ray here."""
    given = os.environ.get("RAY_ADDRESS")
    if given and given != "local" and address in (None, "auto"):
        return given, f"RAY_ADDRESS {given}"
    return None if address is None else (address, f"--address {address}")


def _join(address: str, where: str) -> None:
    import ray
    from ray.exceptions import RayError

    if address != "auto":
        _dial(address, where)
    _ping(address, where)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            job_config=job_without_driver_paths(find_checkout()),
        )
    # RuntimeError: the cluster has another version of Ray or Python.
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise _unreachable(where, str(error)) from error


def _dial(address: str, where: str) -> None:
    """Raise InputError unless something listens at HOST:PORT."""
    found = re.fullmatch(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})", address)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise InputError(
            "must be auto or HOST:PORT, as `ray start --head` prints it",
            where=where,
            remedy="A ray:// address is for Ray's client, which cannot run a study"
            if address.startswith("ray://")
            else None,
        )
    try:
        host = found["host"].strip("[]")
        socket.create_connection((host, int(found["port"])), timeout=_DIAL_SECONDS).close()
    except OSError as error:
        raise _unreachable(where, error.strerror or str(error)) from None


def _ping(address: str, where: str) -> None:
    """Raise InputError unless a Ray cluster answers there and accepts this process."""
    # Not the modules of the current folder, unless searchlab itself is there.
    flags = () if find_checkout() else ("-P",)
    command = [sys.executable, *flags, "-m", "searchlab.engine.ray.cluster_ping", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PING_SECONDS)
    except subprocess.TimeoutExpired:
        raise _unreachable(where, "a process listens there, but does not answer like Ray") from None
    if done.returncode:
        raise _unreachable(where, (done.stderr.strip().splitlines() or ["no answer"])[-1])
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["state"] == "refused":
        raise InputError(
            f"rejects this process: {answer['reason']}",
            where=where,
            remedy="Give the cluster's token: set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH=FILE, a file that only you can read",
        )
    if answer["state"] == "elsewhere":
        raise InputError(
            "is a Ray cluster to which this machine does not belong",
            where=where,
            remedy="Run the command on one of its nodes, submit it with ray job submit -- "
            "searchlab ..., or add this machine with ray start --address=HOST:PORT",
        )
    if answer["state"] == "unreachable":
        raise _unreachable(where, answer["reason"])


def _unreachable(where: str, reason: str) -> InputError:
    first_line = (reason.strip().splitlines() or ["no reason given"])[0]
    return InputError(
        f"cannot be reached: {first_line.rstrip('.')}",
        where=where,
        remedy="Start a cluster with ray start --head, which prints its HOST:PORT, or omit "
        "--address to start a Ray here for this study alone",
    )

"""Before the first trial: whether every node that may get a worker can do its work."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.engine.ray import node_report
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts
from searchlab.errors import InputError

__all__ = ["check_nodes"]

_GIGABYTE = 10**9
_LEAST_FREE_BYTES = _GIGABYTE // 10
_AMPLE_FREE_BYTES = _GIGABYTE
# How long a file server may take to show a new file elsewhere.
_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Findings:
    """What keeps a node from working, and what does not yet."""

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_nodes(
    cluster: ClusterFacts,
    *,
    run_path: Path,
    checkpoints: Path,
    images_bytes: int,
    plugins: Mapping[str, str | None],
    request: Mapping[str, float],
    timeout_seconds: float = 120,
) -> list[str]:
    """Check every node with room for a worker that asks for ``request``; return warnings.

    Each node must answer in time, have the driver's versions of Python, Ray, torch, torchvision and
    searchlab (to the letter), see the driver's ``checkpoints`` and let it see what it writes there,
    load the plugins (as ``loaded_sources`` gives them), have 0.1 GB of disk left, and, where a GPU
    is asked for, show torch as many as Ray gives out. A Ray of our own on this machine is checked
    without any of its tasks. Raises InputError with a line for each node where something is
    missing, or where no node has room.
    """
    hosts = [node for node in cluster.nodes if node.can_host(request)]
    if not hosts:
        raise _no_room(cluster, request)
    wants_gpu = request.get("gpu", 0) > 0
    if cluster.is_ours:
        findings = [_check_here(node, run_path, wants_gpu) for node in hosts]
    else:
        reports = _ask_nodes(
            hosts,
            run_path=run_path,
            checkpoints=checkpoints,
            plugins=plugins,
            wants_gpu=wants_gpu,
            timeout_seconds=timeout_seconds,
        )
        findings = [
            _judge(node, report, checkpoints) for node, report in zip(hosts, reports, strict=True)
        ]
    for node, found in zip(hosts, findings, strict=True):
        _compare_store(node, images_bytes, found)
    faulty = [
        f"  {node.name}: {'; '.join(found.faults)}"
        for node, found in zip(hosts, findings, strict=True)
        if found.faults
    ]
    if faulty:
        raise InputError(
            f"cannot run this study on {len(faulty)} of {len(hosts)} nodes:\n" + "\n".join(faulty),
            where="the Ray cluster",
        )
    return [
        f"{node.name}: {warning}"
        for node, found in zip(hosts, findings, strict=True)
        for warning in found.warnings
    ]


def _no_room(cluster: ClusterFacts, request: Mapping[str, float]) -> InputError:
    alive = [
        f"{node.name} {node.cpus:g} CPUs, {node.gpus:g} GPUs"
        for node in cluster.nodes
        if node.alive
    ]
    return InputError(
        f"has no node with room for a worker of {request.get('cpu', 0):g} CPUs and "
        f"{request.get('gpu', 0):g} GPUs; it has: {'; '.join(alive) or 'no node'}",
        where="the Ray cluster",
        remedy="Ask for less, --set resources.cpus=... or resources.gpus=..., or add a node",
    )


def _check_here(node: NodeFacts, run_path: Path, wants_gpu: bool) -> _Findings:
    """Check this process's own machine, where everything is the driver's own anyway."""
    findings = _Findings()
    _compare_disks(node_report.read_free_bytes([str(run_path), _session_folder()]), findings)
    if wants_gpu:
        import torch

        available = torch.cuda.is_available()
        _compare_gpus(node, torch.cuda.device_count() if available else 0, findings)
    return findings


def _session_folder() -> str:
    import ray

    return str(ray._private.worker._global_node.get_session_dir_path())


def _ask_nodes(
    hosts: Sequence[NodeFacts],
    *,
    run_path: Path,
    checkpoints: Path,
    plugins: Mapping[str, str | None],
    wants_gpu: bool,
    timeout_seconds: float,
) -> list[dict[str, Any] | str]:
    """Return what each node says of itself, or in words why it says nothing."""
    with _meeting_place(checkpoints) as (place, secret):
        questions = {
            node.node_id: {
                "meeting_place": str(place),
                "secret": secret,
                "run_path": str(run_path),
                "plugins": dict(plugins),
                "wants_gpu": wants_gpu,
                "patience_seconds": _PATIENCE_SECONDS,
            }
            for node in hosts
        }
        answers = _run_on_nodes(questions, timeout_seconds)
        for node_id, answer in answers.items():
            if isinstance(answer, dict) and answer["folder"] is None:
                answer["folder"] = _read_answer(place, node_id, secret)
    return [answers[node.node_id] for node in hosts]


@contextmanager
def _meeting_place(checkpoints: Path) -> Iterator[tuple[Path, str]]:
    """Make a folder with a file that holds a secret, where the nodes shall answer."""
    secret = secrets.token_hex(16)
    place = checkpoints / f"preflight-{secrets.token_hex(8)}"
    try:
        try:
            place.mkdir(parents=True)
            (place / "driver").write_text(secret)
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}", where=f"the run's folder {checkpoints}"
            ) from error
        yield place, secret
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _read_answer(place: Path, node_id: str, secret: str) -> str | None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (place / node_id).is_file():
        if time.monotonic() > deadline:
            return "shows the driver nothing of what this node writes"
        time.sleep(0.1)
    is_answer = json.loads((place / node_id).read_text()) == [node_id, secret]
    return None if is_answer else "is not the driver's"


def _run_on_nodes(
    questions: Mapping[str, Mapping[str, Any]], timeout_seconds: float
) -> dict[str, dict[str, Any] | str]:
    """Run the probe once on each node; return its report, or in words why there is none."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Else a node without searchlab could not even unpickle the question.
    cloudpickle.register_pickle_by_value(node_report)
    try:
        task = ray.remote(num_cpus=0, max_retries=0)(node_report.report_node)
        pending = {
            task.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
            ).remote(node_id, **question): node_id
            for node_id, question in questions.items()
        }
    finally:
        cloudpickle.unregister_pickle_by_value(node_report)
    done, late = ray.wait(list(pending), num_returns=len(pending), timeout=timeout_seconds)
    answers: dict[str, dict[str, Any] | str] = {pending[ref]: _get(ref) for ref in done}
    for ref in late:
        ray.cancel(ref, force=True)
        answers[pending[ref]] = (
            f"does not answer within {timeout_seconds:g} s; see its Ray logs, or remove the node"
        )
    return answers


def _get(ref: Any) -> dict[str, Any] | str:
    import ray
    from ray.exceptions import RayError

    try:
        report: dict[str, Any] = ray.get(ref)
    except RayError as error:
        reason = str(getattr(error, "cause", None) or error).strip().splitlines()
        return f"cannot be checked: {(reason or [type(error).__name__])[-1]}"
    return report


def _judge(node: NodeFacts, report: dict[str, Any] | str, checkpoints: Path) -> _Findings:
    """Compare what a node says of itself with the driver."""
    if isinstance(report, str):
        return _Findings(faults=[report])
    findings = _Findings()
    has_searchlab = _compare_versions(report["versions"], findings)
    if report["folder"] is not None:
        findings.faults.append(
            f"the run's folder {checkpoints} {report['folder']}; give --runs-dir a folder that all "
            "nodes share, at the same path"
        )
    if has_searchlab and report["plugins"] is not None:
        findings.faults.append(report["plugins"])
    _compare_disks(report["free_bytes"], findings)
    if report["cuda_devices"] is not None:
        _compare_gpus(node, report["cuda_devices"], findings)
    return findings


def _compare_versions(theirs: Mapping[str, str | None], findings: _Findings) -> bool:
    """Note each version that is not the driver's; return whether searchlab is there at all."""
    ours = node_report.read_versions()
    for package, version in ours.items():
        if package == "source" or theirs[package] == version:
            continue
        if theirs[package] is None:
            findings.faults.append(f"{package} is not installed; install {package} {version}")
        else:
            findings.faults.append(
                f"{package} is {theirs[package]}, here {version}; install the same"
            )
    if theirs["source"] is None:
        if theirs["searchlab"] is not None:
            findings.faults.append("searchlab cannot be imported; install it again")
        return False
    if theirs["searchlab"] == ours["searchlab"] and theirs["source"] != ours["source"]:
        findings.faults.append(
            f"searchlab {ours['searchlab']} has other source files than here; update its copy"
        )
    return True


def _compare_disks(free_bytes: Mapping[str, int], findings: _Findings) -> None:
    for folder, free in free_bytes.items():
        text = f"{free / _GIGABYTE:.2f} GB of disk left at {folder}; make room"
        if free < _LEAST_FREE_BYTES:
            findings.faults.append(text)
        elif free < _AMPLE_FREE_BYTES:
            findings.warnings.append(text)


def _compare_gpus(node: NodeFacts, num_devices: int, findings: _Findings) -> None:
    if num_devices < node.gpus:
        findings.faults.append(
            f"Ray gives out {node.gpus:g} GPUs, torch can use {num_devices}; "
            "install a torch for its CUDA driver, or start Ray there with --num-gpus"
        )


def _compare_store(node: NodeFacts, images_bytes: int, findings: _Findings) -> None:
    if images_bytes > node.object_store_bytes:
        findings.warnings.append(
            f"the images take {images_bytes / _GIGABYTE:.2f} GB, Ray's object store there holds "
            f"{node.object_store_bytes / _GIGABYTE:.2f} GB, so that they lie on its disk; "
            "start Ray with a larger --object-store-memory"
        )

"""Checks, before the first trial, that every node that may get a worker can do the work."""

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
# How long a file server may take to show a new file on another node.
_FILE_WAIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Findings:
    """What keeps a node from working, and what may do so soon."""

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
    """Check every node with room for a worker that needs ``request``; return warnings.

    Each node must answer in time, have exactly the driver's Python, Ray, torch, torchvision and
    searchlab, share the driver's ``checkpoints`` for reading and writing, load the plugins (as
    ``loaded_sources`` gives them), and have 0.1 GB of free disk; if a GPU is requested, torch must
    see as many as Ray assigns. A Ray started here is checked without running a task. Raises
    InputError with a line for each node that lacks something, or if no node has room.
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
        f"{request.get('gpu', 0):g} GPUs; its nodes: {'; '.join(alive) or 'none'}",
        where="the Ray cluster",
        remedy="Request less with --set resources.cpus=... or resources.gpus=..., or add a node",
    )


def _check_here(node: NodeFacts, run_path: Path, wants_gpu: bool) -> _Findings:
    """Check this machine, which has the driver's versions and files by nature."""
    findings = _Findings()
    folders = [str(run_path), node_report.read_ray_folder()]
    _compare_disks(node_report.read_free_bytes(folders), findings)
    if wants_gpu:
        import torch

        available = torch.cuda.is_available()
        _compare_gpus(node, torch.cuda.device_count() if available else 0, findings)
    return findings


def _ask_nodes(
    hosts: Sequence[NodeFacts],
    *,
    run_path: Path,
    checkpoints: Path,
    plugins: Mapping[str, str | None],
    wants_gpu: bool,
    timeout_seconds: float,
) -> list[dict[str, Any] | str]:
    """Return the report of each node, or a sentence that says why there is none."""
    with _exchange_folder(checkpoints) as (exchange, secret):
        questions = {
            node.node_id: {
                "exchange": str(exchange),
                "secret": secret,
                "run_path": str(run_path),
                "plugins": dict(plugins),
                "wants_gpu": wants_gpu,
                "wait_seconds": _FILE_WAIT_SECONDS,
            }
            for node in hosts
        }
        answers = _run_on_nodes(questions, timeout_seconds)
        for node_id, answer in answers.items():
            if isinstance(answer, dict) and answer["folder"] is None:
                answer["folder"] = _read_answer(exchange, node_id, secret)
    return [answers[node.node_id] for node in hosts]


@contextmanager
def _exchange_folder(checkpoints: Path) -> Iterator[tuple[Path, str]]:
    """Make a folder for the nodes' answers, with a file that holds a secret."""
    secret = secrets.token_hex(16)
    exchange = checkpoints / f"preflight-{secrets.token_hex(8)}"
    try:
        try:
            exchange.mkdir(parents=True)
            (exchange / "driver").write_text(secret)
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}", where=f"the run's folder {checkpoints}"
            ) from error
        yield exchange, secret
    finally:
        shutil.rmtree(exchange, ignore_errors=True)


def _read_answer(exchange: Path, node_id: str, secret: str) -> str | None:
    deadline = time.monotonic() + _FILE_WAIT_SECONDS
    while not (exchange / node_id).is_file():
        if time.monotonic() > deadline:
            return "does not show the driver what this node writes"
        time.sleep(0.1)
    is_answer = json.loads((exchange / node_id).read_text()) == [node_id, secret]
    return None if is_answer else "is not the driver's"


def _run_on_nodes(
    questions: Mapping[str, Mapping[str, Any]], timeout_seconds: float
) -> dict[str, dict[str, Any] | str]:
    """Run ``report_node`` on each node; return its report, or why there is none."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # A node without searchlab could not unpickle the task otherwise.
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
    """Compare a node's report with the driver's own state."""
    if isinstance(report, str):
        return _Findings(faults=[report])
    findings = _Findings()
    has_searchlab = _compare_versions(report["versions"], findings)
    if report["folder"] is not None:
        findings.faults.append(
            f"the run's folder {checkpoints} {report['folder']}; set --runs-dir to a folder that "
            "all nodes share at the same path"
        )
    if has_searchlab and report["plugins"] is not None:
        findings.faults.append(report["plugins"])
    _compare_disks(report["free_bytes"], findings)
    if report["cuda_devices"] is not None:
        _compare_gpus(node, report["cuda_devices"], findings)
    return findings


def _compare_versions(theirs: Mapping[str, str | None], findings: _Findings) -> bool:
    """Note each version that differs from the driver's; return whether searchlab is there."""
    ours = node_report.read_versions()
    for package, version in ours.items():
        if package == "source" or theirs[package] == version:
            continue
        if theirs[package] is None:
            findings.faults.append(f"{package} is not installed; install {package} {version}")
        else:
            findings.faults.append(
                f"{package} is {theirs[package]}, but {version} here; install the same version"
            )
    if theirs["source"] is None:
        if theirs["searchlab"] is not None:
            findings.faults.append("searchlab cannot be imported; install it again")
        return False
    if theirs["searchlab"] == ours["searchlab"] and theirs["source"] != ours["source"]:
        findings.faults.append(
            f"searchlab {ours['searchlab']} has different source files than here; update that copy"
        )
    return True


def _compare_disks(free_bytes: Mapping[str, int], findings: _Findings) -> None:
    for folder, free in free_bytes.items():
        text = f"{free / _GIGABYTE:.2f} GB of disk left at {folder}; free some space"
        if free < _LEAST_FREE_BYTES:
            findings.faults.append(text)
        elif free < _AMPLE_FREE_BYTES:
            findings.warnings.append(text)


def _compare_gpus(node: NodeFacts, num_devices: int, findings: _Findings) -> None:
    if num_devices < node.gpus:
        findings.faults.append(
            f"Ray assigns {node.gpus:g} GPUs, but torch can use {num_devices}; "
            "install a torch for the node's CUDA driver, or start Ray there with --num-gpus"
        )


def _compare_store(node: NodeFacts, images_bytes: int, findings: _Findings) -> None:
    if images_bytes > node.object_store_bytes:
        findings.warnings.append(
            f"the images take {images_bytes / _GIGABYTE:.2f} GB, but Ray's object store holds only "
            f"{node.object_store_bytes / _GIGABYTE:.2f} GB, so they will be read from disk; "
            "start Ray with a larger --object-store-memory"
        )

"""Checks, before the first trial, that every node that may get a worker can do the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.engine.ray import node_report
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts
from searchlab.engine.ray.node_questions import ask_nodes
from searchlab.errors import InputError

__all__ = ["check_nodes"]

_GIGABYTE = 10**9
_LEAST_FREE_BYTES = _GIGABYTE // 10
_AMPLE_FREE_BYTES = _GIGABYTE


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
    code: Mapping[str, str],
    request: Mapping[str, float],
    timeout_seconds: float = 120,
) -> list[str]:
    """Check every node with room for a worker that needs ``request``; return warnings.

    Each node must answer in time, have exactly the driver's Python, Ray, torch, torchvision and
    searchlab, share the driver's ``checkpoints`` for reading and writing, load the plugins (as
    ``loaded_sources`` gives them) and the ``code`` that settings name (from ``list_references``),
    and have 0.1 GB of free disk; if a GPU is requested, torch must see as many as Ray assigns. A
    Ray started here is checked without running a task. Raises InputError with a line for each node
    that lacks something, or if no node has room.
    """
    hosts = [node for node in cluster.nodes if node.can_host(request)]
    if not hosts:
        raise _no_room(cluster, request)
    wants_gpu = request.get("gpu", 0) > 0
    if cluster.is_ours:
        findings = [_check_here(node, run_path, wants_gpu) for node in hosts]
    else:
        reports = ask_nodes(
            hosts,
            run_path=run_path,
            checkpoints=checkpoints,
            plugins=plugins,
            code=code,
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

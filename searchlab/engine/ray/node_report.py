"""What a node reports about itself. Sent to nodes by value: searchlab may be missing or old there.

Only the standard library is imported at the top, therefore, and reports are plain data.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "count_cuda_devices",
    "read_free_bytes",
    "read_ray_folder",
    "read_versions",
    "report_node",
]

_PACKAGES = ("searchlab", "torch", "torchvision", "ray")

_COUNT_DEVICES = """
import torch
print(torch.cuda.device_count() if torch.cuda.is_available() else 0)
"""


def report_node(
    name: str,
    *,
    exchange: str,
    secret: str,
    run_path: str,
    plugins: Mapping[str, str | None],
    code: Mapping[str, str],
    wants_gpu: bool,
    wait_seconds: float,
) -> dict[str, Any]:
    """Return ``versions``, ``free_bytes``, and in ``folder`` and ``plugins`` an error or None.

    ``code`` has what training settings name of the user's own, each with its setting.
    ``exchange`` is the driver's folder, in which a file ``driver`` holds ``secret``; the node
    answers with a file ``name`` beside it. ``cuda_devices`` is None unless ``wants_gpu``.
    """
    return {
        "versions": read_versions(),
        "folder": _answer_driver(Path(exchange), name, secret, wait_seconds),
        "plugins": _load_code(plugins, code),
        "free_bytes": read_free_bytes([run_path, read_ray_folder()]),
        "cuda_devices": count_cuda_devices() if wants_gpu else None,
    }


def read_versions() -> dict[str, str | None]:
    """Return the installed versions, None for what is missing; ``source`` is searchlab's digest."""
    versions: dict[str, str | None] = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    versions["source"] = _digest_source()
    return versions


def read_free_bytes(folders: list[str]) -> dict[str, int]:
    """Return the free bytes on the disks of these folders, omitting folders that don't exist."""
    return {folder: shutil.disk_usage(folder).free for folder in folders if Path(folder).is_dir()}


def count_cuda_devices() -> int:
    """Return how many CUDA devices torch can use on this machine.

    A new process counts them, because CUDA keeps to what it saw first. A task that requests no GPU
    sees all GPUs of its node, unless RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO makes Ray hide them by an
    empty list, which does not apply to workers that request one.
    """
    environment = dict(os.environ)
    if not environment.get("CUDA_VISIBLE_DEVICES"):
        environment.pop("CUDA_VISIBLE_DEVICES", None)
    command = [sys.executable, "-c", _COUNT_DEVICES]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return int(done.stdout) if done.returncode == 0 else 0


def _digest_source() -> str | None:
    """Return a digest of searchlab's Python files: checkouts of one version may differ."""
    try:
        spec = importlib.util.find_spec("searchlab")
    except ValueError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None
    digest = hashlib.blake2b(digest_size=8)
    folder = Path(next(iter(spec.submodule_search_locations)))
    # A wheel has the examples in the package, a checkout beside it.
    own = [path for path in folder.rglob("*.py") if not path.is_relative_to(folder / "shipped")]
    for path in sorted(own):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}|{len(content)}|".encode() + content)
    return digest.hexdigest()


def _answer_driver(exchange: Path, name: str, secret: str, wait_seconds: float) -> str | None:
    """Answer the driver's file with one of our own: a folder of the same name is not enough."""
    deadline = time.monotonic() + wait_seconds  # file servers show a new file late
    try:
        while not (exchange / "driver").is_file():
            if time.monotonic() > deadline:
                return "is not the driver's" if exchange.parent.is_dir() else "does not exist"
            time.sleep(0.1)
        if (exchange / "driver").read_text() != secret:
            return "is not the driver's"
        beside = exchange / f"{name}.tmp"
        beside.write_text(json.dumps([name, secret]))
        beside.replace(exchange / name)
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    return None


def _load_code(plugins: Mapping[str, str | None], code: Mapping[str, str]) -> str | None:
    try:
        from searchlab.config.own_code import load_reference
        from searchlab.config.plugins import load_sources
        from searchlab.errors import InputError
    except ImportError as error:
        return f"{type(error).__name__}: {error}"
    try:
        load_sources(plugins)
        for reference, setting in code.items():
            load_reference(reference, field=setting)
    except InputError as error:
        return str(error)
    return None


def read_ray_folder() -> str:
    """Return the folder of this node's Ray, which holds its logs and what it spills."""
    import ray

    if not ray.is_initialized():
        return tempfile.gettempdir()
    return str(ray.get_runtime_context().get_temp_dir())

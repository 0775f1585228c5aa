"""Checks of this machine: packages, processors, Ray, disk space, datasets."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from searchlab.doctor.checks import Check
from searchlab.doctor.hardware import check_cpus, check_gpus, check_memory, check_space
from searchlab.version import __version__

__all__ = [
    "check_address",
    "check_datasets",
    "check_environment",
    "check_extra",
    "check_package",
    "check_python",
    "check_ray",
    "read_requirements",
]

_SHOWN = ("torch", "torchvision", "optuna", "optuna-dashboard")
# Each extra, the package that shows that it is installed, and its purpose.
_EXTRAS: Final = (("postgres", "psycopg", "storages on PostgreSQL"),)
_DEFAULT_RAY_PORTS = {"": 6379, "ray": 10001}
_CONNECT_SECONDS = 2.0


def check_environment(*, runs_dir: Path, data_dir: Path) -> list[Check]:
    """Check everything but a run. Writes nothing and connects only to RAY_ADDRESS."""
    required = read_requirements()
    return [
        check_python(),
        Check.ok("searchlab", __version__),
        *(check_package(required[name]) for name in _SHOWN if name in required),
        *check_ray(required),
        *_check_others(required),
        *(check_extra(*extra) for extra in _EXTRAS),
        check_cpus(),
        check_memory(),
        *check_gpus(),
        *check_space({"runs": runs_dir, "data": data_dir, "temporary": _temporary_folder()}),
        check_datasets(data_dir),
    ]


def check_python() -> Check:
    """Check the interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    bounds = _read_python_bounds()
    if bounds and version not in SpecifierSet(bounds, prereleases=True):
        remedy = "Install searchlab in an environment with a supported Python"
        return Check.problem("Python", f"{version}, but searchlab needs {bounds}", remedy)
    return Check.ok("Python", f"{version} ({sys.executable})")


def _read_python_bounds() -> str:
    try:
        return str(metadata.metadata("searchlab").json.get("requires_python", ""))
    except metadata.PackageNotFoundError:  # run from a checkout
        return ""


def read_requirements(extra: str = "") -> dict[str, Requirement]:
    """Return searchlab's requirements by name, or those that an extra adds."""
    try:
        lines = metadata.requires("searchlab") or []
    except metadata.PackageNotFoundError:
        return {}
    found = {}
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        is_wanted = marker is None if not extra else marker is not None
        if is_wanted and (marker is None or marker.evaluate({"extra": extra})):
            found[requirement.name] = requirement
    return found


def check_package(requirement: Requirement) -> Check:
    """Check an installed package against the tested versions."""
    name, bounds = requirement.name, _say_bounds(requirement)
    install = f'pip install "{requirement}"'
    version = _version_of(name)
    if version is None:
        return Check.problem(
            name, f"not installed; searchlab needs {bounds}", f"Install it: {install}"
        )
    if not requirement.specifier.contains(version, prereleases=True):
        remedy = f"If something fails, install a tested version: {install}"
        return Check.warning(name, f"{version}, outside the tested {bounds}", remedy)
    return Check.ok(name, f"{version} (tested: {bounds})")


def _say_bounds(requirement: Requirement) -> str:
    # From the lowest version up, which is ">" and so sorts last.
    return ",".join(sorted(map(str, requirement.specifier), reverse=True))


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _check_others(required: Mapping[str, Requirement]) -> Iterator[Check]:
    """Yield a line for each other package with a problem, or one line for all of them."""
    others = [check_package(one) for name, one in required.items() if name not in (*_SHOWN, "ray")]
    amiss = [check for check in others if check.status != "ok"]
    yield from amiss
    if others and not amiss:
        yield Check.ok("packages", f"{len(others)} more, all at tested versions")


def check_ray(required: Mapping[str, Requirement]) -> Iterator[Check]:
    """Yield Ray's version and whether the cluster at RAY_ADDRESS answers."""
    if "ray" in required:
        check = check_package(required["ray"])
        if check.status != "problem" and find_spec("ray") is None:
            remedy = 'Install it again: pip install --force-reinstall "ray[tune]"'
            check = Check.problem("ray", "its files are missing", remedy)
        yield check
    if address := os.environ.get("RAY_ADDRESS"):
        yield check_address(address)


def check_address(address: str) -> Check:
    """Check that something listens at a Ray address, without speaking Ray's protocol."""
    name = "Ray cluster"
    if address in ("auto", "local"):
        return Check.ok(name, f"RAY_ADDRESS is {address}: found when a study runs")
    scheme, _, place = address.rpartition("://")
    host, _, port = place.partition("/")[0].rpartition(":")
    if not port.isdecimal():
        host, port = place, str(_DEFAULT_RAY_PORTS.get(scheme, 8265))
    remedy = "Start the cluster, or unset RAY_ADDRESS to run on this machine"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS):
            return Check.ok(name, f"{address} (RAY_ADDRESS) answers")
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Check.problem(name, f"{address} (RAY_ADDRESS) does not answer: {reason}", remedy)


def check_extra(extra: str, package: str, purpose: str) -> Check:
    """Check the package of an optional extra."""
    requirement = read_requirements(extra).get(package)
    version = _version_of(package)
    if version is None:
        install = f'pip install "searchlab[{extra}]"'
        return Check.ok(package, f"not installed; for {purpose}: {install}")
    return Check.ok(package, version) if requirement is None else check_package(requirement)


def check_datasets(data_dir: Path) -> Check:
    """List the datasets that are in the data folder."""
    from searchlab.data import get_dataset, list_datasets

    datasets = [get_dataset(name) for name in list_datasets()]
    known = [dataset for dataset in datasets if not dataset.root_is]  # not the user's own images
    there = [dataset.name for dataset in known if dataset.is_present(data_dir)]
    num_missing = sum(dataset.downloadable and dataset.name not in there for dataset in known)
    text = f"present: {', '.join(there) or 'none'}"
    if num_missing:
        text += f"; {num_missing} more to fetch: searchlab data list"
    return Check.ok("datasets", text)


def _temporary_folder() -> Path:
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())

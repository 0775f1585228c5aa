"""Checks of the hardware: cores, memory, GPUs, disk space."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from searchlab.doctor.checks import Check

__all__ = ["check_cpus", "check_folder", "check_gpus", "check_memory", "check_space", "judge_space"]

_GIB = 2**30
_LITTLE_MEMORY = 2 * _GIB
_LITTLE_SPACE = 2 * _GIB
_NO_SPACE = 200 * 2**20
_CGROUP = Path("/sys/fs/cgroup")
_DRIVER_FILE = Path("/proc/driver/nvidia/version")


def check_cpus(cgroup: Path = _CGROUP) -> Check:
    """Count the cores that this process may use."""
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    quota = _read_words(cgroup / "cpu.max")
    if len(quota) == 2 and quota[0].isdecimal() and int(quota[0]) < usable * int(quota[1]):
        share = int(quota[0]) / int(quota[1])
        remedy = f"Run no more workers than that: --set resources.workers={max(int(share), 1)}"
        text = f"{usable} cores, but the container is limited to the time of {share:g}"
        return Check.warning("CPU", text, remedy)
    rest = "" if usable == total else f" of the machine's {total}"
    return Check.ok("CPU", f"{usable} core{'s' if usable != 1 else ''} usable{rest}")


def check_memory(cgroup: Path = _CGROUP) -> Check:
    """Read how much memory the machine, or the container, has left."""
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    limit = _read_words(cgroup / "memory.max")
    if limit and limit[0].isdecimal() and int(limit[0]) < total:
        total = int(limit[0])
        free = min(free, total - _read_used(cgroup))
    text = f"{_say_size(free)} free of {_say_size(total)}"
    if free < _LITTLE_MEMORY:
        return Check.warning("memory", text, "Close other programs, or run fewer workers")
    return Check.ok("memory", text)


def _read_used(cgroup: Path) -> int:
    """Return how many bytes a container uses that the kernel could not reclaim.

    File cache counts as used until the kernel reclaims it. The inactive part is subtracted, as
    Kubernetes does.
    """
    used = _read_words(cgroup / "memory.current")
    if not used or not used[0].isdecimal():
        return 0
    words = _read_words(cgroup / "memory.stat")  # names and numbers in turn
    idle = dict(zip(words[::2], words[1::2], strict=False)).get("inactive_file", "0")
    return max(int(used[0]) - int(idle), 0)


def _read_words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []


def check_gpus(driver_file: Path = _DRIVER_FILE) -> Iterator[Check]:
    """Yield the GPUs that torch can use, or why it can use none."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        is_available = torch.cuda.is_available()
    if is_available:
        for index in range(torch.cuda.device_count()):
            yield _check_gpu(index)
        return
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not driver_file.exists():
        yield Check.ok("GPU", "none; trials run on the CPU")
    elif hidden in ("", "-1"):
        yield Check.ok("GPU", f"hidden by CUDA_VISIBLE_DEVICES={hidden!r}")
    elif torch.version.cuda is None:
        remedy = "Install a CUDA build of torch, or keep training on the CPU"
        text = f"a driver is installed, but torch {torch.__version__} is built for the CPU only"
        yield Check.warning("GPU", text, remedy)
    else:
        said = " ".join(str(one.message).splitlines()[0] for one in caught[:1])
        text = f"torch, built for CUDA {torch.version.cuda}, cannot use the GPU's driver"
        remedy = "Install a newer driver, or a build of torch for the driver's CUDA version"
        yield Check.problem("GPU", f"{text}{f': {said}' if said else ''}", remedy)


def _check_gpu(index: int) -> Check:
    import torch

    name = f"GPU {index}"
    device = torch.cuda.get_device_properties(index)
    text = f"{device.name}, {_say_size(device.total_memory)}, CUDA {torch.version.cuda}"
    capability = (device.major, device.minor)
    built = torch.cuda.get_arch_list()
    if built and not any(_runs_on(one, capability) for one in built):
        remedy = f"Install a build of torch that supports it; this one supports {', '.join(built)}"
        return Check.problem(name, f"{text}: torch has no kernels for it", remedy)
    return Check.ok(name, text)


def _runs_on(built: str, capability: tuple[int, int]) -> bool:
    """Return whether kernels built for ``sm_90`` or ``compute_90`` run on a device.

    Machine code runs on later devices of the same major number, PTX on all later ones.
    """
    kind, _, number = built.partition("_")
    digits = number.rstrip("af")
    if not digits.isdecimal():
        return True
    major, minor = divmod(int(digits), 10)
    if kind == "compute":
        return (major, minor) <= capability
    return major == capability[0] and minor <= capability[1]


def check_space(folders: Mapping[str, Path]) -> Iterator[Check]:
    """Yield a check of each folder: how much space is left, and whether it can be written."""
    for name, folder in folders.items():
        yield check_folder(f"{name} folder", folder)


def check_folder(name: str, folder: Path) -> Check:
    """Check a folder, or its nearest existing parent, in which it would be made."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check.problem(
            name, f"{place} cannot be written", "Choose another folder, or change its permissions"
        )
    return judge_space(name, folder, shutil.disk_usage(place).free)


def judge_space(name: str, folder: Path, num_free: int) -> Check:
    """Check the number of free bytes in a folder."""
    text = f"{folder}, {_say_size(num_free)} free"
    remedy = "Free some space, or choose a folder on another disk"
    if num_free < _NO_SPACE:
        return Check.problem(name, text, remedy)
    return Check.warning(name, text, remedy) if num_free < _LITTLE_SPACE else Check.ok(name, text)


def _say_size(num_bytes: int) -> str:
    return f"{num_bytes / _GIB:,.1f} GiB"

"""What the checks of a machine say of versions, processors, Ray, disks and data."""

from __future__ import annotations

import re
import socket
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from packaging.requirements import Requirement
from rich.console import Console

from searchlab.doctor import environment
from searchlab.doctor.checks import Check
from searchlab.doctor.diagnosis_text import environment_data, print_environment
from searchlab.doctor.environment import (
    check_address,
    check_datasets,
    check_environment,
    check_extra,
    check_package,
    check_python,
    check_ray,
    read_requirements,
)
from searchlab.doctor.hardware import (
    check_cpus,
    check_folder,
    check_gpus,
    check_memory,
    judge_space,
)

GIB = 2**30


@pytest.mark.parametrize(
    ("bounds", "status", "said"),
    [
        (">=1,<9999", "ok", "(tested: >=1,<9999)"),
        ("<1", "warning", "outside the tested <1"),
        (">=9999", "warning", "outside the tested >=9999"),
    ],
)
def test_a_version_is_judged_by_the_tested_bounds(bounds: str, status: str, said: str) -> None:
    check = check_package(Requirement(f"torch{bounds}"))
    assert (check.name, check.status) == ("torch", status)
    assert metadata.version("torch") in check.text
    assert said in check.text
    assert (check.remedy is None) == (status == "ok")


def test_a_missing_package_is_a_problem_with_the_command_that_installs_it() -> None:
    check = check_package(Requirement("no-such-package>=1,<2"))
    assert check.status == "problem"
    assert check.remedy is not None
    assert re.search(r'pip install "no-such-package(<2,>=1|>=1,<2)"', check.remedy)


def test_bounds_are_those_of_the_installed_package() -> None:
    required = read_requirements()
    assert {"torch", "torchvision", "optuna", "optuna-dashboard", "ray"} <= set(required)
    assert "pytest" not in required
    assert "pytest" in read_requirements("test")


def test_a_python_that_is_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_python().status == "ok"
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 1))
    check = check_python()
    assert check.status == "problem"
    assert "3.9.1, but searchlab needs >=3.11" in check.text


def test_a_missing_extra_is_no_fault_and_says_how_to_install_it() -> None:
    check = check_extra("postgres", "no-such-driver", "storages on PostgreSQL")
    assert check.status == "ok"
    assert 'for storages on PostgreSQL: pip install "searchlab[postgres]"' in check.text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_ray_address_is_tried(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert check_address(f"{scheme}127.0.0.1:{port}").status == "ok"
    check = check_address(f"{scheme}127.0.0.1:{port}")
    assert check.status == "problem"
    assert "does not answer: Connection refused" in check.text
    assert check.remedy is not None
    assert "unset RAY_ADDRESS" in check.remedy


@pytest.mark.parametrize("address", ["127.0.0.1:123456", "no such host", "http://[::1", ""])
def test_a_ray_address_that_is_none_is_a_problem(address: str) -> None:
    assert check_address(address or "..:1").status == "problem"


def test_ray_address_is_only_looked_at_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    required = read_requirements()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert [check.name for check in check_ray(required)] == ["ray"]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{_free_port()}")
    assert [check.status for check in check_ray(required)] == ["ok", "problem"]
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert [check.status for check in check_ray(required)] == ["ok", "ok"]


def test_ray_whose_files_are_gone_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert [check.status for check in check_ray(read_requirements())] == ["problem"]


@pytest.mark.parametrize(
    ("num_free", "status"), [(GIB * 100, "ok"), (GIB, "warning"), (2**20, "problem")]
)
def test_a_disk_is_judged_by_what_is_left(num_free: int, status: str) -> None:
    check = judge_space("runs folder", Path("runs"), num_free)
    assert check.status == status
    assert (check.remedy is None) == (status == "ok")


def test_a_folder_that_is_not_there_is_judged_by_the_one_above(tmp_path: Path) -> None:
    assert check_folder("runs folder", tmp_path / "a" / "b").status == "ok"
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    below_a_file = check_folder("runs folder", tmp_path / "file" / "runs")
    assert below_a_file.status == "problem"
    assert "cannot be written" in below_a_file.text


@pytest.fixture
def large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(total=64 * GIB, available=32 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.mark.usefixtures("large_machine")
def test_a_containers_limits_are_what_counts(tmp_path: Path) -> None:
    assert check_memory(tmp_path).text == "32.0 GiB free of 64.0 GiB"
    assert check_cpus(tmp_path).status == "ok"
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    check = check_memory(tmp_path)
    assert (check.status, check.text) == ("warning", "1.0 GiB free of 4.0 GiB")
    assert "the container is limited to the time of 0.5" in check_cpus(tmp_path).text


@pytest.mark.usefixtures("large_machine")
@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        (f"anon {GIB}\nfile {2 * GIB}\ninactive_file {GIB * 5 // 2}\nactive_file 1\n", "3.5 GiB"),
        (
            f"anon {3 * GIB}\ninactive_anon {3 * GIB}\nactive_file {GIB}\ninactive_file 0\n",
            "1.0 GiB",
        ),
        (f"inactive_file {9 * GIB}\n", "4.0 GiB"),
    ],
)
def test_files_that_were_read_use_no_memory_of_a_container(
    statistics: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.stat").write_text(statistics)
    check = check_memory(tmp_path)
    assert check.text == f"{said} free of 4.0 GiB"
    assert check.status == ("warning" if said == "1.0 GiB" else "ok")


def _plan_gpus(monkeypatch: pytest.MonkeyPatch, *, cuda: str | None, arch: list[str] | None) -> Any:
    """Make torch one that was built for ``cuda`` and has a GPU of capability 9.0, or none."""
    device = SimpleNamespace(name="Some GPU", total_memory=80 * GIB, major=9, minor=0)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: arch is not None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: device)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: arch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("arch", "status"),
    [
        (["sm_80", "sm_90"], "ok"),
        (["sm_90a"], "ok"),
        (["compute_80"], "ok"),
        (["sm_80", "sm_86", "sm_100", "sm_120"], "problem"),
    ],
)
def test_a_gpu_needs_kernels_built_for_it(
    arch: list[str], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plan_gpus(monkeypatch, cuda="13.0", arch=arch)
    [check] = check_gpus()
    assert check.status == status
    assert "Some GPU, 80.0 GiB, CUDA 13.0" in check.text


@pytest.mark.parametrize(
    ("cuda", "has_driver", "status", "said"),
    [
        ("13.0", True, "problem", "torch, built for CUDA 13.0, cannot use the GPU's driver"),
        (None, True, "warning", "is built for the CPU only"),
        ("13.0", False, "ok", "none; trials run on the CPU"),
    ],
)
def test_a_driver_that_torch_cannot_use_is_told(
    cuda: str | None,
    has_driver: bool,
    status: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    _plan_gpus(monkeypatch, cuda=cuda, arch=None)
    driver = tmp_path / "version"
    if has_driver:
        driver.write_text("NVRM version: 470")
    [check] = check_gpus(driver)
    assert (check.status, check.remedy is None) == (status, status == "ok")
    assert said in check.text
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [check.status for check in check_gpus(driver)] == ["ok"]


def test_datasets_at_hand_are_named_and_others_counted(tmp_path: Path) -> None:
    found = re.fullmatch(r"present: digits; (\d+) more to fetch: .*", check_datasets(tmp_path).text)
    assert found is not None
    (tmp_path / "dtd").mkdir()
    text = check_datasets(tmp_path).text
    assert text.startswith(f"present: digits, dtd; {int(found[1]) - 1} more to fetch")


@pytest.mark.parametrize("width", [80, 100])
def test_the_whole_environment_is_printed_a_line_a_check(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    checks = check_environment(runs_dir=tmp_path / "runs", data_dir=tmp_path / "data")
    assert list(tmp_path.iterdir()) == []
    checks.append(Check.problem("GPU 9", "a long story " * 20, "Mend it"))
    print_environment(Console(width=width), checks)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    for check in checks:
        assert sum(line.startswith(f"{check.status:7}  {check.name}  ") for line in lines) == 1
    assert re.fullmatch(r"1 problem(, \d+ warnings?)?", lines[-1])
    data = environment_data(checks)["environment"]
    assert data[-1] == {
        "name": "GPU 9", "status": "problem", "text": "a long story " * 20, "remedy": "Mend it",
    }  # fmt: skip

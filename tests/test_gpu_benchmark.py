"""benchmarks/gpu.py runs from start to end, here on the CPU, on a box with little but torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
BARE = """
import runpy, sys
for name in ("ray", "optuna", "torchvision"):
    sys.modules[name] = None
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def test_it_prints_a_line_for_each_goal_without_ray_optuna_and_torchvision(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    arguments = [str(BENCHMARK), "--quick", "--device", "cpu", "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-c", BARE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert not [name for name in figures if "FAILED" in name], figures
    goals = [name for name in figures if name.startswith("GOAL")]
    assert len(goals) == 3
    assert all(name in done.stdout for name in goals)
    assert figures["graphs end at the same bits as without"] is True
    assert sum(name.startswith("trials an hour") for name in figures) == 2


def test_without_a_gpu_it_says_how_to_see_that_it_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARK)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 2
    assert "--device cpu --quick" in done.stderr

"""What short commands import: nothing that takes seconds and that they do not need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from command_line import unpack_recorded_runs

ROOT = Path(__file__).parents[2]
NEEDLESS = ("sklearn", "scipy", "pandas", "sympy", "ray", "torchvision", "optuna_dashboard")
SPACE = ROOT / "spaces" / "quickstart.yaml"
STUDY = ROOT / "studies" / "quickstart.yaml"
COMMANDS = [
    ["kernels", "show", "--family", "a2", "--out", "kernels.png"],
    ["kernels", "list", "--family", "a2"],
    ["study", "new", "toy", "--dataset", "digits", "--space", str(SPACE), "--trials", "4"],
    ["space", "sample", str(SPACE)],
    ["space", "check", str(SPACE)],
    ["space", "families", "cnn"],
    ["weights", "check", str(STUDY)],
    ["data", "list"],
]


# scipy.special is needed for a p-value; scipy.stats takes longer than all of the leaderboard.
HEAVY = (
    "torch", "torchvision", "ray", "sklearn", "scipy.stats", "pandas", "sympy", "matplotlib",
    "plotly", "PIL", "alembic", "sqlalchemy", "optuna_dashboard",
)  # fmt: skip
READING = [
    ["study", "list"],
    ["study", "status", "finished"],
    ["study", "best", "finished"],
    ["study", "leaderboard", "finished"],
    ["trial", "show", "finished", "1"],
    ["study", "diff", "finished", "finished"],
    ["doctor", "finished"],
    ["space", "show", str(SPACE)],
    ["space", "check", str(SPACE)],
    ["data", "list"],
    ["storage", "copy", "--help"],
    ["schema", "study"],
]


def test_short_commands_load_nothing_heavy_that_they_do_not_need(tmp_path: Path) -> None:
    check_modules(COMMANDS, NEEDLESS, tmp_path)


def test_commands_that_read_a_run_load_little_besides_optuna(tmp_path: Path) -> None:
    unpack_recorded_runs(tmp_path / "runs")
    check_modules(READING, HEAVY, tmp_path)


def test_a_report_loads_no_torch(tmp_path: Path) -> None:
    unpack_recorded_runs(tmp_path / "runs")
    needless = ("torch", "torchvision", "ray", "alembic", "optuna_dashboard")
    check_modules([["study", "report", "finished", "--format", "md"]], needless, tmp_path)


def check_modules(commands: list[list[str]], needless: Sequence[str], folder: Path) -> None:
    code = (
        "import json, sys\n"
        "from searchlab.cli.main import main\n"
        "commands, needless = json.loads(sys.argv[1])\n"
        "for command in commands:\n"
        "    try: main(command)\n"
        "    except SystemExit as end: assert not end.code, command\n"
        "    loaded = sorted(sys.modules.keys() & set(needless))\n"
        "    assert not loaded, f'{command} has loaded {loaded}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([commands, needless])],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

"""What short commands import: nothing that takes seconds and that they do not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


def test_short_commands_load_nothing_heavy_that_they_do_not_need(tmp_path: Path) -> None:
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
        [sys.executable, "-c", code, json.dumps([COMMANDS, NEEDLESS])],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

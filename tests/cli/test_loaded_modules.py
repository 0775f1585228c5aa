"""What short commands import: nothing that takes seconds and that they do not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[:2]))
def test_a_short_command_loads_nothing_heavy_that_it_does_not_need(
    command: list[str], tmp_path: Path
) -> None:
    code = (
        "import json, sys\n"
        "from searchlab.cli.main import main\n"
        "try:\n    main(sys.argv[2:])\n"
        "finally:\n    open(sys.argv[1], 'w').write(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "loaded.json", *command],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = json.loads((tmp_path / "loaded.json").read_text())
    assert set(NEEDLESS).isdisjoint(loaded)

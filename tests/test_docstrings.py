"""Python may run without docstrings (PYTHONOPTIMIZE=2): what is read from them is still there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from searchlab.docstrings import docstring_of

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.yaml"


def documented() -> None:
    """Say what it does.

    And more.
    """


def bare() -> None:
    return None


def test_a_docstring_is_read_from_the_source_if_python_dropped_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = "Say what it does.\n\nAnd more."
    assert docstring_of(documented) == expected
    monkeypatch.setattr(documented, "__doc__", None)
    assert docstring_of(documented) == expected
    assert docstring_of(bare) == ""
    assert docstring_of(eval("lambda: None")) == "", "there is no source"


# Together in one process, because each process loads torch.
RUN_COMMANDS = """
import sys
from searchlab.cli.main import main
for command in sys.argv[1:]:
    sys.argv = ["searchlab", *command.split()]
    try:
        main()
    except SystemExit as end:
        print(f"=> {end.code}")
"""


def test_commands_work_without_docstrings_or_say_what_cannot(tmp_path: Path) -> None:
    words = {
        "space families": "Residual network of 18, 34 or 50 layers",
        "space families cnn": "number of convolution blocks",
        "study --help": "Run a study from its file.",
        "study new --help": "Write a study file from flags.",
        "data list": "fashion_mnist",
        f"study run {QUICKSTART} --runs-dir runs": "",
    }
    done = subprocess.run(
        [sys.executable, "-OO", "-c", RUN_COMMANDS, *words],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    shown = re.split(r"=> (.*)\n", done.stdout)
    assert shown[1::2] == [*["0"] * 5, "2"], done.stderr
    for text, expected in zip(shown[::2], words.values(), strict=False):
        assert expected in text
    assert "Ray needs docstrings" in done.stderr
    assert "--engine serial" in done.stderr
    assert not list(tmp_path.iterdir())

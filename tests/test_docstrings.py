"""Python may run without docstrings (PYTHONOPTIMIZE=2): what is read from them is still there."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("space families", "Residual network of 18, 34 or 50 layers"),
        ("space families cnn", "number of convolution blocks"),
        ("study --help", "Run a study from its file."),
        ("study new --help", "Write a study file from flags."),
        ("data list", "fashion_mnist"),
    ],
)
def test_commands_work_without_docstrings(command: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "searchlab", *command.split()], capture_output=True, text=True,
        env={**os.environ, "PYTHONOPTIMIZE": "2", "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_what_ray_cannot_do_without_docstrings_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "searchlab", "study", "run", str(QUICKSTART), "--runs-dir", "runs"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONOPTIMIZE": "2"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Ray needs docstrings" in done.stderr
    assert "--engine serial" in done.stderr
    assert not list(tmp_path.iterdir())

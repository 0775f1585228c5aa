"""Progress in a notebook: one output below the cell, changed as the study goes on."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from test_progress import BEGIN, END, SNAPSHOT, STUDY_END

from searchlab.cli.notebooks import NotebookOutput, find_display
from searchlab.cli.progress import NotebookProgress, make_progress


class Cell:
    """What a notebook shows below a cell."""

    def __init__(self) -> None:
        self.outputs: list[str] = []

    def display(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        self.outputs.append(content["text/plain"])
        return SimpleNamespace(update=self._update)

    def _update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.outputs[-1] = content["text/plain"]


@pytest.fixture
def cell() -> Cell:
    return Cell()


def test_a_study_has_one_output_from_beginning_to_end(cell: Cell) -> None:
    progress = NotebookProgress(NotebookOutput(cell.display))
    progress.begin_phase("starting Ray")
    assert cell.outputs[0].startswith("starting Ray")
    progress.begin_study(BEGIN, SNAPSHOT)
    for _ in range(50):
        progress.end_trial(END, SNAPSHOT)
    progress.announce("host a was lost")
    progress.end_study(STUDY_END, SNAPSHOT)
    [output] = cell.outputs
    assert output.startswith("host a was lost\n")
    assert "baselines" in output


def test_a_study_that_does_not_begin_leaves_nothing(cell: Cell) -> None:
    progress = NotebookProgress(NotebookOutput(cell.display))
    progress.begin_phase("reading the images")
    progress.stop()
    assert cell.outputs == [""]


def test_only_a_kernel_is_a_notebook(monkeypatch: pytest.MonkeyPatch, cell: Cell) -> None:
    def pretend(shell: object) -> None:
        ipython = SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
        display = SimpleNamespace(display=cell.display)
        monkeypatch.setitem(sys.modules, "IPython.display", display)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert find_display() is None
    pretend(None)
    assert find_display() is None
    pretend(SimpleNamespace(kernel=None))
    assert find_display() is None
    pretend(SimpleNamespace(kernel=object()))
    assert find_display() == cell.display
    assert isinstance(make_progress(quiet=False), NotebookProgress)

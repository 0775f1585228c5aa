"""Whether Python runs in a notebook, and one output there that can be changed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["NotebookOutput", "find_display"]

Display = Callable[..., Any]
"""``IPython.display.display``."""


def find_display() -> Display | None:
    """Return what shows an output below a notebook's cell; None outside of notebooks.

    A notebook is a kernel of Jupyter, whoever shows it; IPython in a terminal is none.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    show: Display = display
    return show


class NotebookOutput:
    """One output below a cell, made at the first ``show`` and changed by the others."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._handle: Any = None
        self._shown = ""

    def show(self, text: str) -> None:
        """Show the text instead of what was shown."""
        if text == self._shown:
            return
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        self._shown = text

"""Docstrings that are data: a family's summary, the help of a command.

``python -OO`` and PYTHONOPTIMIZE=2 drop docstrings; their source still has them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

__all__ = ["docstring_of"]


def docstring_of(function: Callable[..., Any]) -> str:
    """Return a function's docstring, without its indentation; empty if it has none."""
    if function.__doc__:
        return inspect.cleandoc(function.__doc__)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # there is no source, or not of the function alone
        return ""
    node = tree.body[0]
    return (ast.get_docstring(node) or "") if isinstance(node, ast.FunctionDef) else ""

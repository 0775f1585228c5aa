"""How tables look: on a terminal by rich, in a file as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from searchlab.control_characters import escape_controls, escape_line

if TYPE_CHECKING:
    from rich.console import Console, OverflowMethod

__all__ = ["Column", "escape_tags", "make_table", "markdown_table", "plain_text", "say"]

Column = tuple[str, Literal["left", "right"]]

_TAG = re.compile("<(?=[A-Za-z/!?])")

_NAME_COLUMNS = ("model", "kind", "study", "best", "baselines compared", "meaning")


def make_table(columns: Sequence[Column], *, show_header: bool = True) -> Table:
    """Return an empty table without lines, readable at 80 columns."""
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        show_header=show_header,
    )
    for title, justify in columns:
        # A narrow terminal folds long names; figures are never cut.
        is_name = title in _NAME_COLUMNS
        table.add_column(title, justify=justify, no_wrap=not is_name, overflow="fold")
    return table


def plain_text(
    text: str,
    style: str = "",
    *,
    overflow: OverflowMethod | None = None,
    no_wrap: bool | None = None,
) -> Text:
    """Return a line for rich that is neither markup nor able to steer the terminal.

    Names, paths and what a record holds may look like markup, and may hold control characters.
    """
    return Text(escape_line(text), style, overflow=overflow, no_wrap=no_wrap)


def say(console: Console, text: str, *, style: str = "") -> None:
    """Print text as ``plain_text`` makes it, with its line ends."""
    console.print(Text(escape_controls(text), style=style))


def markdown_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, a line for each row, with Markdown's own characters escaped."""
    rules = ["---:" if justify == "right" else "---" for _, justify in columns]
    body = [[_escape(cell) for cell in row] for row in ([title for title, _ in columns], *rows)]
    lines = [body[0], rules, *body[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _escape(cell: str) -> str:
    text = escape_line(cell).replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")
    return escape_tags(text)


def escape_tags(text: str) -> str:
    """Return text for Markdown in which nothing is a tag of HTML."""
    return _TAG.sub(r"\\<", text)

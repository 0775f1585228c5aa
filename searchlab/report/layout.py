"""How tables look: on a terminal by rich, in a file as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "make_table", "markdown_table", "say"]

Column = tuple[str, Literal["left", "right"]]

_NAME_COLUMNS = ("model", "kind", "study", "best", "baselines compared")


def make_table(columns: Sequence[Column]) -> Table:
    """Return an empty table without lines, readable at 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title, justify in columns:
        # A narrow terminal folds long names; figures are never cut.
        is_name = title in _NAME_COLUMNS
        table.add_column(title, justify=justify, no_wrap=not is_name, overflow="fold")
    return table


def say(console: Console, text: str, *, style: str = "") -> None:
    """Print text as it is, because names and paths may look like rich's markup."""
    console.print(Text(text, style=style))


def markdown_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, a line for each row, with Markdown's own characters escaped."""
    rules = ["---:" if justify == "right" else "---" for _, justify in columns]
    body = [[_escape(cell) for cell in row] for row in ([title for title, _ in columns], *rows)]
    lines = [body[0], rules, *body[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _escape(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")

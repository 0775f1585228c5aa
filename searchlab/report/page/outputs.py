"""A report in other forms: its tables as Markdown, JSON or CSV, and its figures as files."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from searchlab.errors import InputError
from searchlab.report.layout import escape_tags, markdown_table
from searchlab.report.page.blocks import (
    Block,
    Figure,
    Items,
    Lines,
    Paragraph,
    Pictures,
    Section,
    Table,
)

__all__ = ["draw_figures", "report_data", "report_markdown", "table_csvs"]

_WIDTH = 900  # pixels
_PAPER = {"paper_bgcolor": "white", "plot_bgcolor": "white"}  # the page's figures have none


def report_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return all sentences and tables as Markdown. Figures are named where they stand."""
    parts = [f"# {escape_tags(title)}"]
    for section in sections:
        parts += [f"## {escape_tags(section.title)}", escape_tags(section.says)]
        parts += [_to_markdown(block) for block in section.blocks]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _to_markdown(block: Block) -> str:
    if isinstance(block, Paragraph):
        return escape_tags(block.text)
    title = escape_tags(block.title)
    if isinstance(block, Pictures):
        block = block.to_table()
    if isinstance(block, Table):
        return f"### {title}\n\n{markdown_table(block.columns, block.rows)}"
    if isinstance(block, Items):
        return f"### {title}\n\n" + "\n".join(f"- {escape_tags(item)}" for item in block.items)
    if isinstance(block, Lines):
        return f"### {title}\n\n```\n{block.text.rstrip()}\n```"
    return f"(figure: {title})"


def report_data(sections: Sequence[Section]) -> dict[str, Any]:
    """Return each section's sentence, lists and tables, the latter by name with text in cells.

    Pictures are tables that say which images they are.
    """
    return {
        section.key: {
            "says": section.says,
            "lists": {
                one.title: list(one.items) for one in section.blocks if isinstance(one, Items)
            },
            "tables": {
                table.name: {
                    "columns": [name for name, _ in table.columns],
                    "rows": [list(row) for row in table.rows],
                }
                for table in _list_tables(section)
            },
        }
        for section in sections
    }


def table_csvs(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    """Yield each table's name and its text as CSV."""
    for section in sections:
        for table in _list_tables(section):
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow([name for name, _ in table.columns])
            writer.writerows(table.rows)
            yield table.name, text.getvalue()


def _list_tables(section: Section) -> Iterator[Table]:
    for block in section.blocks:
        if isinstance(block, Pictures):
            yield block.to_table()
        elif isinstance(block, Table):
            yield block


def draw_figures(sections: Sequence[Section], folder: Path, image_format: str) -> list[Path]:
    """Write each figure into ``folder`` as PNG or SVG; return the files.

    Raises InputError if Kaleido or the browser that it draws with is missing.
    """
    try:
        import kaleido
        import plotly.graph_objects as go
        from choreographer.errors import ChromeNotFoundError
    except ImportError as error:
        raise InputError(
            "needs Kaleido, which is not installed",
            where="--figures",
            remedy="Install searchlab[figures]",
        ) from error
    logging.getLogger("kaleido").setLevel(logging.ERROR)
    logging.getLogger("choreographer").setLevel(logging.ERROR)
    figures = [one for part in sections for one in part.blocks if isinstance(one, Figure)]
    paths = [folder / f"{one.name}.{image_format}" for one in figures]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        kaleido.write_fig_from_object_sync(
            [
                {
                    "fig": go.Figure(one.figure).update_layout(**_PAPER),
                    "path": str(path),
                    "opts": {"format": image_format, "width": _WIDTH, "scale": 2},
                }
                for one, path in zip(figures, paths, strict=True)
            ]
        )
    except ChromeNotFoundError as error:
        raise InputError(
            "needs Chrome or Chromium to draw with, and finds none",
            where="--figures",
            remedy="Install one",
        ) from error
    return paths

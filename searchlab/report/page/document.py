"""Writing a report as one HTML file: plotly once, styles and figures inside, nothing fetched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from searchlab.control_characters import escape_controls
from searchlab.report.page.blocks import (
    Figure,
    Items,
    Lines,
    Paragraph,
    Pictures,
    Section,
    Table,
)

if TYPE_CHECKING:
    from searchlab.report.page.blocks import Block

__all__ = ["write_html"]


def write_html(title: str, sections: Sequence[Section]) -> str:
    """Return the file's text. All names and texts in it are shown as text, whatever they hold."""
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["kind"] = _name_kind
    environment.filters["clean"] = escape_controls
    figures = [block for part in sections for block in part.blocks if isinstance(block, Figure)]
    return environment.from_string(_read("page.html")).render(
        title=title,
        sections=sections,
        figures=_in_script({one.name: json.loads(one.figure.to_json()) for one in figures}),
        plotly=get_plotlyjs() if figures else "",
        style=_read("page.css"),
        script=_read("page.js"),
    )


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _name_kind(block: Block) -> str:
    kinds = {
        Figure: "figure", Table: "table", Pictures: "pictures", Paragraph: "text", Items: "items",
        Lines: "lines",
    }  # fmt: skip
    return kinds[type(block)]


def _in_script(data: object) -> str:
    """Write JSON that cannot end the element that it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")

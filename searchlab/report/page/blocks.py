"""What a report is made of: sections of sentences, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.report.layout import Column

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "Block",
    "Figure",
    "Items",
    "Lines",
    "Paragraph",
    "Picture",
    "Pictures",
    "Section",
    "Table",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of plotly. ``name`` is unique in the report and names its file.

    A ``wide`` figure needs 700 pixels, so a narrow screen scrolls it.
    """

    name: str
    title: str
    figure: go.Figure
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text. ``name`` is unique in the report. ``bold`` are the numbers of its rows."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    bold: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A small image: a PNG in base64, its longest side in pixels, and a cell for each column."""

    png: str
    longest_side: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A table with an image in each row; the page shows the images, and their cells under them.

    ``name`` is unique in the report, among those of tables too. An empty cell is not shown.
    """

    name: str
    title: str
    columns: Sequence[str]
    pictures: Sequence[Picture]

    def to_table(self) -> Table:
        """Return the cells without the images."""
        return Table(
            name=self.name,
            title=self.title,
            columns=[(column, "left") for column in self.columns],
            rows=[picture.cells for picture in self.pictures],
        )


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list under a title."""

    title: str
    items: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines as they are, such as commands or a file, folded away if ``folded``."""

    title: str
    text: str
    folded: bool = False


Block = Figure | Table | Pictures | Paragraph | Items | Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report. ``says`` is a sentence: what is to be seen in it."""

    key: str
    title: str
    says: str
    blocks: Sequence[Block] = ()

"""Pictures for optuna-dashboard, as SVG: learning curves, and which class is taken for which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from searchlab.control_characters import escape_line
from searchlab.report.page.charts import COLORS

if TYPE_CHECKING:
    from searchlab.analysis.confusions import Counts

__all__ = ["Line", "Panel", "draw_matrix", "draw_panels"]

_WIDTH, _HEIGHT = 420, 300  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 56, 40  # around what is drawn
_INK, _GRID, _PAPER = "#333333", "#dddddd", "#ffffff"  # on white, in a dark dashboard too
_FONT: dict[str, object] = {"font_family": "sans-serif", "font_size": 12, "fill": _INK}
_CELL = 26
_LONGEST_NAME = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve by epoch; None where it is not known. A thin one is one of many."""

    name: str
    values: Sequence[float | None]
    color: str
    is_thin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A diagram of curves over the epochs."""

    title: str
    lines: Sequence[Line] = field(default_factory=tuple)

    @property
    def values(self) -> list[float]:
        """Every number in it."""
        return [
            value
            for line in self.lines
            for value in line.values
            if value is not None and math.isfinite(value)
        ]


def draw_panels(panels: Sequence[Panel]) -> str:
    """Draw diagrams side by side."""
    picture = _start(_WIDTH * len(panels), _HEIGHT)
    for index, panel in enumerate(panels):
        place = _add(picture, "g", transform=f"translate({index * _WIDTH} 0)")
        _draw_panel(place, panel)
    return ET.tostring(picture, encoding="unicode")


def _draw_panel(place: ET.Element, panel: Panel) -> None:
    _write(place, _LEFT, 20, panel.title, font_weight="bold")
    values = panel.values
    if not values:
        return
    ticks = _choose_ticks(min(values), max(values))
    low, high = min(*values, ticks[0]), max(*values, ticks[-1])
    last = max(len(line.values) for line in panel.lines)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(epoch: float, value: float) -> tuple[float, float]:
        x = _LEFT + width * ((epoch - 1) / (last - 1) if last > 1 else 0.5)
        return round(x, 1), round(_TOP + height * (high - value) / (high - low), 1)

    for tick in ticks:
        _, y = at(1, tick)
        _stroke(place, [(_LEFT, y), (_WIDTH - _RIGHT, y)], _GRID)
        _write(place, _LEFT - 6, y + 4, f"{tick:.6g}", text_anchor="end")
    for epoch in sorted({1, (1 + last) // 2, last}):
        _write(place, at(epoch, low)[0], _HEIGHT - 22, str(epoch), text_anchor="middle")
    _write(place, _LEFT + width / 2, _HEIGHT - 6, "epoch", text_anchor="middle")
    for line in sorted(panel.lines, key=lambda line: not line.is_thin):
        known = [
            at(epoch, value)
            for epoch, value in enumerate(line.values, 1)
            if value is not None and math.isfinite(value)
        ]
        _stroke(place, known, line.color, opacity=0.35 if line.is_thin else 1.0)
        if not line.is_thin:
            for x, y in known:
                _add(place, "circle", cx=x, cy=y, r=2.5, fill=line.color)
    named = [line for line in panel.lines if line.name]
    for index, line in enumerate(named):
        _write(place, _LEFT + index * width / len(named), 40, line.name, fill=line.color)


def _choose_ticks(low: float, high: float) -> list[float]:
    """Return round numbers across a range, at most six, which may end inside it."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= span / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * index, 12) for index in range(first, max(last, first + 1) + 1)]


def draw_matrix(counts: Counts, names: Sequence[str], title: str) -> str:
    """Draw which class is taken for which, in images; the colour leaves the right answers out."""
    num, longest = len(names), 7 * min(_LONGEST_NAME, max(map(len, names)))
    left, top = 40 + longest, 64 + longest
    picture = _start(max(left + num * _CELL + 12, 9 * len(title)), top + num * _CELL + 12)
    _write(picture, 12, 20, title, font_weight="bold")
    _write(picture, 12, 40, "rows: true class, columns: answer, cells: images")
    mixed = [counts[row, column] for row in range(num) for column in range(num) if row != column]
    most = max(mixed, default=0.0) or 1.0
    for index, name in enumerate(names):
        text = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        middle = top + index * _CELL + _CELL / 2
        _write(picture, left - 6, middle + 4, text, text_anchor="end")
        x = left + index * _CELL + _CELL / 2 + 4
        _write(picture, x, top - 6, text, transform=f"rotate(-90 {x} {top - 6})")
        for column in range(num):
            images = float(counts[index, column])
            share = 0.0 if column == index else images / most
            empty = "#f2f2f2" if column == index else _PAPER
            _add(
                picture, "rect", x=left + column * _CELL, y=top + index * _CELL, width=_CELL,
                height=_CELL, stroke=_GRID, fill=COLORS[1] if share else empty,
                fill_opacity=f"{share or 1.0:.3f}",
            )  # fmt: skip
            if images:
                cell = f"{images:.0f}" if images >= 10 else f"{images:.1f}".removesuffix(".0")
                middle_x = left + column * _CELL + _CELL / 2
                _write(
                    picture, middle_x, middle + 4, cell,
                    text_anchor="middle", font_size=10,
                )  # fmt: skip
    return ET.tostring(picture, encoding="unicode")


def _start(width: float, height: float) -> ET.Element:
    picture = ET.Element("svg", xmlns="http://www.w3.org/2000/svg")
    for name, value in (("width", width), ("height", height)):
        picture.set(name, f"{value:g}")
    picture.set("viewBox", f"0 0 {width:g} {height:g}")
    _add(picture, "rect", width="100%", height="100%", fill=_PAPER)
    return picture


def _add(place: ET.Element, tag: str, **attributes: object) -> ET.Element:
    named = {name.replace("_", "-"): str(value) for name, value in attributes.items()}
    return ET.SubElement(place, tag, named)


def _write(place: ET.Element, x: float, y: float, text: str, **look: object) -> None:
    node = _add(place, "text", **{"x": f"{x:g}", "y": f"{y:g}", **_FONT, **look})
    node.text = escape_line(text)


def _stroke(
    place: ET.Element, points: Sequence[tuple[float, float]], color: str, *, opacity: float = 1.0
) -> None:
    path = " ".join(f"{x},{y}" for x, y in points)
    _add(
        place, "polyline", points=path, fill="none", stroke=color, stroke_opacity=opacity,
        stroke_width=1.5,
    )  # fmt: skip

"""Pictures in optuna-dashboard: what is drawn is what was measured, and names are only text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from searchlab.report.dashboard.pictures import Line, Panel, draw_matrix, draw_panels


def find(picture: str, tag: str) -> list[ET.Element]:
    return [node for node in ET.fromstring(picture).iter() if node.tag.endswith(f"}}{tag}")]


def test_a_curve_is_drawn_to_scale() -> None:
    line = Line(name="validation", values=[10.0, 20.0, 40.0], color="#123456")
    points = find(draw_panels([Panel(title="accuracy", lines=[line])]), "circle")
    x = [float(point.get("cx", "")) for point in points]
    y = [float(point.get("cy", "")) for point in points]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1])
    assert y[1] - y[2] == pytest.approx(2 * (y[0] - y[1]), abs=0.2), "up is more"


def test_gaps_and_infinities_are_left_out() -> None:
    line = Line(name="", values=[None, 1.0, float("inf"), float("nan"), 2.0], color="#123456")
    assert len(find(draw_panels([Panel(title="loss", lines=[line])]), "circle")) == 2


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e-9, 2e-9], [-3.0, 7e6], []])
def test_any_range_has_a_picture(values: list[float]) -> None:
    picture = draw_panels(
        [Panel(title="t", lines=[Line(name="n", values=values, color="#000000")])]
    )
    assert len(find(picture, "circle")) == len(values)


def test_a_matrix_shows_each_count_and_its_names() -> None:
    counts = np.array([[9.0, 1.0, 0.0], [2.5, 7.5, 0.0], [0.0, 0.0, 12.0]])
    picture = draw_matrix(counts, ["cat", "dog", "a class of a long name"], "title")
    texts = [node.text for node in find(picture, "text")]
    assert [text for text in texts if text and text[0].isdigit()] == ["9", "1", "2.5", "7.5", "12"]
    assert texts.count("cat") == 2
    assert "a class of a …" in texts


def test_names_are_text_in_a_picture() -> None:
    name = "<script>alert(1)</script>&\x1b"
    line = Line(name=name, values=[1.0], color="#000000")
    for picture in (
        draw_panels([Panel(title=name, lines=[line])]),
        draw_matrix(np.eye(1), [name], name),
    ):
        assert "<script" not in picture
        assert find(picture, "script") == []
        assert "\x1b" not in picture

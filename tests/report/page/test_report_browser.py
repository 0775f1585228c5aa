"""Reports in a real browser, without a network: what a reader sees."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from small_studies import run_study

from searchlab.report.page.blocks import Figure
from searchlab.report.page.outputs import draw_figures
from searchlab.report.page.report import make_report, write_report
from searchlab.report.reading import StudyReading, read_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_FUNCTION = """
def space(trial):
    lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    return {"lr": lr, "family": "cnn", "cnn": {"depth": 1, "width": 8, "activation": "relu"}}
"""

# Text that a figure's edge cuts off: outside of the drawing that it belongs to.
_CUT_TEXTS = """() => [...document.querySelectorAll('.plot')].flatMap(plot => {
  const edge = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < edge.left - 2 || box.right > edge.right + 2
      || box.top < edge.top - 2 || box.bottom > edge.bottom + 2);
  }).map(text => plot.id + ': ' + text.textContent);
})"""
_UNDRAWN = """() => [...document.querySelectorAll('.plot')].filter(plot =>
  !plot.querySelector('.scatterlayer .trace path, .barlayer .point path, .contour path,'
    + ' .heatmaplayer image, .parcoords .axis')).map(plot => plot.id)"""


def _run(folder: Path, **changes: Any) -> StudyReading:
    small = {"validation": {"folds": 3, "search_folds": 1}, "training": {"epochs": 3}}
    return read_study(run_study(folder, "serial", **{**small, **changes}), None)


def _finish(folder: Path) -> StudyReading:
    return _run(folder, confirm={"top": 1, "repeats": 2})


def _several_objectives(folder: Path) -> StudyReading:
    objectives = [{"metric": "accuracy"}, {"metric": "parameters"}]
    return _run(folder, objective=objectives, search={"pruner": "none"})


def _function_space(folder: Path) -> StudyReading:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reported_space.py").write_text(_FUNCTION)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return _run(folder, space="reported_space:space")


CASES: dict[str, Callable[[Path], StudyReading]] = {
    "finished": _finish,
    "several objectives": _several_objectives,
    "Python function": _function_space,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(_CHROMIUM).exists():
        pytest.skip(f"needs {_CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=CASES)
def reading(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> StudyReading:
    return CASES[request.param](tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_every_figure_is_drawn_and_no_text_is_cut(
    browser: Browser, reading: StudyReading, tmp_path: Path, width: int, scheme: Any
) -> None:
    page, faults = _open(browser, reading, tmp_path, width=width, scheme=scheme)
    assert faults == []
    assert page.locator(".plot").count() >= 6
    assert page.evaluate(_UNDRAWN) == []
    assert page.evaluate(_CUT_TEXTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h2").all_inner_texts()[0] == "Answer"
    page.context.close()


def test_a_click_on_a_title_sorts_the_table(
    browser: Browser, reading: StudyReading, tmp_path: Path
) -> None:
    page, _ = _open(browser, reading, tmp_path, width=1280, scheme="light")
    title = page.locator("#table-leaderboard th", has_text="trial")
    cells = "#table-leaderboard td:nth-child(2)"
    for reverse in (True, False):
        title.locator("button").click()
        numbers = [int(text.removeprefix("#")) for text in page.locator(cells).all_inner_texts()]
        assert numbers == sorted(numbers, reverse=reverse)
    page.context.close()


def test_figures_are_written_as_files(reading: StudyReading, tmp_path: Path) -> None:
    [part] = [one for one in make_report(reading) if one.key == "folds"]
    part = replace(part, blocks=part.blocks[:1])
    for image, head in (("png", b"\x89PNG"), ("svg", b"<svg")):
        [path] = draw_figures([part], tmp_path / "figures", image)
        assert path == tmp_path / "figures" / f"folds.{image}"
        assert path.read_bytes().startswith(head)
    [folds] = part.blocks
    assert isinstance(folds, Figure)
    assert folds.figure.layout.paper_bgcolor == "rgba(0,0,0,0)", "the page's stays as it is"


def _open(
    browser: Browser, reading: StudyReading, folder: Path, *, width: int, scheme: Any
) -> tuple[Page, list[str]]:
    """Return the report's page, drawn, and what its console complained of."""
    file = folder / "report.html"
    file.write_text(write_report(reading), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda one: faults.append(one.text) if one.type != "log" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url[:200]))
    page.goto(file.as_uri(), timeout=120_000)
    page.wait_for_function(
        "document.querySelectorAll('.plot .main-svg').length"
        " >= document.querySelectorAll('.plot').length",
        timeout=60_000,
    )
    return page, faults

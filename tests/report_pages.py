"""Reports in a real browser, without a network: opening one, and what is wrong with its looks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIEWS: tuple[tuple[int, Any], ...] = ((1280, "light"), (1280, "dark"), (360, "light"))
"""The widths in pixels and the colour schemes in which a report is looked at."""

_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

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

# Small images that are not shown whole, or whose caption does not fit under them.
_CUT_PICTURES = """() => [...document.querySelectorAll('.pictures li')].filter(one => {
  const image = one.querySelector('img');
  return !image.naturalWidth || image.getBoundingClientRect().right > innerWidth
    || one.scrollWidth > one.clientWidth;
}).map(one => one.innerText)"""


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Start a headless Chromium; the test is skipped where there is none."""
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


@contextmanager
def open_page(
    browser: Browser, file: Path, *, width: int = 1280, scheme: Any = "light"
) -> Iterator[tuple[Page, list[str]]]:
    """Open a report's page, and wait until it is drawn; the list is what its console says."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda one: faults.append(one.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url[:200]))
    page.goto(file.absolute().as_uri(), timeout=120_000)
    page.wait_for_function(
        "document.querySelectorAll('.plot .main-svg').length"
        " >= document.querySelectorAll('.plot').length",
        timeout=60_000,
    )
    yield page, faults
    context.close()


def check_page(browser: Browser, file: Path, *, width: int, scheme: Any) -> set[str]:
    """Assert that a report shows all that it has, without a complaint; return its figures."""
    with open_page(browser, file, width=width, scheme=scheme) as (page, faults):
        assert faults == []
        assert page.evaluate(_UNDRAWN) == []
        assert page.evaluate(_CUT_TEXTS) == []
        assert page.evaluate(_CUT_PICTURES) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("h2").all_inner_texts()[0] == "Answer"
        names = "plots => plots.map(plot => plot.dataset.figure)"
        return set(page.locator(".plot").evaluate_all(names))

"""optuna-dashboard on a finished study, in a real browser: what a user looks at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from searchlab.config.documents import Document
from searchlab.config.loading import StudyFile
from searchlab.config.study import StudySpec
from searchlab.config.validation import validate_document
from searchlab.engine.launch import RunOptions, begin_study
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.reading import read_study

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_BASELINE_SCHEMES = ("HF", "DT")
_NUM_SEARCHED = 12
_HOSTILE = "<img src=x onerror=alert(1)>**b**[l](https://e.x) www.e.x $x$"
_WHOLE, _BASELINES, _SEARCH, _FINALISTS = 5, 4, 3, 2  # the studies of the run, by key

# Small enough for a few seconds. Its search names cnn alone; its baselines are a1.
_STUDY = {
    "name": "watched",
    "dataset": {"name": "digits"},
    "space": {
        "parameters": {
            "lr": {"low": 1.0e-3, "high": 1.0e-1, "log": True},
            "batch_size": [64, 128],
            "family": {
                "cnn": {"depth": [1, 2], "width": {"each_layer": [4, 8]}, "activation": "relu"},
            },
        }
    },
    "search": {"sampler": "tpe", "pruner": "median", "trials": _NUM_SEARCHED, "seed": 0},
    "training": {"epochs": 2, "optimizer": "adam", "lr": 3.0e-3, "batch_size": 64},
    "validation": {"folds": 2, "search_folds": 1},
    "baselines": {
        "architectures": ["a1"],
        "schemes": list(_BASELINE_SCHEMES),
        "rows": [{"name": _HOSTILE, "architecture": "a1", "scheme": "HT"}],
    },
    "confirm": {"top": 1, "repeats": 0},
    "resources": {"gpus": 0},
}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished study of digits."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "watched")
    document = Document(source="test", data=_STUDY)
    file = StudyFile(spec=validate_document(StudySpec, document), document=document)
    begin_study(file, folder, RunOptions(data_dir=folder.path.parent, engine="serial"))
    return folder


@pytest.fixture(scope="module")
def address(run_folder: RunFolder) -> Iterator[str]:
    """The dashboard of that study, as a user starts it."""
    command = [sys.executable, "-m", "searchlab", "dashboard", str(run_folder.path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert match, line
            yield match[0]
        finally:
            process.kill()


@dataclass(slots=True)
class Visit:
    """A page, and what went wrong in it."""

    page: Page
    address: str
    errors: list[str] = field(default_factory=list)

    def open(self, path: str, *plots: str, study: int = _WHOLE) -> None:
        """Open one of a study's pages and wait until these plots are drawn."""
        self.page.goto(f"{self.address}dashboard/studies/{study}{path}")
        self.wait_for(*plots)

    def wait_for(self, *plots: str) -> None:
        """Wait until these plots are drawn."""
        for plot in plots:
            self.page.wait_for_function(
                "id => document.getElementById(id)?.data?.length > 0"
                " && document.getElementById(id).querySelector('.main-svg')",
                arg=plot,
            )
        if pictures := os.environ.get("SEARCHLAB_TEST_PICTURES"):
            self.page.wait_for_timeout(1000)  # plots grow into their place
            name = self.page.url.partition("/dashboard")[2].strip("/").replace("/", "-")
            self.page.screenshot(path=str(Path(pictures) / f"{name}.png"))

    def read_plot(self, plot: str) -> list[dict[str, Any]]:
        """Return a plot's traces, as Plotly drew them."""
        traces: list[dict[str, Any]] = self.page.evaluate(
            """id => document.getElementById(id).data.map(trace => ({
                name: trace.name,
                x: Array.from(trace.x ?? []),
                y: Array.from(trace.y ?? []),
                dimensions: (trace.dimensions ?? []).map(dimension => ({
                    label: dimension.label,
                    values: Array.from(dimension.values),
                    ticks: Array.from(dimension.ticktext ?? []),
                })),
            }))""",
            plot,
        )
        return traces

    def assert_no_complaint(self) -> None:
        """No exception, no error on the console, no error toast."""
        assert self.errors == []
        assert self.page.locator("[class*='notistack-MuiContent-error']").count() == 0
        assert self.page.locator("[class*='MuiAlert-'][class*='Error']").count() == 0


@pytest.fixture
def visit(address: str) -> Iterator[Visit]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(_CHROMIUM).exists():
        pytest.skip(f"needs chromium at {_CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1500, "height": 1400})
        page.set_default_timeout(90_000)
        visit = Visit(page, address)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.on(
            "console",
            lambda message: visit.errors.append(message.text) if message.type == "error" else None,
        )
        yield visit
        browser.close()


@pytest.fixture(scope="module")
def trials(run_folder: RunFolder) -> list[optuna.trial.FrozenTrial]:
    storage = open_storage(run_folder.storage_url())
    return optuna.load_study(study_name=run_folder.path.name, storage=storage).trials


def of_role(trials: list[optuna.trial.FrozenTrial], role: str) -> set[int]:
    return {trial.number for trial in trials if trial.user_attrs["role"] == role}


def test_history_shows_every_trial_baselines_included(
    visit: Visit, trials: list[optuna.trial.FrozenTrial]
) -> None:
    visit.open("", "plot-history")
    shown = {number for trace in visit.read_plot("plot-history") for number in trace["x"]}
    assert of_role(trials, "baseline") <= shown
    assert shown == {trial.number for trial in trials}
    visit.assert_no_complaint()


def test_importance_is_computed_for_shared_and_conditional_parameters(visit: Visit) -> None:
    plot = "graph-hyperparameter-importances"
    visit.open("", plot)
    (bars,) = visit.read_plot(plot)
    assert {"lr", "batch_size", "family", "a1.scheme", "cnn.depth", "cnn.layer0.width"} <= set(
        bars["y"]
    )
    assert sum(bars["x"]) == pytest.approx(1.0)
    visit.assert_no_complaint()


def test_parallel_coordinates_hold_the_baselines_among_the_families(
    visit: Visit, trials: list[optuna.trial.FrozenTrial]
) -> None:
    plot = "plot-parallel-coordinate"
    visit.open("/smartSelection", plot)
    (trace,) = visit.read_plot(plot)
    axes = {axis["label"]: axis for axis in trace["dimensions"]}
    assert {"lr", "batch_size", "family"} <= set(axes)
    family = axes["family"]
    assert set(family["ticks"]) == {"a1", "cnn"}
    lines_of_a1 = family["values"].count(family["ticks"].index("a1"))
    assert lines_of_a1 == len(of_role(trials, "baseline")) == len(_BASELINE_SCHEMES) + 1
    visit.assert_no_complaint()


def test_it_says_what_the_leaderboard_says(visit: Visit, run_folder: RunFolder) -> None:
    reading = read_study(run_folder, None)
    first = build_leaderboard(reading.records, reading.spec).rows[0]
    visit.open("", "plot-history", "user-defined-plot:history")
    assert visit.page.get_by_text(f"Best Trial (number={first.number})").count() == 1
    assert visit.page.get_by_text(str(first.cv_mean), exact=True).count() == 1
    visit.open("/note")
    table = visit.page.locator("table").first
    table.wait_for()
    assert table.locator("tr").nth(1).inner_text().split()[:2] == ["1", f"#{first.number}"]
    visit.assert_no_complaint()


def test_roles_are_told_apart(visit: Visit, trials: list[optuna.trial.FrozenTrial]) -> None:
    visit.open("", "plot-history", "user-defined-plot:history", study=_SEARCH)
    drawn = {number for trace in visit.read_plot("plot-history") for number in trace["x"]}
    assert drawn == of_role(trials, "search")
    names = {trace["name"] for trace in visit.read_plot("user-defined-plot:history")}
    assert {"search", "finalist, all folds", "baseline a1/DT"} <= names
    compared = f"{_BASELINES},{_SEARCH},{_FINALISTS}"
    visit.page.goto(f"{visit.address}dashboard/compare-studies?ids={compared}")
    visit.wait_for("plot-history")
    numbers = {
        trace["name"].removeprefix("accuracy of watched "): set(trace["x"])
        for trace in visit.read_plot("plot-history")
        if trace["name"].startswith("accuracy of")
    }
    assert numbers == {
        "(baselines)": of_role(trials, "baseline"),
        "(search)": of_role(trials, "search"),
        "(finalists)": of_role(trials, "finalist"),
    }
    visit.assert_no_complaint()


def test_a_trial_shows_its_curves(visit: Visit) -> None:
    visit.open("/trials?numbers=0")
    picture = visit.page.locator("img[alt='curves-0.svg']")
    picture.wait_for()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 400
    visit.assert_no_complaint()


@pytest.mark.parametrize("path", ["", "/note", "/trials?numbers=2", "/smartSelection"])
def test_names_are_text_on_every_page(visit: Visit, path: str) -> None:
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    visit.open(path)
    visit.page.wait_for_load_state("networkidle")
    visit.page.wait_for_timeout(2000)
    if path in ("/note", "/trials?numbers=2"):
        shown = visit.page.locator("main, #root, body").first.inner_text()
        assert _HOSTILE in shown.replace("\u2060", "")
    assert visit.page.locator("img[src='x']").count() == 0
    assert visit.page.locator("a[href*='e.x']").count() == 0
    assert visit.page.get_by_text("b", exact=True).count() == 0
    assert dialogs == []
    visit.assert_no_complaint()

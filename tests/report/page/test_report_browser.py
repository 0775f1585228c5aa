"""Reports of every kind of study in a real browser, without a network: what a reader sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from report_pages import VIEWS, check_page, open_page, start_browser
from small_studies import NO_DATA, run_study

from searchlab.config.loading import load_study
from searchlab.data import ImageData
from searchlab.engine.diagnostics.pictures import show_image
from searchlab.engine.launch import RunOptions, begin_study
from searchlab.errors import StudyFailedError
from searchlab.records.run_folder import RunFolder
from searchlab.report.page.blocks import Figure, Pictures, Section
from searchlab.report.page.document import write_html
from searchlab.report.page.outputs import draw_figures
from searchlab.report.page.pictures import picture
from searchlab.report.page.report import make_report, write_report
from searchlab.report.reading import StudyReading, read_study
from searchlab.training.member import Member

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

_ROOT = Path(__file__).parents[3]
_FUNCTION = """
def space(trial):
    lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    return {"lr": lr, "family": "cnn", "cnn": {"depth": 1, "width": 8, "activation": "relu"}}
"""
_PLUGIN_SPACE = {
    "parameters": {
        "lr": {"low": 1e-3, "high": 1e-1, "log": True},
        "family": {"separable": {"depth": [1, 2], "width": {"each_layer": [2, 4]}}},
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A study, and some figures that its report must have."""

    run: Callable[[Path], StudyReading]
    figures: frozenset[str] = frozenset({"history", "gain", "folds", "inset-a2-accuracy"})
    says: str = ""


def _run(folder: Path, **changes: Any) -> StudyReading:
    small = {"validation": {"folds": 3, "search_folds": 1}, "training": {"epochs": 3}}
    return read_study(run_study(folder, "serial", **{**small, **changes}), None)


def _finish(folder: Path) -> StudyReading:
    report = {"diagnostics": ["errors"]}
    return _run(folder, confirm={"top": 1, "repeats": 2}, report=report)


def _several_objectives(folder: Path) -> StudyReading:
    objectives = [{"metric": "accuracy"}, {"metric": "parameters"}]
    return _run(folder, objective=objectives, search={"pruner": "none"})


def _function_space(folder: Path) -> StudyReading:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reported_space.py").write_text(_FUNCTION)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return _run(folder, space="reported_space:space")


def _one_factor(folder: Path) -> StudyReading:
    search = {"sampler": "one_at_a_time", "pruner": "none", "trials": None, "points": 3}
    return _run(folder, search=search, training={"epochs": 1})


def _plugin_family(folder: Path) -> StudyReading:
    plugin = str(_ROOT / "examples" / "my_family.py")
    return _run(folder, space=_PLUGIN_SPACE, plugins=[plugin], training={"epochs": 1})


def _interrupted(folder: Path) -> StudyReading:
    """Return a study as it is read while its third search trial would have trained."""
    finished = _run(folder, training={"epochs": 1}, search={"pruner": "none"})
    running = replace(finished.records[8], state="RUNNING", value=None, values=(), fold_values=())
    return replace(
        finished,
        records=[*finished.records[:8], running],
        trials=finished.trials[:9],
        is_finished=False,
    )


def _all_failed(folder: Path) -> StudyReading:
    def fail(member: Member, epoch: int) -> tuple[float, float]:
        raise RuntimeError("no <b>memory</b> & no luck")

    search = {"trials": 3, "max_failures_in_row": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Member, "train_epoch", fail)
        with pytest.raises(StudyFailedError):
            _run(folder, search=search, baselines={"architectures": []}, confirm={"top": 0})
    return read_study(RunFolder(folder / "runs" / "tiny"), None)


def _quickstart(folder: Path) -> StudyReading:
    run = RunFolder(folder / "runs" / "quickstart")
    fewer = ("search.trials=8", "training.epochs=1", "confirm.top=1", "confirm.repeats=2")
    file = load_study(_ROOT / "studies" / "quickstart.yaml", fewer)
    begin_study(file, run, RunOptions(data_dir=NO_DATA, engine="serial"))
    return read_study(run, None)


KINDS = {
    "quickstart": Kind(run=_quickstart, figures=frozenset({"recovery-accuracy", "fold-pair"})),
    "finished": Kind(run=_finish),
    "several objectives": Kind(run=_several_objectives, figures=frozenset({"pareto"})),
    "Python function": Kind(run=_function_space),
    "one factor": Kind(run=_one_factor, figures=frozenset({"effects", "factor-lr"})),
    "plugin family": Kind(run=_plugin_family),
    "interrupted": Kind(
        run=_interrupted,
        figures=frozenset({"history", "inset-a2-accuracy"}),
        says="The study is interrupted: 8 of 16 trials have ended.",
    ),
    "all failed": Kind(
        run=_all_failed,
        figures=frozenset(),
        says="Mend what made 3 of 3 trials fail. The most frequent cause is: "
        "RuntimeError: no <b>memory</b> & no luck",
    ),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def reading(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> StudyReading:
    return kind.run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def report(reading: StudyReading, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(write_report(reading), encoding="utf-8")
    return file


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_figure_is_drawn_and_no_text_is_cut(
    browser: Browser, kind: Kind, report: Path, width: int, scheme: Any
) -> None:
    assert kind.figures <= check_page(browser, report, width=width, scheme=scheme)


def test_small_images_are_shown_large_and_crisp(browser: Browser, tmp_path: Path) -> None:
    tiny, photo = (show_image(_noise(side), "test", 0) for side in (8, 100))
    name = "x" * 90  # which has no place to be broken at
    pictures = Pictures(
        name="p", title="t", columns=["image", "file", "label"],
        pictures=[picture(one, [name]) for one in (tiny, photo)],
    )  # fmt: skip
    section = Section(key="answer", title="Answer", says="s.", blocks=[pictures])
    file = tmp_path / "report.html"
    file.write_text(write_html("r", [section]), encoding="utf-8")
    check_page(browser, file, width=360, scheme="light")
    with open_page(browser, file, width=360) as (page, _):
        images = page.locator(".pictures img")
        styles = images.evaluate_all("all => all.map(one => getComputedStyle(one).imageRendering)")
        assert styles == ["pixelated", "auto"]
        assert images.evaluate_all("all => all.map(one => one.clientWidth)") == [96, 96]


def _noise(side: int) -> ImageData:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, side, side), dtype=np.uint8)
    labels = np.array([0, 1])
    return ImageData(
        name="noise", train_images=pixels, train_labels=labels, test_images=pixels,
        test_labels=labels, num_classes=2,
    )  # fmt: skip


def test_it_says_what_kind_of_study_it_is(browser: Browser, kind: Kind, report: Path) -> None:
    with open_page(browser, report) as (page, _):
        assert kind.says in page.locator("#answer").inner_text()


def test_a_click_on_a_title_sorts_the_table(browser: Browser, kind: Kind, report: Path) -> None:
    with open_page(browser, report) as (page, _):
        title = page.locator("#table-leaderboard th", has_text="trial")
        cells = "#table-leaderboard td:nth-child(2)"
        for reverse in (True, False):
            title.locator("button").click()
            texts = page.locator(cells).all_inner_texts()
            numbers = [int(text.removeprefix("#")) for text in texts]
            assert numbers == sorted(numbers, reverse=reverse)


def test_figures_are_written_as_files(kind: Kind, reading: StudyReading, tmp_path: Path) -> None:
    if kind is not KINDS["finished"]:
        pytest.skip("one study's are enough")
    [part] = [one for one in make_report(reading) if one.key == "folds"]
    part = replace(part, blocks=part.blocks[:1])
    for image, head in (("png", b"\x89PNG"), ("svg", b"<svg")):
        [path] = draw_figures([part], tmp_path / "figures", image)
        assert path == tmp_path / "figures" / f"folds.{image}"
        assert path.read_bytes().startswith(head)
    [folds] = part.blocks
    assert isinstance(folds, Figure)
    assert folds.figure.layout.paper_bgcolor == "rgba(0,0,0,0)", "the page's stays as it is"

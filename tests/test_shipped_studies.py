"""The studies that ship: each loads and fits its images, and each report's quick preset runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from report_pages import VIEWS, check_page, start_browser

from searchlab.config.changes import describe_quick_look
from searchlab.config.documents import read_yaml
from searchlab.config.loading import load_study
from searchlab.config.study import StudySpec
from searchlab.data import describe_dataset
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import plan_baselines
from searchlab.study.preparation.prepared_study import request_data

STUDIES = Path(__file__).parents[1] / "studies"
FILES = sorted(STUDIES.glob("*.yaml"))
REPORTS = [path for path in FILES if path.stem.startswith("report-")]
# Its weights have to be downloaded.
RUNNABLE = [path for path in REPORTS if path.stem != "report-001-transfer"]

by_name: Any = {"ids": lambda path: path.stem}


def versions(path: Path) -> list[StudySpec]:
    plain = load_study(path)
    presets = plain.spec.presets
    return [plain.spec, *(load_study(path, preset=name).spec for name in presets)]


@pytest.mark.parametrize("path", FILES, **by_name)
def test_study_and_its_presets_load_with_baselines_in_the_space(path: Path) -> None:
    for spec in versions(path):
        assert plan_baselines(spec, SpecSpace(spec))
        facts = describe_dataset(request_data(spec.dataset), STUDIES)
        assert facts.num_classes == 10


@pytest.mark.parametrize("path", REPORTS, **by_name)
def test_report_has_a_quick_preset(path: Path) -> None:
    quick = load_study(path, preset="quick").spec
    assert quick.training.epochs < load_study(path).spec.training.epochs


@pytest.mark.parametrize("path", REPORTS, **by_name)
def test_only_a_reports_quick_preset_is_a_quick_look(path: Path) -> None:
    plain = load_study(path).spec
    assert plain.changed == {}
    for name in plain.presets:
        spec = load_study(path, preset=name).spec
        is_quick = name == "quick" and plain.published is not None
        assert bool(describe_quick_look(spec)) == is_quick, name
        assert name == "quick" or not spec.changed
        if name == "full":
            assert spec.published is not None
            assert spec.published.differs == ""


@pytest.mark.parametrize("path", FILES, **by_name)
def test_every_preset_has_a_run_folder_of_its_own(path: Path) -> None:
    names = [spec.name for spec in versions(path)]
    assert len(set(names)) == len(names)


def transcribe() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Return the second transcription: report, table, row, figure."""
    return read_yaml(Path(__file__).parent / "fixtures" / "published_figures.yaml").data


@pytest.mark.parametrize("name", transcribe())
def test_every_published_figure_is_the_reports(name: str) -> None:
    published = load_study(STUDIES / f"{name}.yaml").spec.published
    assert published is not None
    tables: dict[str, dict[str, dict[str, object]]] = {}
    for row in published.rows:
        rows = tables.setdefault(row.table, {})
        assert row.name not in rows, row
        rows[row.name] = {**row.figures, **row.settings}
    expected = transcribe()[name]
    for row in expected["table 1"].values() if name == "report-001" else ():
        row["seconds_per_epoch"] = row.pop("minutes") * 60 / 50
    assert tables == expected


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("report-000", {"A1-HF": "a1/HF", "A1-HT": "a1/HT", "A1-DT": "a1/DT",
                        "A2-HF": "a2/HF", "A2-HT": "a2/HT", "A2-DT": "a2/DT"}),
        ("report-003", {"lr 0.001": "2conv1fc/DT", "batch 128": "2conv1fc/DT",
                        "none": "2conv1fc/DT", "2 conv, 1 FC": "2conv1fc/DT",
                        "2 FC, 1 conv": "1conv2fc/DT", "all convolutional": "3conv/DT",
                        "all fully connected": "3fc/DT", "Xavier uniform": "xavier uniform",
                        "Kaiming normal": "kaiming normal", "batch 256": "batch 256",
                        **{f"fold {fold}": "lr 0.01" for fold in range(1, 6)}}),
    ],
)  # fmt: skip
def test_a_published_row_stands_beside_the_trial_that_repeats_it(
    name: str, trials: dict[str, str]
) -> None:
    published = load_study(STUDIES / f"{name}.yaml").spec.published
    assert published is not None
    found = {row.name: row.trial for row in published.rows if row.name in trials}
    assert found == trials
    assert all(row.fold == int(row.name[-1]) for row in published.rows if row.name[:5] == "fold ")


@pytest.mark.parametrize("path", REPORTS, **by_name)
def test_a_note_on_how_a_report_chose_says_so_or_calls_it_an_inference(path: Path) -> None:
    """A report's notes state what it says; none says on which images it chose what it shows."""
    published = load_study(path).spec.published
    notes = {str(row.wrong) for row in published.rows} if published else set()
    for sentence in (part for note in notes for part in re.split(r"(?<=\.) ", note)):
        if re.search(r"chos|pick|tuned|select", sentence) and re.search(r"\btest|images", sentence):
            assert re.search(r"infer|does not say|we take", sentence), sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickRun:
    """A report's quick preset, run: its file, what it printed, and its HTML report."""

    path: Path
    printed: str
    report: Path


@pytest.fixture(scope="module", params=RUNNABLE, **by_name)
def quick_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_root: Path
) -> QuickRun:
    path: Path = request.param
    folder = tmp_path_factory.mktemp("runs")
    command = [
        sys.executable, "-m", "searchlab", "study", "run", str(path), "--quick", "--json",
        "--set", "dataset.limit=1000",  # enough to see every row, in less of CI's time
        "--data-dir", str(real_root), "--runs-dir", str(folder),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    name = load_study(path, preset="quick").spec.name
    return QuickRun(path=path, printed=result.stdout, report=folder / name / "report.html")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_quick_preset_runs_and_prints_the_published_figures(quick_run: QuickRun) -> None:
    path = quick_run.path
    data = json.loads(quick_run.printed)
    spec = load_study(path, preset="quick").spec
    complete = [trial for trial in data["trials"] if trial["state"] == "COMPLETE"]
    baselines = {trial["label"] for trial in complete if trial["role"] == "baseline"}
    assert baselines == {row.name for row in spec.baseline_rows}
    assert spec.published is not None
    assert data["quick_look"]
    assert data["verdict"]["outcome"] == "untested"
    assert {pair["outcome"] for pair in data["comparisons"]} <= {"-"}
    assert {figure["difference"] for figure in data["published"]["figures"]} == {None}
    ours = {
        (figure["table"], figure["name"], figure["figure"]): figure["ours"]
        for figure in data["published"]["figures"]
    }
    ran = baselines | set(spec.ensembles)
    for row in spec.published.rows:
        for figure in row.figures:
            has_fold = row.fold is None or spec.baselines.folds == "all" or row.trial == "lr 0.01"
            expected = has_fold and {*(row.across or (row.trial,))} <= ran
            assert (ours[row.table, row.name, figure] is not None) == expected, row


FIGURES = {
    "report-000": {"recovery-loss", "published-table-1-accuracy", "published-a2-HF", "fold-pair"},
    "report-001": {"published-table-1-accuracy"},
    "report-002": {"recovery_report002-accuracy", "published-V-A-seconds"},
    "report-003": {"published-figure-6-losses", "published-figure-10-accuracy"},
    "report-004": {"published-table-2-accuracy", "history", "folds"},
}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_its_report_draws_the_published_figures_and_cuts_no_text(quick_run: QuickRun) -> None:
    with start_browser() as browser:
        for width, scheme in VIEWS:
            drawn = check_page(browser, quick_run.report, width=width, scheme=scheme)
            assert FIGURES[quick_run.path.stem] <= drawn

"""A study's report: what it says, in which order, and that names in it are only text."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_studies import run_study

from searchlab.config.diagnostics import DiagnosticName, ReportSpec
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.page.baselines import make_baselines
from searchlab.report.page.blocks import Figure, Paragraph, Section, Table
from searchlab.report.page.document import write_html
from searchlab.report.page.findings import Findings
from searchlab.report.page.networks import make_networks
from searchlab.report.page.outputs import report_data, report_markdown, table_csvs
from searchlab.report.page.report import make_report
from searchlab.report.reading import StudyReading, read_study
from searchlab.report.verdict import reach_verdict
from searchlab.study.run_folder import RunFolder

HOSTILE = "<img src=x onerror=alert(1)></script>**bold** & \x1b[31m"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A study of digits that ran to its end: 3 folds, with confirmations, some trials pruned."""
    return run_study(
        tmp_path_factory.mktemp("report"),
        "serial",
        validation={"folds": 3, "search_folds": 1},
        training={"epochs": 3},
        confirm={"top": 1, "repeats": 2},
        comparisons={"frozen or trained?": [["a2/DT", "a2/HF"]]},
        report={"diagnostics": ["errors", "networks", "robustness"]},
    )


@pytest.fixture(scope="module")
def reading(run: RunFolder) -> StudyReading:
    return read_study(run, None)


@pytest.fixture(scope="module")
def sections(reading: StudyReading) -> list[Section]:
    return make_report(reading)


class _WithoutArtifacts(RunFolder):
    """A run whose diagnostics are lost."""

    @property
    def diagnostics(self) -> Path:
        return self.path / "lost"


class _Page(HTMLParser):
    """What a page loads, and the elements it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "data", "srcset")]
        self.loaded += [str(dict(attrs)["href"])] if tag in ("link", "base") else []


def test_the_answer_comes_first_and_is_the_verdicts_sentence(
    reading: StudyReading, sections: list[Section]
) -> None:
    keys = [section.key for section in sections]
    assert keys == [
        "answer", "leaderboard", "search", "baselines", "folds", "errors", "networks", "robustness",
        "provenance",
    ]  # fmt: skip
    board = build_leaderboard(reading.records, reading.spec)
    verdict = reach_verdict(board, reading.records, reading.spec)
    assert sections[0].says == f"{verdict.text}."
    assert all(section.says.endswith(".") for section in sections)


def test_calibration_is_drawn_for_the_two_whose_models_were_looked_into(
    sections: list[Section],
) -> None:
    [errors] = [section for section in sections if section.key == "errors"]
    [figure] = [block for block in errors.blocks if getattr(block, "name", "") == "calibration"]
    assert isinstance(figure, Figure)
    assert len(figure.figure.data) == 3, "the finalist, the baseline, and the line of equality"
    [text] = [block.text for block in errors.blocks if isinstance(block, Paragraph)]
    assert text.count("expected calibration error") == 2


def test_robustness_is_said_in_words_curves_and_a_table(sections: list[Section]) -> None:
    [section] = [section for section in sections if section.key == "robustness"]
    figure, table = section.blocks
    assert isinstance(figure, Figure)
    assert isinstance(table, Table)
    assert len(figure.figure.data) == len(table.rows) == 4, "two models under two attacks"
    for row in table.rows:
        clean, worst = float(row[2]), float(row[-1])
        assert f"{row[0]} recognises {clean:.1f}%" in section.says
        assert worst <= clean
    assert section.says.count("under PGD of 10 steps") == 2


@pytest.mark.parametrize(
    ("diagnostics", "words"),
    [((), "leave out errors"), (None, "not measured, or its file is lost")],
)
def test_diagnostics_that_are_missing_are_said_in_their_place(
    reading: StudyReading, diagnostics: tuple[DiagnosticName, ...] | None, words: str
) -> None:
    report = ReportSpec(diagnostics=diagnostics)
    bare = replace(
        reading,
        spec=reading.spec.model_copy(update={"report": report}),
        run=_WithoutArtifacts(reading.run.path),
    )
    [errors] = [section for section in make_report(bare) if section.key == "errors"]
    [text] = [block.text for block in errors.blocks if isinstance(block, Paragraph)]
    assert words in text
    assert "searchlab study resume" in text


def test_networks_are_shown_layer_by_layer_and_the_baselines_filters_beside_each_other(
    sections: list[Section],
) -> None:
    by_key = {section.key: section for section in sections}
    names = [getattr(block, "name", "") for block in by_key["networks"].blocks]
    assert len([name for name in names if name.startswith("layers-")]) == 2
    assert "correlations" in names
    assert by_key["networks"].says.count("the gradient of the first trained layer") == 2
    texts = [block.text for block in by_key["networks"].blocks if isinstance(block, Paragraph)]
    assert re.search(r"weights of #\d+ fcn and #\d+ a2/\w+ are to the bit those", " ".join(texts))
    [alike] = report_data(sections)["networks"]["tables"]["similarity"]["rows"]
    assert all(0 < float(cka) < 1 for cka in alike[2:])
    tables = report_data(sections)["baselines"]["tables"]
    moved = {row[0].split("/")[1]: row[4] for row in tables["filters-baselines"]["rows"]}
    assert moved["HF"] == "0"
    assert float(moved["DT"]) > 0.01
    assert "filters-baselines-0" in [getattr(one, "name", "") for one in by_key["baselines"].blocks]


def test_networks_that_were_not_measured_are_said_in_their_place(reading: StudyReading) -> None:
    bare = replace(reading, run=_WithoutArtifacts(reading.run.path))
    found = Findings(bare)
    for section in (make_networks(found), make_baselines(found)):
        assert section is not None
        texts = [block.text for block in section.blocks if isinstance(block, Paragraph)]
        assert len([text for text in texts if "its file is lost" in text]) == 1


def test_the_winner_is_the_leaderboards_first(
    reading: StudyReading, sections: list[Section]
) -> None:
    first = build_leaderboard(reading.records, reading.spec).rows[0]
    tables = report_data(sections)
    assert tables["answer"]["tables"]["rivals"]["rows"][0][1] == first.title
    assert tables["leaderboard"]["tables"]["leaderboard"]["rows"][0][1] == f"#{first.number}"


def test_every_figure_has_a_name_of_its_own_and_something_drawn(sections: list[Section]) -> None:
    figures = [one for part in sections for one in part.blocks if isinstance(one, Figure)]
    names = [one.name for one in figures]
    assert len(set(names)) == len(names) > 8
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
    assert all(len(one.figure.data) > 0 for one in figures)
    assert {"history", "gain", "learning-curves", "inset-a2-accuracy", "folds"} <= set(names)


def test_the_page_loads_nothing_and_holds_plotly_once(sections: list[Section]) -> None:
    text = write_html("tiny: report", sections)
    page = _Page(text)
    assert page.loaded == []
    assert "url(" not in text.split("<script>")[0]
    assert page.tags.count("script") == 3
    assert len(text) < 8_000_000


def test_names_are_shown_as_text() -> None:
    table = Table(name="t", title=HOSTILE, columns=[(HOSTILE, "left")], rows=[[HOSTILE]])
    section = Section(key="answer", title=HOSTILE, says=HOSTILE, blocks=[table])
    text = write_html(HOSTILE, [section])
    assert "img" not in _Page(text).tags
    assert "\x1b" not in text
    assert unescape(text).count("<img src=x onerror=alert(1)></script>") >= 5


def test_figures_cannot_end_their_element(sections: list[Section]) -> None:
    figure = next(one for part in sections for one in part.blocks if isinstance(one, Figure))
    figure.figure.add_scatter(x=[1], y=[1], name=HOSTILE)
    text = write_html("x", [Section(key="k", title="t", says="s", blocks=[figure])])
    held = text.partition('id="figures">')[2].partition("</script>")[0]
    names = [trace["name"] for trace in json.loads(held)[figure.name]["data"]]
    assert HOSTILE in names


def test_other_forms_hold_the_same_tables(sections: list[Section]) -> None:
    data = report_data(sections)
    assert json.loads(json.dumps(data)) == data
    rows = data["leaderboard"]["tables"]["leaderboard"]["rows"]
    [text] = [text for name, text in table_csvs(sections) if name == "leaderboard"]
    assert list(csv.reader(io.StringIO(text)))[1:] == rows
    markdown = report_markdown("tiny: report", sections)
    assert markdown.startswith("# tiny: report\n\n## Answer\n\n")
    assert all(section.says in markdown for section in sections)


def test_a_study_that_is_not_finished_says_so(reading: StudyReading) -> None:
    begun = replace(
        reading, records=reading.records[:4], trials=reading.trials[:4], is_finished=False
    )
    answer, *_ = make_report(begun)
    assert any(
        getattr(block, "text", "") == "The study is interrupted: 4 of 19 trials have ended."
        for block in answer.blocks
    )


def test_a_study_without_a_trial_has_a_report(reading: StudyReading, tmp_path: Path) -> None:
    empty = replace(reading, records=[], trials=[], is_finished=False)
    sections = make_report(empty)
    assert "No search trial has finished" in sections[0].says
    assert write_html("x", sections).count('class="plot"') == 0

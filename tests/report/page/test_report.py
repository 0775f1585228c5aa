"""A study's report: what it says, in which order, and that names in it are only text."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_studies import run_study

from searchlab.config.diagnostics import DiagnosticName, ReportSpec
from searchlab.records.run_folder import RunFolder
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.page.baselines import make_baselines
from searchlab.report.page.blocks import Figure, Paragraph, Picture, Pictures, Section, Table
from searchlab.report.page.charts import label_categories
from searchlab.report.page.data_faults import make_data_faults
from searchlab.report.page.document import write_html
from searchlab.report.page.errors import make_errors
from searchlab.report.page.findings import Findings
from searchlab.report.page.networks import make_networks
from searchlab.report.page.outputs import report_data, report_markdown, table_csvs
from searchlab.report.page.report import make_report
from searchlab.report.reading import StudyReading, read_study
from searchlab.report.verdict import reach_verdict

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
        "answer", "leaderboard", "search", "baselines", "folds", "errors", "data", "networks",
        "robustness",
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
    assert len(figure.figure.data) == 5, "each before and after, and the line of equality"
    text = " ".join(block.text for block in errors.blocks if isinstance(block, Paragraph))
    assert text.count("expected calibration error") == 2
    assert text.count("At a temperature of ") == 2


def test_mistakes_are_shown_with_their_images(sections: list[Section]) -> None:
    [errors] = [section for section in sections if section.key == "errors"]
    shown = [block for block in errors.blocks if isinstance(block, Pictures)]
    assert [one.name.split("-")[0] for one in shown] == ["confused", "mistakes"] * 2
    for one in shown:
        rows = one.to_table().rows
        assert 0 < len(rows) <= 12
        labels, answers = (
            [row[one.columns.index(name)] for row in rows] for name in ("label", "answer")
        )
        assert all(label != answer for label, answer in zip(labels, answers, strict=True))
    surest = [float(row[-1].rstrip("%")) for row in shown[1].to_table().rows]
    assert surest == sorted(surest, reverse=True)


def test_a_study_without_confirmations_shows_the_answers_of_its_kept_models(
    reading: StudyReading,
) -> None:
    records = [record for record in reading.records if record.role != "confirmation"]
    errors = make_errors(Findings(replace(reading, records=records)))
    assert errors is not None
    assert errors.says.count("its kept model") == 2
    assert {"confusions", "classes"} <= {getattr(block, "name", "") for block in errors.blocks}


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
    errors, data = make_errors(Findings(bare)), make_data_faults(Findings(bare))
    assert errors is not None
    assert data is not None
    [text] = [block.text for block in errors.blocks if isinstance(block, Paragraph)]
    for each in (text, data.says):
        assert words in each
        assert "searchlab study resume" in each


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


def test_networks_trained_again_to_other_bits_are_said_to_be_others(
    reading: StudyReading, tmp_path: Path
) -> None:
    shutil.copytree(reading.run.diagnostics, tmp_path / "lost")
    for file in (tmp_path / "lost").glob("layers-*"):
        file.write_text(file.read_text().replace('"is_same":true', '"is_same":false'))
    run = _WithoutArtifacts(tmp_path)
    section = make_networks(Findings(replace(reading, run=run)))
    assert section is not None
    assert isinstance(section.blocks[0], Paragraph)
    text = section.blocks[0].text
    assert "are to the bit" not in text
    assert text.count("are not to the bit those that the study keeps: it was trained on") == 2


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
    assert all(place.startswith("data:image/png;base64,") for place in page.loaded)
    assert "url(" not in text.split("<script>")[0]
    assert page.tags.count("script") == 3
    assert len(text) < 8_000_000


def test_names_are_shown_as_text() -> None:
    table = Table(name="t", title=HOSTILE, columns=[(HOSTILE, "left")], rows=[[HOSTILE]])
    one = Picture(png='"><img src=x>', longest_side=8, cells=[HOSTILE, HOSTILE])
    pictures = Pictures(name="p", title=HOSTILE, columns=["a", HOSTILE], pictures=[one])
    section = Section(key="answer", title=HOSTILE, says=HOSTILE, blocks=[table, pictures])
    text = write_html(HOSTILE, [section])
    page = _Page(text)
    assert page.tags.count("img") == 1
    assert page.loaded == ['data:image/png;base64,"><img src=x>']
    assert "\x1b" not in text
    assert unescape(text).count("<img src=x onerror=alert(1)></script>") >= 9


def test_categories_are_text_of_which_each_is_another() -> None:
    assert label_categories(["<i>cat", "a & b"]) == ["&lt;i>cat", "a &amp; b"]
    long = ["x" * 30 + end for end in "ab"]
    assert label_categories(long) == [f"{index} {'x' * 20}…" for index in (0, 1)]


def test_pictures_are_tables_in_other_forms() -> None:
    one = Picture(png="", longest_side=8, cells=["test 3", HOSTILE])
    pictures = Pictures(name="p", title="t", columns=["image", "file"], pictures=[one])
    section = Section(key="errors", title="Errors", says="s.", blocks=[pictures])
    table = report_data([section])["errors"]["tables"]["p"]
    assert table == {"columns": ["image", "file"], "rows": [["test 3", HOSTILE]]}
    [(name, text)] = table_csvs([section])
    assert (name, next(csv.reader(io.StringIO(text)))) == ("p", ["image", "file"])
    markdown = report_markdown("r", [section])
    assert "| test 3 | \\<img src=x" in markdown
    assert re.search(r"(?<!\\)<[a-z/]", markdown) is None


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

"""A report's figures beside the study's own: which of ours is meant, and how it is shown."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console
from trial_records import make_record, make_spec

from searchlab.config.study import StudySpec
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.report.json_output import leaderboard_data
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.published import ComparedFigure, PublishedComparison, compare_published
from searchlab.report.published_table import print_published, published_markdown
from searchlab.report.reading import StudyReading
from searchlab.report.verdict import reach_verdict

Rows = list[dict[str, Any]]


def published_spec(
    rows: Rows, *, against: str = "test", why: str = "", **changes: Any
) -> StudySpec:
    published = {"source": "report 9", "against": against, "why": why, "rows": rows}
    return make_spec(published=published, **changes)


def row_of(trial: str | None, **changes: Any) -> dict[str, Any]:
    return {"table": "table 1", "name": "row", "trial": trial, **changes}


def baseline(**changes: Any) -> TrialRecord:
    fields = {
        "fold_values": (0.9, 0.91, 0.95),
        "test_figures": {"accuracy": 0.87, "loss": 0.375},
        "train_losses": (0.25, 0.5, 0.75),
        "full_train_loss": 0.0625,
        "first_train_losses": (0.75, 0.5, 1.0),
        "first_full_train_loss": 0.8,
        "seconds": 64.0,
        "epochs": 8,
    }
    return make_record(0, "baseline", **{**fields, **changes})


def compare(
    spec: StudySpec, *records: TrialRecord, evaluations: dict[str, Any] | None = None
) -> PublishedComparison:
    reading = StudyReading(
        run=RunFolder(Path("unused")),
        spec=spec,
        storage_url="",
        records=list(records),
        is_driven=False,
        is_finished=True,
        totals={},
        evaluations=evaluations or {},
    )
    comparison = compare_published(reading)
    assert comparison is not None
    return comparison


def one(spec: StudySpec, *records: TrialRecord, **changes: Any) -> ComparedFigure:
    [figure] = compare(spec, *records, **changes).figures
    return figure


@pytest.mark.parametrize(
    ("figure", "published", "ours", "source"),
    [
        ("accuracy", 88.5, 87.0, "test"),
        ("loss", 0.5, 0.375, "test"),
        ("train_loss", 0.0725, 0.0625, "training"),
        ("first_train_loss", 0.9, 0.8, "training"),
        ("seconds_per_epoch", 3, 8 / 3, "training"),  # 3 models of 2/3 of the images, 1 of all
        ("seconds", 20, 8 * 8 / 3, "training"),
    ],
)
def test_every_kind_of_figure(figure: str, published: float, ours: float, source: str) -> None:
    spec = published_spec([row_of("a2/DT", figures={figure: published})])
    found = one(spec, baseline())
    assert (found.ours, found.std, found.source) == (pytest.approx(ours), None, source)
    assert found.difference == pytest.approx(ours - published)
    assert found.published == published


def test_against_the_folds_it_is_their_mean_and_deviation() -> None:
    rows = [
        row_of("a2/DT", figures={"accuracy": 90}, against="folds"),
        row_of("a2/DT", figures={"accuracy": 90}),
        row_of("a2/DT", figures={"accuracy": 90}, against="folds", fold=3),
    ]
    mean, test, third = compare(published_spec(rows), baseline()).figures
    for figure in (mean, test):
        assert figure.ours_test == pytest.approx(87.0)
        assert figure.ours_folds == pytest.approx(92.0)
        assert figure.ours_folds_std == pytest.approx(2.6457513)
    assert (third.ours_test, third.ours_folds, third.ours_folds_std) == (None, None, None)
    assert (mean.ours, mean.std, mean.source) == (
        pytest.approx(92.0),
        pytest.approx(2.6457513),
        "folds",
    )
    assert (test.ours, test.std, test.source) == (pytest.approx(87.0), None, "test")
    assert (third.ours, third.std) == (pytest.approx(95.0), None)


def test_confused_images_are_those_that_the_study_counted() -> None:
    rows = [
        row_of("a2/DT", figures={"images": 834}, confusion=["0", "0"]),
        row_of("a2/DT", figures={"images": 132}, confusion=["6", "0"]),
    ]
    counts = [0] * 100
    counts[0], counts[60] = 820, 140
    known = {"confusions of a2/DT": {"counts": counts}}
    right, confused = compare(published_spec(rows), baseline(), evaluations=known).figures
    assert (right.ours, confused.ours, confused.difference) == (820, 140, 8)
    missing = compare(published_spec(rows), baseline()).figures
    assert [figure.ours for figure in missing] == [None, None]


def test_a_deviation_of_accuracies_is_over_the_named_rows() -> None:
    row = row_of(None, figures={"accuracy_deviation": 0.003357}, across=["a2/DT", "a2/HF"])
    other = make_record(1, "baseline", label="a2/HF", test_figures={"accuracy": 0.89})
    assert one(published_spec([row]), baseline(), other).ours == pytest.approx(0.01)
    assert one(published_spec([row]), baseline()).ours is None


def test_a_training_loss_is_of_the_model_that_trained_on_as_many_images_as_the_reports() -> None:
    rows = [
        row_of("a2/DT", figures={"train_loss": 0.25}),
        row_of("a2/DT", figures={"train_loss": 0.25}, against="folds"),
        row_of("a2/DT", figures={"train_loss": 0.25}, against="folds", fold=2),
    ]
    of_all, of_folds, of_second = compare(published_spec(rows), baseline()).figures
    assert [figure.ours for figure in (of_all, of_folds, of_second)] == [0.0625, 0.5, 0.5]


def test_a_loss_that_was_not_recorded_is_said_to_be_and_no_folds_loss_stands_in_its_place() -> None:
    spec = published_spec([row_of("a2/DT", figures={"train_loss": 0.25})])
    comparison = compare(spec, baseline(full_train_loss=None))
    [found] = comparison.figures
    assert (found.ours, found.difference, found.missing) == (None, None, "not recorded")
    text = " ".join(" ".join(rendered(comparison, 80)).split())
    assert " training loss 0.25 not recorded " in text
    assert "0.5" not in text
    assert "not recorded: the run is of a searchlab that kept only the folds' losses." in text
    assert "-: not reproduced" not in text


def test_the_search_without_a_finalist_has_no_model_of_all_images_to_compare() -> None:
    spec = published_spec([row_of("search", figures={"train_loss": 0.25})])
    found = one(spec, make_record(1, value=0.9, train_losses=(0.125,)))
    assert (found.ours, found.missing) == (None, "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"training": {"epochs": 3}, "changed": {"training.epochs": 20}},
            "training.epochs is 3 instead of 20",
        ),
        (
            {"training": {"epochs": 30}, "changed": {"training.epochs": 20}},
            "training.epochs is 30 instead of 20",
        ),
        (
            {"dataset": {"name": "digits", "limit": 9}, "changed": {"dataset.limit": None}},
            "dataset.limit is 9 instead of none",
        ),
        (
            {"training": {"lr": 0.5}, "changed": {"training.lr": 0.1}},
            "training.lr is 0.5 instead of 0.1",
        ),
    ],
)
def test_figures_of_a_changed_study_have_no_differences(changes: dict[str, Any], said: str) -> None:
    rows = [row_of("a2/DT", figures={"accuracy": 89.2, "train_loss": 0.3})]
    comparison = compare(published_spec(rows, **changes), baseline())
    assert [figure.ours for figure in comparison.figures] == [pytest.approx(87.0), 0.0625]
    assert [figure.difference for figure in comparison.figures] == [None, None]
    assert comparison.differs == said
    for text in ("\n".join(rendered(comparison, 80)), published_markdown(comparison)):
        assert "diff" not in text.partition("unless")[0]
        assert f"Not comparable, because ours differ: {said}." in " ".join(text.split())
        assert "87.00" in text
        assert "-2.20" not in text


def test_a_study_that_does_not_do_as_its_report_says_so_instead_of_differences() -> None:
    spec = published_spec([row_of("a2/DT", figures={"accuracy": 89.2})])
    assert spec.published is not None
    published = spec.published.model_copy(update={"differs": "64 pixels, the report has 160"})
    comparison = compare(spec.model_copy(update={"published": published}), baseline())
    assert comparison.figures[0].difference is None
    text = " ".join(" ".join(rendered(comparison, 80)).split())
    assert "Not comparable, because ours differ: 64 pixels, the report has 160." in text


def test_training_losses_of_the_folds() -> None:
    rows = [
        row_of("a2/DT", figures={"train_loss": 0.25}, against="folds", fold=fold) for fold in (1, 3)
    ]
    spec = published_spec(rows)
    record = baseline(train_losses=(0.125, 0.25, 0.5))
    first, third = compare(spec, record).figures
    assert (first.ours, first.difference, first.source) == (0.125, -0.125, "training")
    assert third.ours == 0.5
    # Fewer folds were trained than the report has.
    cut_off = compare(spec, baseline(train_losses=(0.125,))).figures
    assert [figure.ours for figure in cut_off] == [0.125, None]


def test_folds_give_the_objectives_metric_alone() -> None:
    spec = published_spec([row_of("a2/DT", figures={"loss": 0.3})], against="folds")
    found = one(spec, baseline())
    assert (found.ours, found.ours_test, found.ours_folds) == (None, 0.375, None)
    by_loss = spec.model_copy(
        update={"objective": make_spec(objective={"metric": "loss"}).objective}
    )
    assert one(by_loss, baseline()).ours == pytest.approx(0.92)


def test_the_search_stands_for_its_best_which_a_finalist_is() -> None:
    rows = [row_of("search", figures={"accuracy": 97.0}, settings={"lr": 0.001})]
    searched = make_record(1, value=0.96, params={"lr": 0.01})
    finalist = make_record(
        2, "finalist", fold_values=(0.97, 0.98, 0.99), test_figures={"accuracy": 0.95},
        params={"lr": 0.02}, finalist_of=1,
    )  # fmt: skip
    accuracy, lr = compare(published_spec(rows), baseline(), searched, finalist).figures
    assert accuracy.ours == pytest.approx(95.0)
    assert (lr.figure, lr.published, lr.ours, lr.source) == ("lr", 0.001, 0.02, "search")
    assert lr.difference is None
    # Without a finalist no test figure: a search trial never met the test set.
    accuracy, lr = compare(published_spec(rows), baseline(), searched).figures
    assert (accuracy.ours, lr.ours) == (None, 0.01)
    accuracy, lr = compare(published_spec(rows), baseline()).figures
    assert (accuracy.ours, lr.ours) == (None, None)


def test_settings_are_those_trained_with_wherever_they_stand() -> None:
    """Searched, fixed by the space, by the training, by a baseline's own; or there are none."""
    settings = {"lr": 1.0, "momentum": 1.0, "batch_size": 1, "epochs": 1, "cnn.depth": 9}
    parameters = {"lr": {"low": 1e-4, "high": 0.1}, "momentum": 0.5, "family": "cnn"}
    own = {"name": "own", "architecture": "a2", "training": {"epochs": 60}}
    spec = published_spec(
        [row_of("search", settings=settings), row_of("own", settings={"epochs": 1, "lr": 2.0})],
        space={"parameters": parameters},
        training={"batch_size": 32, "epochs": 6},
        baselines={"rows": [own]},
    )
    figures = compare(
        spec,
        make_record(1, value=0.9, params={"lr": 0.01}),
        baseline(label="own", params={"lr": 0.03}),
    ).figures
    assert [figure.ours for figure in figures] == [0.01, 0.5, 32, 6, None, 60, 0.03]


def test_seconds_of_a_search_trial_are_of_its_folds_alone() -> None:
    spec = published_spec([row_of("search", figures={"seconds_per_epoch": 3.0})])
    record = make_record(1, value=0.9, fold_values=(0.9,), seconds=16.0, epochs=8)
    assert one(spec, record).ours == pytest.approx(3.0)  # one model of 2/3 of the images


def test_seconds_of_a_finalist_are_its_search_trials_because_it_takes_folds_over() -> None:
    spec = published_spec([row_of("search", figures={"seconds_per_epoch": 3.0})])
    search = make_record(1, value=0.9, fold_values=(0.9,), seconds=16.0, epochs=8)
    finalist = make_record(
        2, "finalist", value=0.9, fold_values=(0.9,) * 3, seconds=20.0, epochs=8, finalist_of=1
    )
    assert one(spec, search, finalist).ours == pytest.approx(3.0)


def test_ensembles_and_correlations_come_from_the_evaluations() -> None:
    rows = [
        row_of("both", figures={"accuracy": 95.0, "loss": 0.2}, against="folds"),
        row_of("a2/DT", figures={"correlation_mean": 0.25, "correlation_std": 0.5}),
    ]
    spec = published_spec(
        rows, ensembles={"both": ["a2/HF", "a2/DT"]}, correlations={"a2/DT": "logits"}
    )
    evaluations = {
        "both": {"accuracy": 0.96, "loss": 0.25, "members": ["a2/HF", "a2/DT"]},
        "a2/DT": {"mean": 0.125, "std": 0.375, "off_diagonal": 0.0},
    }
    figures = compare(spec, evaluations=evaluations).figures
    assert [figure.ours for figure in figures] == [pytest.approx(96.0), 0.25, 0.125, 0.375]
    assert [figure.source for figure in figures] == ["test", "test"] + ["test neurons"] * 2
    assert [figure.ours for figure in compare(spec).figures] == [None] * 4


@pytest.mark.parametrize("trial", [None, "a2/HF", "a2/DT"])
def test_what_is_not_redone_or_not_finite_is_missing(trial: str | None) -> None:
    spec = published_spec([row_of(trial, figures={"loss": 0.3})])
    failed = make_record(1, "baseline", label="a2/HF", state="FAIL", test_figures={"loss": 0.2})
    found = one(spec, baseline(test_figures={"loss": float("nan")}), failed)
    assert (found.ours, found.difference) == (None, None)


def test_a_study_without_a_report_has_no_comparison() -> None:
    spec = published_spec([row_of("a2/DT", figures={"loss": 0.3})])
    reading = StudyReading(
        run=RunFolder(Path("unused")),
        spec=spec.model_copy(update={"published": None}),
        storage_url="",
        records=[baseline()],
        is_driven=False,
        is_finished=True,
        totals={},
    )
    assert compare_published(reading) is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            row_of("a2/DT", figures={"seconds_per_epoch": 1}, fold=1, against="folds"),
            "applies only to accuracy, loss, .*, first_train_loss, got 'seconds_per_epoch'",
        ),
        (row_of("a2/DX", figures={"loss": 1}), "must name a trial of this study, got 'a2/DX'"),
        (row_of("a2/DT"), "must give at least one published figure or setting"),
        (row_of("a2/DT", figures={"images": 3}), "images needs confusion"),
        (
            row_of("a2/DT", figures={"loss": 1}, confusion=["0", "1"]),
            "confusion is of use only for the figure images",
        ),
        (row_of(None, figures={"accuracy_deviation": 0.1}), "accuracy_deviation needs across"),
        (
            row_of(None, figures={"accuracy_deviation": 0.1}, across=["a2/DX"]),
            "must name a trial of this study, got 'a2/DX'",
        ),
        (row_of("a2/DT", figures={"loss": 1}, fold=1), "requires against: folds. Add that"),
        (
            row_of("a2/DT", figures={"loss": 1}, fold=4, against="folds"),
            r"must be <= validation.folds \(3\), got 4",
        ),
    ],
)
def test_a_row_that_refers_to_nothing_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        published_spec([row])


# How it is shown


def long_comparison() -> PublishedComparison:
    leak = "The model was carried on\n  from fold to fold."
    rows = [
        row_of("a2/DT", figures={"accuracy": 89.2, "train_loss": 0.3}, wrong=leak),
        row_of("a2/HF", name="a|b", figures={"accuracy": 88}, wrong=leak),
        row_of(
            "a2/DT",
            table="figure 7",
            name="a row of a name that is much too long for a terminal of eighty columns, really",
            figures={"accuracy": 90.55},
            against="folds",
            wrong="Tuned on the test set.",
        ),
        row_of("search", table="figure 7", settings={"lr": 1e-5, "optimizer": "adam"}),
    ]
    spec = published_spec(rows, why="Because\n  of this.", baselines={"schemes": ["HF", "DT"]})
    searched = make_record(5, value=0.9, params={"lr": 0.0123456})
    return compare(spec, baseline(), searched)


def rendered(comparison: PublishedComparison, width: int) -> list[str]:
    stream = io.StringIO()
    print_published(Console(file=stream, width=width), comparison)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_cuts_no_figure(width: int) -> None:
    lines = rendered(long_comparison(), width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for piece in ("92.00 ± 2.65", "+1.45", "90.55", "1e-05", "0.01235", "adam", "-0.2375"):
        assert piece in text


def test_rows_stand_under_their_table_with_the_reports_decimals_and_numbered_notes() -> None:
    lines = [line.rstrip() for line in rendered(long_comparison(), 120)]
    assert lines[0] == "published: report 9"
    assert lines[1].split() == ["published", "ours", "diff", "folds"]
    table, figure = lines.index("table 1"), lines.index("figure 7")
    assert figure == table + 4
    assert lines[table + 1].split() == ["row", "accuracy", "%", "89.2", "87.00", "-2.20",
                                        "92.00", "±", "2.65", "(1)"]  # fmt: skip
    assert lines[table + 2].split() == ["training", "loss", "0.3", "0.0625", "-0.2375"]
    assert lines[table + 3].split() == ["a|b", "accuracy", "%", "88.0", "-", "(1)"]
    text = "\n".join(lines)
    assert lines[figure + 1].endswith(" 92.00 ± 2.65   +1.45   test 87.00 (2)")
    assert "accuracy %, folds" in text
    assert "ours and diff: on the test set, unless a row says otherwise." in text
    assert "folds: the mean over the folds, of the same trial." in " ".join(text.split())
    assert "-: not reproduced, or no result. Because of this." in " ".join(text.split())
    assert "(1) The model was carried on from fold to fold." in text
    assert "(2) Tuned on the test set." in text


def test_columns_without_content_are_left_out() -> None:
    spec = published_spec([row_of("search", settings={"lr": 0.1})])
    lines = rendered(compare(spec, make_record(1, value=0.9, params={"lr": 0.1})), 80)
    assert lines[1].split() == ["published", "ours"]
    assert not any("(" in line for line in lines)


def test_the_column_of_the_other_measure_is_headed_by_it_and_left_out_where_empty() -> None:
    rows = [row_of("a2/DT", figures={"accuracy": 89.2})]
    lines = rendered(compare(published_spec(rows, against="folds"), baseline()), 80)
    assert lines[1].split() == ["published", "ours", "diff", "test"]
    assert lines[3].split()[-6:] == ["89.2", "92.00", "±", "2.65", "+2.80", "87.00"]
    no_test = compare(published_spec(rows, against="folds"), baseline(test_figures={}))
    assert rendered(no_test, 80)[1].split() == ["published", "ours", "diff"]
    assert "| ours | diff |\n" in published_markdown(no_test)
    one_fold = compare(published_spec(rows), baseline(fold_values=(0.9,)))
    assert rendered(one_fold, 80)[3].split()[-2:] == ["-2.20", "90.00"]
    assert "A mean over the folds without ± is of one fold." in published_markdown(one_fold)


def test_markdown_is_one_table_with_its_notes_as_a_list() -> None:
    text = published_markdown(long_comparison())
    source, table, explanation, notes = text.rstrip("\n").split("\n\n")
    assert source.startswith("published: ")
    rows = [re.split(r"(?<!\\)\|", line) for line in table.splitlines()]
    assert {len(row) for row in rows} == {10}
    assert {row[0] + row[-1] for row in rows} == {""}
    assert set("".join(rows[1])) <= set(" -:")
    assert len(rows) == 2 + 6
    assert rows[3][2].strip() == "row"  # each row whole, for it may be read alone
    assert rows[4][2].strip() == "a\\|b"
    assert "\n" not in explanation
    assert notes.splitlines() == [
        "1. The model was carried on from fold to fold.",
        "2. Tuned on the test set.",
    ]


def test_json_has_every_figure_and_its_difference() -> None:
    comparison = long_comparison()
    board = build_leaderboard([baseline()], make_spec())
    shown = leaderboard_data(
        board, reach_verdict(board, [baseline()], make_spec()), published=comparison
    )
    data = json.loads(json.dumps(shown, allow_nan=False))["published"]
    assert (data["source"], len(data["figures"])) == ("report 9", 6)
    assert data["figures"][0] == {
        "table": "table 1",
        "name": "row",
        "figure": "accuracy",
        "published": 89.2,
        "ours": pytest.approx(87.0),
        "std": None,
        "source": "test",
        "wrong": "The model was carried on\n  from fold to fold.",
        "ours_test": pytest.approx(87.0),
        "ours_folds": pytest.approx(92.0),
        "ours_folds_std": pytest.approx(2.6457513),
        "missing": "",
        "is_comparable": True,
        "difference": pytest.approx(-2.2),
    }
    assert data["figures"][-1]["ours"] == "adam"

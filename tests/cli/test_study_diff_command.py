"""searchlab study diff: what differs, whichever way the files say it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import assert_refused, run_searchlab

from searchlab.config.documents import dump_yaml
from searchlab.config.loading import load_study

STUDY = """\
name: {name}
dataset: digits
space: {{parameters: {{lr: {{low: 0.1, high: 1.0}}, family: {{cnn: {{depth: 1}}}}}}}}
search: {{trials: 3, sampler: tpe}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHLAB_RUNS", raising=False)
    Path("a.yaml").write_text(STUDY.format(name="a"))
    return tmp_path


def test_a_default_written_out_and_another_name_are_no_difference(folder: Path) -> None:
    same = STUDY.format(name="b") + "training: {epochs: 10}\nvalidation: {folds: 5}\n"
    direction = "objective: {metric: accuracy, direction: maximize}\n"  # the metric says so
    baselines = "baselines: {architectures: [a1, a2]}\n"
    Path("b.yaml").write_text(same + direction + baselines)
    outcome = run_searchlab("study", "diff", "a.yaml", "b.yaml")
    assert (outcome.code, outcome.out) == (0, "The studies have the same settings.\n")


def test_a_section_that_one_study_leaves_empty_is_not_a_difference_of_its_own(
    folder: Path,
) -> None:
    Path("b.yaml").write_text(STUDY.format(name="b") + "baselines: {training: {epochs: 10}}\n")
    outcome = run_searchlab("study", "diff", "a.yaml", "b.yaml", "--json")
    differences = json.loads(outcome.out)["differences"]
    assert differences == [{"field": "baselines.training.epochs", "b": 10}]


def test_a_run_and_a_file_that_extends_another_are_compared_field_by_field(folder: Path) -> None:
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/study.yaml").write_text(dump_yaml(load_study(Path("a.yaml")).spec.to_data()))
    Path("b.yaml").write_text(
        "extends: a.yaml\nname: b\nsearch: {trials: 9}\ntraining: {optimizer: sgd}\n"
        "space: {parameters: {lr: 0.5, family: {fcn: }}}\n"
    )
    outcome = run_searchlab("study", "diff", "a", "b.yaml", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out) == {
        "studies": ["a", "b.yaml"],
        "differences": [
            {"field": "space.parameters.lr.low", "a": 0.1},
            {"field": "space.parameters.lr.high", "a": 1.0},
            {"field": "space.parameters.lr", "b": 0.5},
            {"field": "space.parameters.family.fcn", "b": {}},
            {"field": "search.trials", "a": 3, "b": 9},
            {"field": "training.optimizer", "a": "adam", "b": "sgd"},
        ],
    }
    lines = run_searchlab("study", "diff", "a", "b.yaml").out.splitlines()
    assert [line.split() for line in (lines[0], lines[1], lines[5])] == [
        ["field", "a", "b.yaml"],
        ["space.parameters.lr.low", "0.1", "-"],
        ["search.trials", "3", "9"],
    ]


def test_what_is_no_study_is_refused(folder: Path) -> None:
    assert_refused(
        run_searchlab("study", "diff", "a.yaml", "quikstart"),
        "quikstart is neither a study file nor the name of a run or study. Did you mean quickstart",
    )
    Path("bad.yaml").write_text(STUDY.format(name="bad").replace("3", "-3"))
    assert_refused(run_searchlab("study", "diff", "a.yaml", "bad.yaml"), "bad.yaml:4: search.trial")

"""searchlab study new: writes a study that loads, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import assert_refused, run_searchlab

from searchlab.config.loading import load_study
from searchlab.config.space import SpaceSpec

SPACE = Path(__file__).parents[2] / "spaces" / "cnn.yaml"
GOOD = ["--dataset", "digits", "--space", str(SPACE), "--trials", "40"]


def test_it_writes_what_the_flags_say_and_names_the_space_from_its_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "mine.yaml").write_text(SPACE.read_text())
    flags = (
        "--dataset digits --space spaces/mine.yaml --trials 40 --sampler random --pruner median "
        "--epochs 3 --folds 4 --search-folds 2 --baselines a2 --schemes HF,DT --top 1 --seed 7"
    )
    outcome = run_searchlab("study", "new", "first", *flags.split())
    assert outcome.code == 0, outcome.err
    path = tmp_path / "studies" / "first.yaml"
    assert "space: ../spaces/mine.yaml" in path.read_text()
    spec = load_study(path).spec
    assert isinstance(spec.space, SpaceSpec)
    assert (spec.name, spec.dataset.name) == ("first", "digits")
    search = spec.search
    assert (search.sampler, search.pruner, search.trials, search.seed) == (
        "random",
        "median",
        40,
        7,
    )
    assert (spec.training.epochs, spec.confirm.top) == (3, 1)
    assert (spec.validation.folds, spec.validation.search_folds) == (4, 2)
    assert (spec.baselines.architectures, spec.baselines.schemes) == (("a2",), ("HF", "DT"))


def test_what_no_flag_says_keeps_its_default(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    assert run_searchlab("study", "new", "x", *GOOD, "--out", out).code == 0
    spec = load_study(out).spec
    assert spec.baselines.architectures == ("a1", "a2")
    assert spec.confirm.top == 3


def test_empty_baselines_are_none(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    assert run_searchlab("study", "new", "x", *GOOD, "--baselines", "", "--out", out).code == 0
    assert load_study(out).spec.baselines.architectures == ()


def test_it_overwrites_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    out.write_text("mine")
    assert_refused(run_searchlab("study", "new", "x", *GOOD, "--out", out), str(out), "--force")
    assert out.read_text() == "mine"
    assert run_searchlab("study", "new", "x", *GOOD, "--out", out, "--force").code == 0


@pytest.mark.parametrize(
    ("change", "pieces"),
    [
        (["--dataset", "digit"], ["dataset.name", "'digit'", "Did you mean digits"]),
        (["--trials", "0"], ["search.trials", "0"]),
        (["--sampler", "tp"], ["search.sampler", "'tp'", "tpe"]),
        (["--search-folds", "6"], ["validation.search_folds", "folds (5)", "6"]),
        (["--baselines", "a3"], ["baselines.architectures", "'a3'", "a1"]),
        (["--baselines", "fcn"], ["baselines.architectures", "fcn", "HF", "--schemes DT"]),
        (["--schemes", "HX"], ["baselines.schemes", "'HX'"]),
        (["--space", "nowhere.yaml"], ["nowhere.yaml", "does not exist"]),
        (["--space", "cnn"], ["space", "'cnn'", "module:function"]),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(
    tmp_path: Path, change: list[str], pieces: list[str]
) -> None:
    out = tmp_path / "sub" / "x.yaml"
    assert_refused(run_searchlab("study", "new", "x", *GOOD, *change, "--out", out), *pieces)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_slug_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run_searchlab("study", "new", "../x", *GOOD), "name", "slug", "'../x'")
    assert list(tmp_path.parent.glob("x.yaml")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_space_without_the_baselines_settings_is_refused(tmp_path: Path) -> None:
    space = tmp_path / "narrow.yaml"
    space.write_text("parameters: {batch_size: [32, 64], family: cnn}\n")
    out = tmp_path / "x.yaml"
    outcome = run_searchlab("study", "new", "x", *GOOD, "--space", space, "--out", out)
    assert_refused(outcome, "batch_size", "32, 64", "128")
    assert not out.exists()


def test_a_fault_in_the_space_is_placed_in_the_space_file(tmp_path: Path) -> None:
    space = tmp_path / "bad.yaml"
    space.write_text("parameters:\n  family:\n    cnn: {depht: 2}\n")
    out = tmp_path / "x.yaml"
    outcome = run_searchlab("study", "new", "x", *GOOD, "--space", space, "--out", out)
    assert_refused(outcome, f"{space}:3: parameters.family.cnn.depht", "depth")
    assert not out.exists()

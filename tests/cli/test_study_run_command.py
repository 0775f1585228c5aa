"""``study run`` and ``study resume``: every bad input gets one message, and writes nothing."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from command_line import Outcome, assert_refused, run_searchlab

STUDY: dict[str, Any] = {
    "name": "bad",
    "dataset": "digits",
    "space": {
        "parameters": {"lr": {"low": 0.001, "high": 0.1}, "family": {"fcn": {"width": [8, 16]}}}
    },
    "search": {"sampler": "random", "trials": 1},
    "training": {"epochs": 1, "batch_size": 512, "lr": 0.01},
    "validation": {"folds": 2, "search_folds": 1},
    "baselines": {"architectures": []},
    "confirm": {"top": 0},
}


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SEARCHLAB_RUNS", "SEARCHLAB_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "no-data"))
    monkeypatch.setenv("COLUMNS", "100")


def _write(folder: Path, **changes: Any) -> Path:
    path = folder / "bad.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return path


def _run(path: Path, *arguments: object) -> Outcome:
    runs = path.parent / "runs"
    return run_searchlab(
        "study", "run", path, "--runs-dir", runs, "--engine", "serial", "--quiet", *arguments
    )


def _everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def _space(**parameters: Any) -> dict[str, Any]:
    return {"parameters": {"family": "fcn", **parameters}}


BAD_FIELDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown field": (
        {"serach": {"trials": 3}},
        ["bad.yaml:", "serach is not a known field", "Did you mean search"],
    ),
    "unknown nested field": (
        {"search": {"sampler": "random", "trials": 1, "prunner": "none"}},
        ["bad.yaml:", "search.prunner is not a known field", "Did you mean pruner"],
    ),
    "unknown parameter": (
        {"space": _space(lrr=0.1)},
        ["bad.yaml:", "space.parameters.lrr", "Did you mean lr"],
    ),
    "unknown family": (
        {"space": {"parameters": {"family": "fnc"}}},
        ["bad.yaml:", "space.parameters.family", "'fnc'", "Did you mean fcn"],
    ),
    "unknown baseline": (
        {"baselines": {"architectures": ["a3"]}},
        ["bad.yaml:", "baselines.architectures", "'a3'", "Did you mean a"],
    ),
    "unknown dataset": (
        {"dataset": "digit"},
        ["bad.yaml:", "dataset", "'digit'", "Did you mean digits"],
    ),
    "low above high": (
        {"space": _space(lr={"low": 0.5, "high": 0.1})},
        ["bad.yaml:", "space.parameters.lr.low must be < high (0.1), got 0.5"],
    ),
    "low equal to high": (
        {"space": _space(lr={"low": 0.1, "high": 0.1})},
        ["bad.yaml:", "space.parameters.lr.low must be < high (0.1), got 0.1"],
    ),
    "log from zero": (
        {"space": _space(lr={"low": 0.0, "high": 0.1, "log": True})},
        ["bad.yaml:", "space.parameters.lr.low must be > 0 when log is true, got 0.0"],
    ),
    "a baseline without a convolution set by hand": (
        {"baselines": {"architectures": ["fcn"], "schemes": ["HF", "DT"]}},
        ["bad.yaml:", "baselines.architectures", "fcn has no first conv layer",
         "cannot have schemes HF", "[DT]"],
    ),
    "a baseline outside the space": (
        {"baselines": {"architectures": ["a2"], "training": {"lr": 0.5}}},
        ["bad.yaml:", "baselines.training.lr must lie in the space's lr (0.001 to 0.1), got 0.5",
         "widen"],
    ),
    "a baseline's setting from the study's training": (
        {"baselines": {"architectures": ["a2"]}, "training": {"epochs": 1, "lr": 0.5}},
        ["bad.yaml:", "training.lr must lie in the space's lr", "got 0.5"],
    ),
    "more folds than images": (
        {"validation": {"folds": 100}, "dataset": {"name": "digits", "limit": 60}},
        ["bad.yaml:", "validation.folds must not exceed the training images (60), got 100"],
    ),
    "more search folds than folds": (
        {"validation": {"folds": 2, "search_folds": 3}},
        ["bad.yaml:", "validation.search_folds must be <= folds (2), got 3"],
    ),
    "no trials": (
        {"search": {"sampler": "random", "trials": -1}},
        ["bad.yaml:", "search.trials must be greater than or equal to 0, got -1"],
    ),
    "trials left out": (
        {"search": {"sampler": "random"}},
        ["bad.yaml:", "search.trials is required with sampler random"],
    ),
    "a name that leaves the runs": ({"name": "../x"}, ["bad.yaml:", "name", "'../x'"]),
    "a name with a slash": ({"name": "a/b"}, ["bad.yaml:", "name", "'a/b'"]),
    "an absolute name": ({"name": "/tmp/x"}, ["bad.yaml:", "name", "'/tmp/x'"]),
    "an empty name": ({"name": ""}, ["bad.yaml:", "name", "''"]),
    "a reference outside the space": (
        {"search": {"sampler": "one_at_a_time", "reference": {"fcn.width": 9}}},
        ["bad.yaml:", "search.reference.fcn.width must lie in the space", "got 9"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_bad_field_is_refused_and_nothing_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, pieces = BAD_FIELDS[name]
    if changes.get("dataset") == "short":
        monkeypatch.setattr(
            "searchlab.study.preparation.prepared_study.load_dataset", _load_few_digits
        )
        changes = {**changes, "dataset": "digits"}
    path = _write(tmp_path, **changes)
    before = _everything(tmp_path)
    outcome = _run(path)
    assert_refused(outcome, "error: ", *pieces)
    assert outcome.err.count("error: ") == 1
    assert _everything(tmp_path) == before


def _load_few_digits(name: str, data_dir: Path, **_: Any) -> Any:
    from dataclasses import replace

    from searchlab.data import load_dataset

    images = load_dataset(name, data_dir)
    return replace(
        images, train_images=images.train_images[:300], train_labels=images.train_labels[:300]
    )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert_refused(_run(tmp_path / "nothing.yaml"), "nothing.yaml")
    assert _everything(tmp_path) == set()


def test_a_data_set_that_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    path = _write(tmp_path, dataset="fashion_mnist")
    assert_refused(_run(path), "fashion_mnist", "no-data", "searchlab data fetch fashion_mnist")
    assert _everything(tmp_path) == {path}


@pytest.mark.parametrize(
    ("override", "pieces"),
    [
        ("search.trails=3", ["--set", "search.trails", "Did you mean trials"]),
        ("search.trials=many", ["--set", "search.trials", "'many'"]),
        ("search.trials", ["--set", "search.trials"]),
        ("name=../up", ["--set", "name", "'../up'"]),
    ],
)
def test_a_bad_override_is_named(tmp_path: Path, override: str, pieces: list[str]) -> None:
    path = _write(tmp_path)
    assert_refused(_run(path, "--set", override), *pieces)
    assert _everything(tmp_path) == {path}


@pytest.mark.parametrize("in_the_way", ["runs", "runs/bad"])
def test_an_unwritable_run_folder_is_refused(tmp_path: Path, in_the_way: str) -> None:
    path = _write(tmp_path)
    obstacle = tmp_path / in_the_way
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file, not a folder")
    before = _everything(tmp_path)
    assert_refused(_run(path), "runs/bad", "cannot be written", "--runs-dir")
    assert _everything(tmp_path) == before
    assert obstacle.read_text() == "a file, not a folder"


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "nonsense"])
def test_a_server_that_cannot_be_reached_is_refused_without_its_password(
    tmp_path: Path, scheme: str
) -> None:
    path = _write(tmp_path)
    url = f"{scheme}://me:geheim@127.0.0.1:{_closed_port()}/x"
    outcome = _run(path, "--storage", url)
    assert_refused(outcome, "--storage", "me:***@127.0.0.1", "cannot be reached", "Give a URL")
    assert "geheim" not in outcome.err
    assert _everything(tmp_path) == {path}


def test_an_sqlite_file_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path)
    outcome = _run(path, "--storage", f"sqlite:///{tmp_path}/missing/x.db")
    assert_refused(outcome, "--storage", "missing/x.db", "cannot be reached")
    assert _everything(tmp_path) == {path}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that ran to its end."""
    folder = tmp_path_factory.mktemp("finished")
    outcome = _run(_write(folder, name="good"))
    assert outcome.code == 0, outcome
    return folder


def test_a_run_ends_with_its_leaderboard_and_place(tmp_path: Path) -> None:
    outcome = _run(_write(tmp_path))
    assert outcome.code == 0
    assert "fcn" in outcome.out
    assert f"{tmp_path}/runs/bad" in outcome.out
    assert "searchlab dashboard" in outcome.out
    assert {path.name for path in tmp_path.iterdir()} == {"bad.yaml", "runs"}


def test_a_quick_look_says_so_once_and_judges_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _write(
        tmp_path,
        baselines={"architectures": ["a1"], "schemes": ["HF", "DT"]},
        comparisons={"which?": [["a1/DT", "a1/HF"]]},
        confirm={"top": 1, "repeats": 0},
        training={"epochs": 5, "batch_size": 512, "lr": 0.01},
        published={
            "source": "a report",
            "rows": [{"table": "t", "name": "n", "trial": "a1/DT", "figures": {"accuracy": 99.5}}],
        },
        presets={"quick": {"training.epochs": 1}},
    )
    outcome = _run(path, "--preset", "quick")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("Quick look, not comparable: training.epochs is 1 instead of 5") == 1
    assert outcome.out.lower().count("quick look") == 1
    assert "99.5" in outcome.out
    for word in ("worse", "better", "diff ", "beats"):
        assert word not in outcome.out
    assert "so it cannot be YES" not in caplog.text


def test_folds_that_cannot_decide_are_named_beforehand_and_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _write(tmp_path, baselines={"architectures": ["a1"]}, confirm={"top": 1, "repeats": 0})
    outcome = _run(path)
    assert outcome.code == 0, outcome.err
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings[0].startswith("the search sees 1 of 2 folds, and without confirm.repeats")
    assert "2 folds are too few to test" in " ".join(outcome.out.split())


def test_an_existing_run_is_refused_and_points_to_resume(finished: Path) -> None:
    before = _everything(finished)
    outcome = _run(finished / "bad.yaml")
    assert_refused(outcome, "runs/good", "already exists", "searchlab study resume", "--set name=",
                   "--replace")  # fmt: skip
    assert _everything(finished) == before


def test_a_second_study_of_that_name_in_one_storage_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    path = _write(tmp_path)
    assert _run(path, "--storage", url).code == 0
    outcome = run_searchlab(
        "study", "run", path, "--runs-dir", tmp_path / "other", "--engine", "serial",
        "--quiet", "--storage", url,
    )  # fmt: skip
    assert_refused(outcome, "already has a study named bad", "--set name=")
    assert not (tmp_path / "other").exists()


def _resume(folder: Path, run: str, *arguments: object) -> Outcome:
    runs = ["--runs-dir", folder / "runs", "--engine", "serial", "--quiet"]
    return run_searchlab("study", "resume", run, *runs, *arguments)


@pytest.mark.parametrize(
    ("override", "pieces"),
    [
        ("training.epochs=9", ["--set on resume", "can change only search.trials", "'training.ep"]),
        ("search.seed=1", ["--set on resume", "can change only", "under another name"]),
        ("search.trialsx=1", ["search.trialsx"]),
        ("confirm.topping=1", ["confirm.topping"]),
        ("search.trials=-1", ["search.trials must be greater than or equal to 0, got -1"]),
        ("search.trials", ["search.trials"]),
    ],
)
def test_resume_refuses_what_would_make_another_study(
    finished: Path, override: str, pieces: list[str]
) -> None:
    study = (finished / "runs" / "good" / "study.yaml").read_text()
    assert_refused(_resume(finished, "good", "--set", override), *pieces)
    assert (finished / "runs" / "good" / "study.yaml").read_text() == study


def test_resume_of_an_unknown_run_names_the_nearest(finished: Path) -> None:
    assert_refused(_resume(finished, "godo"), "godo is not a run folder", "Did you mean good?")


def test_resume_with_more_trials_runs_them(tmp_path: Path) -> None:
    tell = f'echo "$SEARCHLAB_STATUS $SEARCHLAB_STUDY" >> {tmp_path / "told.txt"}'
    assert _run(_write(tmp_path), "--on-end", tell).code == 0
    assert _resume(tmp_path, "bad", "--set", "search.trials=3").code == 0
    assert (tmp_path / "told.txt").read_text() == "finished bad\n" * 2, "the run remembers it"
    outcome = run_searchlab("study", "status", "bad", "--runs-dir", tmp_path / "runs", "--json")
    assert yaml.safe_load(outcome.out)["roles"]["search"]["total"] == 3
    assert yaml.safe_load(outcome.out)["state"] == "finished"


class TestReplace:
    def test_an_earlier_study_is_deleted_as_study_delete_does_it(self, tmp_path: Path) -> None:
        path = _write(tmp_path)
        run = tmp_path / "runs" / "bad"
        assert _run(path).code == 0
        storage = f"sqlite:///{run}/study.db"
        before = optuna.load_study(study_name="bad", storage=storage).trials[0].params
        (run / "notes.txt").write_text("mine")
        outcome = _run(path, "--replace", "--yes", "--set", "search.seed=1")
        assert outcome.code == 0, outcome
        [trial] = optuna.load_study(study_name="bad", storage=storage).trials
        assert trial.params != before
        assert yaml.safe_load((run / "study.yaml").read_text())["search"]["seed"] == 1
        assert (run / "notes.txt").read_text() == "mine"

    def test_it_asks_or_needs_yes(self, tmp_path: Path) -> None:
        path = _write(tmp_path)
        assert _run(path).code == 0
        everything = _everything(tmp_path)
        assert_refused(_run(path, "--replace"), "--yes must be given", "runs/bad")
        assert _everything(tmp_path) == everything

    def test_a_study_that_fails_its_checks_replaces_nothing(self, tmp_path: Path) -> None:
        path = _write(tmp_path)
        assert _run(path).code == 0
        database = (tmp_path / "runs" / "bad" / "study.db").read_bytes()
        outcome = _run(path, "--replace", "--yes", "--set", "baselines.architectures=[b7]")
        assert_refused(outcome, "must be a known family")
        assert (tmp_path / "runs" / "bad" / "study.db").read_bytes() == database

    def test_without_an_earlier_study_it_changes_nothing(self, tmp_path: Path) -> None:
        assert _run(_write(tmp_path), "--replace").code == 0


@pytest.mark.parametrize(
    ("given", "near"),
    [("bda.yaml", "bad.yaml"), ("bad", "bad.yaml"), ("bad.yml", "bad.yaml")],
)
def test_a_file_that_does_not_exist_has_near_names(tmp_path: Path, given: str, near: str) -> None:
    _write(tmp_path)
    outcome = _run(tmp_path / given)
    assert_refused(outcome, "does not exist", f"Did you mean {tmp_path / near}?")


def test_only_the_names_of_files_are_compared_and_not_all_of_very_many_listed(
    tmp_path: Path,
) -> None:
    for number in range(50):
        (tmp_path / f"other-{number}.yaml").touch()
    outcome = _run(tmp_path / "bad.yaml")
    assert_refused(outcome, "bad.yaml does not exist. Known: ", "other-0.yaml", " and 10 more")
    assert "Did you mean" not in outcome.err


def test_a_space_a_plugin_and_a_folder_have_near_names_too(tmp_path: Path) -> None:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "small.yaml").write_text("parameters: {family: fcn}")
    outcome = _run(_write(tmp_path, space="spaces/smal.yaml"))
    assert_refused(outcome, "must name an existing file", "spaces/small.yaml?")
    (tmp_path / "my_family.py").write_text("")
    outcome = _run(_write(tmp_path), "--plugin", tmp_path / "myfamily.py")
    assert_refused(outcome, "does not exist", "my_family.py?")
    (tmp_path / "photos").mkdir()
    dataset = {"name": "folder", "root": str(tmp_path / "photo"), "size": 32}
    outcome = _run(_write(tmp_path, dataset=dataset))
    assert_refused(outcome, "must be an existing folder", "photos")
    assert_refused(_run(tmp_path / "no" / "bad.yaml"), f"There is no folder {tmp_path / 'no'}")


def test_a_broken_image_is_skipped_by_what_the_command_has(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(3):
            (tmp_path / "photos" / name / f"{index}.png").write_text("no image")
    dataset = {"name": "folder", "root": str(tmp_path / "photos"), "size": 32}
    outcome = _run(_write(tmp_path, dataset=dataset))
    assert_refused(outcome, "is a broken image", "--set dataset.skip_broken=true")
    assert "--skip-broken" not in outcome.err

"""``searchlab export``, ``predict`` and ``train``, on a run that an earlier searchlab recorded."""

from __future__ import annotations

import csv
import io
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command_line import Outcome, assert_refused, run_searchlab, unpack_recorded_runs
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits

from searchlab.config import plugins
from searchlab.deployment.loaded_models import load_exported
from searchlab.engine.precision import choose_precision
from searchlab.models import registry as families
from searchlab.training.member import DivergedError, Member

FAMILY = Path(__file__).parents[2] / "examples" / "my_family.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_recorded_runs(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def exported(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recorded study's winner."""
    to = tmp_path_factory.mktemp("models") / "winner"
    assert export(runs / "finished", to).code == 0
    return to


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first digits as files, named by what they show."""
    folder = tmp_path_factory.mktemp("digits")
    found = load_digits()
    for index in range(20):
        pixels = (found.images[index] * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}-{found.target[index]}.png")
    return folder


def export(run: Path, to: Path, *more: object) -> Outcome:
    return run_searchlab("export", run, "--to", to, *more)


def read_json(outcome: Outcome) -> Any:
    assert outcome.out, outcome.err
    return json.loads(outcome.out)


def test_the_winner_is_exported_with_all_that_using_it_needs(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "model.safetensors", "model.json", "README.md",
    }  # fmt: skip
    data = json.loads((exported / "model.json").read_text())
    assert (data["study"], data["trial"]) == ("finished", 8)
    assert data["classes"] == [str(digit) for digit in range(10)]
    assert (data["input"]["channels"], data["input"]["height"]) == (1, 8)
    assert data["test"]["accuracy"] == data["test"]["recorded_accuracy"]


def test_the_card_says_what_the_model_is_and_how_sure_the_study_was(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    for piece in (
        "# finished #8 a2/DT", "1,437 images", "±", "over 3 folds", "## Verdict of the study",
        "## Limits", "family: a2", "searchlab predict .", "mean: 0.30",
    ):  # fmt: skip
        assert piece in card


def test_predict_names_most_digits_rightly_and_prints_csv(exported: Path, digits: Path) -> None:
    outcome = run_searchlab("predict", exported, digits, "--csv", "--top", "2")
    assert outcome.code == 0
    first, *rows = csv.reader(io.StringIO(outcome.out))
    assert first == ["path", "label", "probability", "label_2", "probability_2"]
    assert [Path(row[0]).name for row in rows] == sorted(path.name for path in digits.iterdir())
    right = [Path(path).stem.endswith(f"-{label}") for path, label, *_ in rows]
    assert sum(right) >= 16
    assert all(float(row[2]) >= float(row[4]) for row in rows)


def test_predict_answers_alike_in_json_and_in_a_table(exported: Path, digits: Path) -> None:
    file = digits / "00-0.png"
    [answer] = read_json(run_searchlab("predict", exported, file, "--json"))["predictions"]
    assert len(answer["top"]) == 3
    assert answer["label"] == answer["top"][0]["label"] == "0"
    table = run_searchlab("predict", exported, file).out.splitlines()
    assert table[0].split()[:3] == ["path", "label", "probability"]
    assert table[1].split()[:3] == [str(file), "0", f"{answer['probability']:.4f}"]


def test_an_image_that_cannot_be_read_is_named_and_the_others_go_on(
    exported: Path, digits: Path, tmp_path: Path
) -> None:
    broken, colour = tmp_path / "broken.png", tmp_path / "colour.png"
    broken.write_bytes(b"no image")
    Image.new("RGB", (20, 30), (200, 10, 10)).save(colour)
    good, missing = digits / "01-1.png", tmp_path / "missing.png"
    outcome = run_searchlab("predict", exported, broken, good, colour, missing, "--csv")
    assert outcome.code == 1
    assert [row[0] for row in csv.reader(io.StringIO(outcome.out))] == ["path", str(good)]
    assert f"{broken} is a broken image" in outcome.err
    assert f"{colour} is a colour image, and this model takes grey ones" in outcome.err
    assert f"{missing} does not exist" in outcome.err
    assert "3 of 4 images could not be classified" in outcome.err


def test_a_folder_is_searched_at_any_depth_and_what_is_no_image_is_counted(
    exported: Path, digits: Path, tmp_path: Path
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below / "two.png").write_bytes((digits / "02-2.png").read_bytes())
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    outcome = run_searchlab("predict", exported, tmp_path, "--json")
    assert [one["path"] for one in json.loads(outcome.out)["predictions"]] == [
        str(below / "two.png")
    ]
    assert "not read: 1 file not recognised as an image (notes.txt)" in outcome.err


def test_predict_refuses_what_is_no_model_and_places_without_images(
    exported: Path, digits: Path, tmp_path: Path
) -> None:
    assert_refused(run_searchlab("predict", digits, digits), "no model.json", "searchlab export")
    assert_refused(run_searchlab("predict", exported, tmp_path), "must contain an image")
    both = run_searchlab("predict", exported, digits, "--csv", "--json")
    assert_refused(both, "cannot be combined")
    (tmp_path / "model.json").write_text((exported / "model.json").read_text())
    assert_refused(run_searchlab("predict", tmp_path, digits), "model.safetensors does not exist")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert_refused(run_searchlab("predict", tmp_path, digits), "is damaged")
    for text in ("[", "[]", '{"version": 2}', '{"version": 1, "config": {}}'):
        (tmp_path / "model.json").write_text(text)
        assert_refused(run_searchlab("predict", tmp_path, digits), "does not describe a model")


@pytest.mark.parametrize(
    ("arguments", "piece"),
    [
        (("--trial", "99"), "must be a trial of finished, got 99"),
        (("--trial", "3"), "is a search trial, whose weights are not kept"),
        (("--format", "pickle"), "'pickle' is not one of"),
    ],
)
def test_export_refuses_what_it_cannot_write(
    runs: Path, tmp_path: Path, arguments: tuple[str, str], piece: str
) -> None:
    outcome = export(runs / "finished", tmp_path / "to", *arguments)
    assert_refused(outcome, piece)
    assert not list(tmp_path.iterdir())


def test_export_never_overwrites(runs: Path, exported: Path, tmp_path: Path) -> None:
    before = (exported / "model.json").read_text()
    assert_refused(export(runs / "finished", exported), "already exists")
    assert (exported / "model.json").read_text() == before
    assert_refused(export(runs / "finished", tmp_path), "already exists")


def test_an_unfinished_run_has_no_winner_but_its_ended_trials_are_exported(
    runs: Path, tmp_path: Path
) -> None:
    run = runs / "interrupted"
    assert_refused(export(run, tmp_path / "to"), "is not finished", "searchlab study resume")
    assert_refused(export(run, tmp_path / "to", "--trial", "10"), "its state is RUNNING")
    assert not (tmp_path / "to").exists()
    assert read_json(export(run, tmp_path / "to", "--trial", "1", "--json"))["trial"] == 1


def test_a_failed_trial_is_not_exported_even_if_its_weights_were_written(tmp_path: Path) -> None:
    run = unpack_recorded_runs(tmp_path / "runs") / "finished"
    with closing(sqlite3.connect(run / "study.db")) as database, database:
        database.execute("UPDATE trials SET state = 'FAIL' WHERE number = 8")
    assert (run / "artifacts" / "models" / "trial-00008.safetensors").is_file()
    outcome = export(run, tmp_path / "to", "--trial", "8")
    assert_refused(outcome, "did not complete", "its state is FAIL", "These have one: #0, #1")
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_a_model_that_is_not_as_recorded_is_not_put_in_place(tmp_path: Path) -> None:
    run = unpack_recorded_runs(tmp_path / "runs") / "finished"
    path = run / "artifacts" / "models" / "trial-00008.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = {name: -tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata=metadata)
    outcome = export(run, tmp_path / "to")
    assert outcome.code == 1
    assert "in the study's record. Nothing was written" in outcome.err
    path.unlink()
    assert_refused(export(run, tmp_path / "to"), "has no weights: there is no file")
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_a_missing_package_names_the_extra(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "onnxscript" else known(name, *more),
    )
    refused = export(runs / "finished", tmp_path / "to", "--format", "onnx")
    assert_refused(refused, "onnxscript, which is not installed", "pip install 'searchlab[onnx]'")


@pytest.mark.parametrize(
    "model_format", [pytest.param("onnx", marks=pytest.mark.slow), "torchscript"]
)
def test_every_format_answers_as_the_network_does_for_any_number_of_images(
    runs: Path, exported: Path, tmp_path: Path, model_format: str
) -> None:
    to = tmp_path / "other"
    assert export(runs / "finished", to, "--format", model_format).code == 0
    ours, other = load_exported(exported), load_exported(to)
    generator = np.random.default_rng(0)
    for count in (1, 2, 7, 130):
        images = generator.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
        assert np.abs(ours.answer(images) - other.answer(images)).max() < 1e-5


@pytest.fixture(scope="module")
def best(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("best") / "best.yaml"
    path.write_text(run_searchlab("study", "best", runs / "finished").out)
    return path


def test_train_makes_the_model_that_the_study_made(
    best: Path, exported: Path, tmp_path: Path
) -> None:
    outcome = run_searchlab("train", best, "--to", tmp_path / "to", "--json")
    test = read_json(outcome)["test"]
    assert test["accuracy"] == test["recorded"]
    assert "a2 on digits: epoch 1/" in outcome.err
    ours, theirs = load_exported(tmp_path / "to").description, load_exported(exported).description
    assert ours.config.settings == theirs.config.settings
    assert (ours.config.model, ours.input) == (theirs.config.model, theirs.input)
    assert "It was trained from one configuration" in (tmp_path / "to" / "README.md").read_text()


def test_train_says_in_its_description_which_precision_auto_was(best: Path, tmp_path: Path) -> None:
    data = yaml.safe_load(best.read_text())
    data["training"]["precision"] = "auto"
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({**data, "last_epoch": 1}))
    assert run_searchlab("train", tmp_path / "one.yaml", "--to", tmp_path / "to").code == 0
    settings = load_exported(tmp_path / "to").description.config.settings
    assert settings.precision == choose_precision()


def test_train_ends_with_the_epoch_that_the_folds_chose(best: Path, tmp_path: Path) -> None:
    text = yaml.safe_load(best.read_text())
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({**text, "last_epoch": 1}))
    outcome = run_searchlab("train", tmp_path / "one.yaml", "--to", tmp_path / "to")
    assert outcome.code == 0
    assert outcome.err.splitlines() == ["a2 on digits: epoch 1/1"]


@pytest.mark.parametrize(
    ("changes", "options", "piece"),
    [
        ({"lr": 3}, (), "lr is not a known field"),
        ({"model": {"family": "cnm"}}, (), "must be a known family"),
        ({"last_epoch": 99}, (), "must be <= training.epochs"),
        ({"dataset": None}, (), "the configuration names no dataset"),
        ({}, ("--dataset", "nosuch"), "must be the name of a dataset, or a folder of images"),
        ({}, ("--dataset", "."), "is required with dataset folder"),
        ({}, ("--size", "16"), "cannot be chosen for digits"),
    ],
)
def test_train_refuses_bad_input_and_writes_nothing(
    best: Path,
    tmp_path: Path,
    changes: dict[str, object],
    options: tuple[str, ...],
    piece: str,
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(best.read_text()), **changes}))
    assert_refused(run_searchlab("train", path, "--to", tmp_path / "to", *options), piece)
    assert list(tmp_path.iterdir()) == [path]


def test_train_that_diverges_writes_nothing(
    best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError

    monkeypatch.setattr(Member, "train_epoch", diverge)
    outcome = run_searchlab("train", best, "--to", tmp_path / "to", "--quiet")
    assert outcome.code == 1
    assert "training diverged in epoch" in outcome.err
    assert not (tmp_path / "to").exists()


@pytest.fixture
def _fresh_registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    monkeypatch.setattr(plugins, "_loaded", {})
    return


@pytest.mark.usefixtures("_fresh_registries")
def test_a_plugins_network_of_jpegs_of_many_sizes_goes_along_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    for name, colour in (("ant", (220, 30, 30)), ("bee", (30, 30, 220))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(10):
            size = (rng.randint(20, 60), rng.randint(20, 60))
            Image.new("RGB", size, colour).save(tmp_path / "photos" / name / f"{index}.jpg")
    study = {
        "name": "mine",
        "dataset": {"name": "folder", "root": str(tmp_path / "photos"), "size": 16, "fit": "pad"},
        "plugins": [str(FAMILY)],
        "space": {"parameters": {"lr": [0.01, 0.02], "family": {"separable": {"depth": [1, 2]}}}},
        "search": {"trials": 1},
        "training": {"epochs": 3, "batch_size": 4},
        "validation": {"folds": 2},
        "baselines": {"architectures": []},
        "confirm": {"top": 1},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study))
    places = ("--runs-dir", tmp_path / "runs", "--data-dir", tmp_path / "data")
    ran = run_searchlab(
        "study", "run", tmp_path / "mine.yaml", "--engine", "serial", "--quiet", *places
    )
    assert ran.code == 0, ran.err
    written = read_json(run_searchlab("export", "mine", "--to", tmp_path / "to", "--json", *places))
    assert written["classes"] == ["ant", "bee"]
    source = tmp_path / "to" / "plugins" / "my_family.py"
    assert source.read_text() == FAMILY.read_text()
    best = tmp_path / "best.yaml"
    best.write_text(run_searchlab("study", "best", "mine", *places[:2]).out)
    trained = run_searchlab("train", best, "--to", tmp_path / "trained", "--quiet", *places[2:])
    assert trained.code == 0, trained.err
    assert "Exported separable on photos to" in trained.out
    assert (tmp_path / "trained" / "plugins" / "my_family.py").is_file()
    for folder in ("to", "trained"):
        description = json.loads((tmp_path / folder / "model.json").read_text())
        assert description["input"]["fit"] == "pad"
        assert "in the middle of a black square" in (tmp_path / folder / "README.md").read_text()
    monkeypatch.setattr(families, "_FAMILIES", {})
    monkeypatch.setattr(plugins, "_loaded", {})
    photos = tmp_path / "photos"
    refused = run_searchlab("predict", tmp_path / "to", photos)
    assert_refused(refused, "separable", f"--plugin {source}")
    answers = read_json(
        run_searchlab("predict", tmp_path / "to", photos, "--plugin", source, "--json")
    )
    assert len(answers["predictions"]) == 20
    right = [Path(one["path"]).parent.name == one["label"] for one in answers["predictions"]]
    assert sum(right) / 20 >= 0.5

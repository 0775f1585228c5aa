"""``study run`` on images, weights and names that do not suit: one message, and nothing written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import yaml
from command_line import Outcome, assert_refused, run_searchlab
from PIL import Image

STUDY: dict[str, Any] = {
    "name": "bad",
    "dataset": {"name": "folder", "root": "images", "size": 16},
    "space": {"parameters": {"family": {"fcn": {"width": 8}}}},
    "search": {"sampler": "random", "trials": 1},
    "training": {"epochs": 1},
    "validation": {"folds": 2},
    "baselines": {"architectures": []},
    "confirm": {"top": 0},
}


def write_images(folder: Path) -> None:
    for shade, name in enumerate(("ant", "bee", "cat")):
        (folder / name).mkdir(parents=True)
        for index in range(6):
            picture = Image.new("RGB", (16, 16), (80 * shade, index, 0))
            picture.save(folder / name / f"{index}.png")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SEARCHLAB_RUNS", "SEARCHLAB_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resnet18 as torchvision would save it."""
    from torchvision.models import resnet18

    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18(num_classes=4).state_dict(), path)
    return path


def run(folder: Path, *arguments: object, **changes: Any) -> Outcome:
    path = folder / "bad.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    more = ("--runs-dir", folder / "runs", "--engine", "serial", *arguments)
    return run_searchlab("study", "run", path, *more)


def refuse(folder: Path, *pieces: str, arguments: tuple[object, ...] = (), **changes: Any) -> None:
    """One message with all pieces, after what the command was doing, and no run folder."""
    outcome = run(folder, *arguments, **changes)
    assert_refused(outcome, "error: ", *pieces)
    *steps, message = outcome.err.splitlines()
    assert message.startswith("error: "), outcome.err
    assert all(step.startswith(("checking ", "reading the images")) for step in steps), steps
    assert not (folder / "runs").exists()


def one_family(name: str, **own: Any) -> dict[str, Any]:
    return {"parameters": {"family": {name: own}}}


def test_weights_for_other_channels_are_refused(tmp_path: Path, weights: Path) -> None:
    refuse(
        tmp_path,
        "bad.yaml:", "family.resnet.weights cannot be ", "for dataset digits (1x8x8)",
        "conv1.weight is [64, 3, 7, 7], not [64, 1, 7, 7]", "number of channels",
        dataset="digits",
        space=one_family("resnet", weights=str(weights)),
    )  # fmt: skip


def test_imagenet_weights_are_for_colour_images(tmp_path: Path) -> None:
    refuse(
        tmp_path,
        "family.resnet.weights cannot be 'imagenet'", "of 3 channels, got 1", "Set weights",
        dataset="digits",
        space=one_family("resnet", weights=["none", "imagenet"]),
    )  # fmt: skip


def test_weights_for_grey_images_do_not_go_with_a_folder(tmp_path: Path) -> None:
    from searchlab.config.settings import TrainingSettings
    from searchlab.config.trial import ModelConfig
    from searchlab.models.build import build_model

    grey = build_model(
        ModelConfig(family="resnet"),
        TrainingSettings(),
        image_shape=(1, 16, 16),
        num_classes=3,
        key=(0,),
    )
    torch.save(grey.state_dict(), tmp_path / "grey.pth")
    refuse(
        tmp_path,
        f"family.resnet.weights cannot be '{tmp_path / 'grey.pth'}' for dataset folder (3x16x16)",
        "conv1.weight is [64, 1, 3, 3], not [64, 3, 3, 3]",
        space=one_family("resnet", weights=["none", "grey.pth"], stem="small"),
    )


def test_weights_of_another_network_are_refused(tmp_path: Path, weights: Path) -> None:
    space = one_family("resnet", variant=[18, 34], weights=["none", str(weights)])
    refuse(
        tmp_path,
        "cannot be ", f"{weights}' beside variant 34 for dataset folder (3x16x16)",
        "layer1.2.conv1.weight is missing", "of the same variant",
        space=space,
    )  # fmt: skip
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pt")
    space = one_family("resnet", weights="other.pt")
    rule = f"does not fit the weights of {tmp_path / 'other.pt'}: conv1.weight is missing"
    refuse(tmp_path, rule, space=space)


def test_imagenet_weights_that_cannot_be_had_stop_a_study_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fail(url: Any, *_: object, **__: object) -> None:
        asked.append(getattr(url, "full_url", url))
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.urlopen", fail)
    outcome = run(tmp_path, space=one_family("resnet", weights=["none", "imagenet"]))
    assert (outcome.code, outcome.out) == (1, "")
    assert "error: cannot fetch the imagenet weights of resnet18 from https://" in outcome.err
    assert len(asked) == 1
    assert not (tmp_path / "runs").exists()


def test_imagenet_weights_are_fetched_for_every_variant_before_a_study_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import get_model

    from searchlab.config.loading import load_study
    from searchlab.study.preparation.prepared_study import prepare_study

    fetched: list[str] = []

    def fetch(name: str) -> dict[str, torch.Tensor]:
        fetched.append(name)
        return dict(get_model(name).state_dict())

    monkeypatch.setattr("searchlab.models.pretrained.fetch_imagenet_weights", fetch)
    space = one_family("resnet", variant=[18, 34], weights=["none", "imagenet"])
    (tmp_path / "good.yaml").write_text(yaml.safe_dump({**STUDY, "space": space}))
    prepare_study(load_study(tmp_path / "good.yaml"), data_dir=tmp_path / "data")
    assert fetched == ["resnet18", "resnet34"]


def test_a_plugin_that_fails_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import torch\n\ntorch.nothing_there\n")
    refuse(tmp_path, "mine.py:3 cannot be imported: AttributeError: ", plugins=["mine.py"])


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        (
            {"space": one_family("2conv2fc")},
            ["bad.yaml:", "family.2conv2fc must be a known family", "Did you mean 2conv1fc or 1c"],
        ),
        (
            {"baselines": {"architectures": ["2conv2fc"]}},
            ["bad.yaml:", "baselines.architectures", "got '2conv2fc'", "Did you mean 2conv1fc"],
        ),
        (
            {"dataset": {"name": "digits", "normalize": "imagenet"}},
            ["bad.yaml:", "dataset.normalize cannot be imagenet", "have 1. Use standard, half"],
        ),
        (
            {"dataset": {"name": "folder", "size": 16}},
            ["bad.yaml:", "dataset.root is required with dataset folder. Give the folder that"],
        ),
        (
            {"dataset": {"name": "folder", "root": "images"}},
            ["bad.yaml:", "dataset.size is required with dataset folder. Give the side in"],
        ),
        (
            {"dataset": {"name": "folder", "root": "imges", "size": 16}},
            ["bad.yaml:", "dataset.root must be an existing folder", "imges"],
        ),
        (
            {"dataset": {"name": "digits", "size": 16}},
            ["bad.yaml:", "dataset.size cannot be chosen for digits, whose images are 8x8, got 16"],
        ),
        (
            {"dataset": {"name": "digits", "limit": 15}, "validation": {"folds": 5}},
            ["bad.yaml:", "validation.folds need two training images of each class",
             "raise dataset.limit"],
        ),
        (
            {"dataset": {"name": "digits", "limit": 7}},
            ["bad.yaml:", "dataset.limit must be at least one image per class (10), got 7"],
        ),
        (
            {"space": one_family("a2_report002"), "dataset": "digits"},
            ["bad.yaml:", "family.a2_report002 does not suit dataset digits (1x8x8)",
             "at least 9x9 pixels"],
        ),
    ],
)  # fmt: skip
def test_what_does_not_suit_is_one_message(
    tmp_path: Path, changes: dict[str, Any], pieces: list[str]
) -> None:
    refuse(tmp_path, *pieces, **changes)


def test_an_unknown_preset_of_the_study_names_the_nearest(tmp_path: Path) -> None:
    refuse(
        tmp_path,
        "presets must be a preset of the study, got 'quik'", "Did you mean quick?",
        arguments=("--preset", "quik"),
        presets={"quick": {"training.epochs": 1}},
    )  # fmt: skip


def test_a_broken_image_is_named_and_can_be_skipped_and_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "images" / "bee" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    refuse(tmp_path, f"error: {broken} is a broken image", "dataset.skip_broken: true")
    with caplog.at_level(logging.WARNING):
        outcome = run(tmp_path, "--set", "dataset.skip_broken=true", "--quiet")
    assert outcome.code == 0, outcome.err
    warnings = [record.getMessage() for record in caplog.records]
    folder = tmp_path / "images"
    assert f"skipped 1 image file of {folder} that cannot be used: bee/3.png" in warnings
    assert (tmp_path / "runs" / "bad").is_dir()

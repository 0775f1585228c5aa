"""What is checked before a study begins: every family's models against the dataset's images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna import create_study
from small_studies import write_study
from torch import nn

from searchlab.config.loading import load_study
from searchlab.config.space import SpaceSpec
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models import build, registry
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer
from searchlab.search.space.points import Point, grid
from searchlab.study.ledger import Ledger
from searchlab.study.preparation import compatibility
from searchlab.study.preparation.largest_model import find_largest_model
from searchlab.study.preparation.prepared_study import PreparedStudy, check_study, prepare_study

NO_DATA = Path("no-data")

HEAD = """\
name: s
dataset: {name: digits}
search: {trials: 1}
validation: {folds: 2}
baselines: {architectures: []}
space:
  parameters:
    family:
"""
"""Eight lines: the families of a test begin on the ninth."""


def prepare(folder: Path, families: str, **options: Any) -> PreparedStudy:
    path = folder / "s.yaml"
    path.write_text(HEAD + "".join(f"      {line}\n" for line in families.splitlines()))
    return prepare_study(load_study(path), data_dir=NO_DATA, **options)


def refusal(folder: Path, families: str) -> str:
    with pytest.raises(InputError) as error:
        prepare(folder, families)
    return str(error.value).removeprefix(f"{folder}/")


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family whose layers each take pixels off, as a user may register one."""
    from pydantic import Field

    class HungryParameters(FamilyParameters):
        depth: int = Field(1, ge=1, le=20, description="layers")
        kernel: PerLayer[int] = Field(3, description="side of a layer")
        late: bool = Field(False, description="whether the images are refused by torch only")

    def build(
        parameters: HungryParameters, *, image_shape: Any, num_classes: int, dropout: float
    ) -> nn.Module:
        """Eat pixels."""
        sides = each_layer(parameters.kernel, parameters.depth)
        left = image_shape[1] - sum(side - 1 for side in sides)
        if left < 1 and not parameters.late:
            raise InputError("has no pixels left", found=left)
        layers = [nn.Conv2d(1, 1, side) for side in sides]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(max(left, 1) ** 2, num_classes))

    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))
    family = registry.Family(
        name="hungry",
        parameters=HungryParameters,
        build=build,
        first_conv="0",
        summary="Eats pixels.",
    )
    monkeypatch.setitem(registry._FAMILIES, "hungry", family)


@pytest.mark.usefixtures("hungry")
@pytest.mark.parametrize(
    ("families", "place", "found"),
    [
        ("hungry:\n  depth: [1, 4]", "s.yaml:10: space.parameters.family.hungry.depth", "4"),
        ("hungry:\n  kernel: 3\n  depth: {low: 1, high: 5}", "s.yaml:11: ", "5"),
        ("hungry:\n  kernel: {each_layer: [1, 3, 11]}", "s.yaml:10: ", "11"),
        ("hungry:\n  depth: 4\n  kernel: {each_layer: {low: 1, high: 3}}", "s.yaml:11: ", "3"),
        ("hungry:\n  depth: [4, 1]", "s.yaml:10: ", "4"),  # the reference point itself
        ("hungry:\n  kernel: 9", "s.yaml:10: ", "9"),
    ],
)
def test_a_choice_that_the_images_do_not_suit_is_named_with_its_line(
    tmp_path: Path, families: str, place: str, found: str
) -> None:
    message = refusal(tmp_path, families)
    assert message.startswith(place)
    assert f" cannot be {found} for dataset digits (1x8x8): family hungry has no" in message
    late = refusal(tmp_path, families + "\n  late: true")
    assert late.startswith(place)
    assert "family hungry does not fit images of shape (1, 8, 8): " in late


@pytest.mark.usefixtures("hungry")
def test_two_choices_that_do_not_go_together_are_both_named(tmp_path: Path) -> None:
    families = "hungry:\n  depth: [1, 3]\n  kernel: [3, 7]"
    assert refusal(tmp_path, families).startswith(
        "s.yaml:11: space.parameters.family.hungry.kernel cannot be 7 beside depth 3 for dataset"
    )


@pytest.mark.usefixtures("hungry")
def test_a_fault_that_no_single_parameter_explains_is_the_familys(tmp_path: Path) -> None:
    message = refusal(tmp_path, "hungry:\n  depth: 8\n  kernel: 9")
    assert message.startswith("s.yaml:9: space.parameters.family.hungry does not suit dataset")


def test_filters_by_hand_are_counted_beside_the_kernel(tmp_path: Path) -> None:
    families = "cnn:\n  scheme: [DT, HF]\n  width: 32\n  kernel: [3, 1]"
    message = refusal(tmp_path, families)
    assert message.startswith("s.yaml:12: space.parameters.family.cnn.kernel cannot be 1 beside ")
    assert "a 1x1 first layer set by hand takes 1 to 1 filters, got 32" in message


def test_a_weights_file_that_is_missing_is_named_with_its_line(tmp_path: Path) -> None:
    for families in ("resnet:\n  weights: [none, gone.pth]", "resnet:\n  weights: gone.pth"):
        message = refusal(tmp_path, families)
        place = "s.yaml:10: space.parameters.family.resnet.weights cannot be "
        assert message.startswith(f"{place}'{tmp_path / 'gone.pth'}'")
        assert (
            f"must find its weights in a file, but there is none at {tmp_path / 'gone.pth'}"
            in message
        )


def test_a_list_of_families_has_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(HEAD.replace("family:", "family: [fcn, a2_report002]"))
    with pytest.raises(InputError, match=r"s\.yaml:8: space\.parameters\.family does not suit"):
        prepare_study(load_study(path), data_dir=NO_DATA)


def count_checks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ModelConfig, bool]]:
    checked: list[tuple[ModelConfig, bool]] = []

    def check(model: ModelConfig, *, pass_images: bool, **_: object) -> None:
        checked.append((model, pass_images))

    monkeypatch.setattr(build, "check_model", check)
    return checked


def test_no_model_is_checked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = count_checks(monkeypatch)
    families = "cnn:\n  depth: {low: 1, high: 3}\n  pool: {each_layer: [1, 2]}\n  kernel: [3, 5]"
    prepare(tmp_path, families)
    models = [str(model) for model, _ in checked]
    assert len(models) == len(set(models))
    for depth, pool, kernel in [(1, 1, 3), (3, 1, 3), (2, 2, 3), (2, 1, 5), (3, 2, 3), (3, 1, 5)]:
        parameters: dict[str, Any] = {"depth": depth, "kernel": kernel, "pool": (pool,) * depth}
        assert ModelConfig(family="cnn", parameters=parameters) in [model for model, _ in checked]


def test_a_vast_space_is_checked_in_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = count_checks(monkeypatch)
    monkeypatch.setattr(compatibility, "_MAX_SECONDS", -1.0)
    choices = ", ".join(map(str, range(1, 400)))
    prepare(tmp_path, f"fcn:\n  width: [{choices}]\n  depth: {{low: 1, high: 6}}")
    assert len(checked) <= 1 + 2 * compatibility._MAX_CHANGES
    assert [passed for _, passed in checked].count(True) == 1, "the reference point always"


def test_a_study_is_checked_without_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the images were read")

    monkeypatch.setattr("searchlab.study.preparation.prepared_study.load_dataset", refuse)
    path = tmp_path / "s.yaml"
    path.write_text(HEAD.replace("family:", "family: fcn"))
    check_study(load_study(path), data_dir=NO_DATA)
    with pytest.raises(AssertionError, match="the images were read"):
        prepare_study(load_study(path), data_dir=NO_DATA)


def test_a_grid_is_enumerated_once_for_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[int] = []

    def count_points(space: SpaceSpec, *, points: int, seed: int) -> list[Point]:
        found = grid(space, points=points, seed=seed)
        planned.append(len(found))
        return found

    monkeypatch.setattr("searchlab.study.plan.grid", count_points)
    path = tmp_path / "s.yaml"
    path.write_text(HEAD.replace("family:", "family: {fcn: {depth: [1, 2], width: [8, 16]}}"))
    file = load_study(path, ["search={sampler: grid}"])
    prepared = prepare_study(file, data_dir=NO_DATA)
    find_largest_model(prepared)
    Ledger(plan=prepared.plan, study=create_study(), checkpoints=tmp_path)
    assert planned == [4]


def test_decoding_is_told_how_far_it_is(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("ant", "bee"):
        for index in range(5):
            path = tmp_path / "images" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (index, 0, 0)).save(path)
    text = HEAD.replace("digits", f"folder, size: 8, root: {tmp_path / 'images'}")
    path = tmp_path / "s.yaml"
    path.write_text(text.replace("family:", "family: fcn"))
    steps: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        steps.append((done, total))

    for _ in range(2):  # the second time the images come from the cache
        prepare_study(load_study(path), data_dir=tmp_path / "data", on_progress=note)
    assert steps[-1] == (10, 10)
    assert len(steps) == 2  # training set and test set, once


def test_a_published_confusion_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    row = {"table": "figure 18", "name": "n", "trial": "a2/DT", "figures": {"images": 132}}
    published = {"source": "a report", "rows": [{**row, "confusion": ["7", "shirt"]}]}
    file = load_study(write_study(tmp_path, published=published))
    with pytest.raises(InputError) as refused:
        check_study(file, data_dir=NO_DATA)
    message = str(refused.value)
    assert "published.rows.0.confusion must be a class of digits, got 'shirt'" in message

"""Files of weights in spaces and studies: found beside the file that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from searchlab.config.documents import Document
from searchlab.config.loading import load_space, load_study, make_study
from searchlab.config.plugins import load_plugins
from searchlab.config.relative_paths import WEIGHT_SUFFIXES
from searchlab.config.study import StudySpec
from searchlab.errors import InputError
from searchlab.models.pretrained import read_weights

PLACE = "space.parameters.family.resnet.weights"


def space(weights: object) -> dict[str, Any]:
    return {"parameters": {"family": {"resnet": {"weights": weights, "stem": "small"}}}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with studies/ and spaces/ in it."""
    for name in ("studies", "spaces"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*overrides: str, preset: str | None = None, **fields: Any) -> StudySpec:
    data = {"name": "s", "dataset": "digits", "search": {"trials": 1}, **fields}
    path = Path("studies/s.yaml")
    path.write_text(yaml.safe_dump(data))
    return load_study(path, overrides, preset=preset).spec


def weights_of(spec: StudySpec) -> object:
    return spec.to_data()["space"]["parameters"]["family"]["resnet"]["weights"]


@pytest.mark.parametrize("suffix", WEIGHT_SUFFIXES)
def test_an_inline_space_names_files_beside_the_study(folder: Path, suffix: str) -> None:
    here = str(folder / "studies" / f"own{suffix}")
    assert weights_of(read(space=space(f"own{suffix}"))) == here
    assert weights_of(read(space=space(["none", f"own{suffix}"]))) == ["none", here]
    outside = f"../spaces/own{suffix}"
    assert weights_of(read(space=space(outside))) == str(folder / "spaces" / f"own{suffix}")


def test_a_space_file_names_files_beside_itself(folder: Path) -> None:
    path = Path("spaces/own.yaml")
    path.write_text(yaml.safe_dump(space(["imagenet", "own.pth"])))
    expected = ["imagenet", str(folder / "spaces" / "own.pth")]
    assert load_space(path).space.to_data()["parameters"]["family"]["resnet"]["weights"] == expected
    assert weights_of(read(space="../spaces/own.yaml")) == expected
    assert weights_of(read("space=spaces/own.yaml", space="none.yaml")) == expected


def test_an_option_names_files_in_the_current_folder_and_a_preset_beside_the_study(
    folder: Path,
) -> None:
    here = str(folder / "own.pth")
    assert weights_of(read(f"{PLACE}=own.pth", space=space("none"))) == here
    assert weights_of(read(f"{PLACE}=[none, own.pth]", space=space("none"))) == ["none", here]
    presets = {"mine": {PLACE: "own.pth"}}
    spec = read(space=space("none"), presets=presets, preset="mine")
    assert weights_of(spec) == str(folder / "studies" / "own.pth")


def test_rows_and_reference_points_name_files_as_the_space_does(folder: Path) -> None:
    spec = read(
        space=space(["none", "own.pth"]),
        search={"sampler": "one_at_a_time", "reference": {"resnet.weights": "../studies/own.pth"}},
        baselines={
            "architectures": [],
            "rows": [
                {"name": "ours", "architecture": "resnet", "parameters": {"weights": "./own.pth"}}
            ],
        },
    )
    here = str(folder / "studies" / "own.pth")
    assert weights_of(spec) == ["none", here]
    assert spec.search.reference == {"resnet.weights": here}
    assert spec.baselines.rows[0].parameters == {"weights": here}


def test_what_is_absolute_or_no_file_stays_as_it_is(folder: Path) -> None:
    for value in ("none", "imagenet", str(folder / "own.pth")):
        assert weights_of(read(space=space(value))) == value


def test_a_study_as_run_names_the_same_files_from_its_own_folder(folder: Path) -> None:
    spec = read(space=space("own.pth"))
    (folder / "run").mkdir()
    (folder / "run" / "study.yaml").write_text(yaml.safe_dump(spec.to_data()))
    assert load_study(folder / "run" / "study.yaml").spec == spec


def test_a_study_whose_folder_is_yet_to_be_made_finds_its_files(folder: Path) -> None:
    Path("spaces/own.yaml").write_text(yaml.safe_dump(space("own.pth")))
    data = {
        "name": "s",
        "dataset": {"name": "folder", "root": "../photos", "size": 8},
        "space": "../spaces/own.yaml",
        "search": {"trials": 1},
    }
    spec = make_study(Document(source="here", data=data), folder=Path("yet")).spec
    assert spec.dataset.root == str(folder / "photos")
    assert weights_of(spec) == str(folder / "spaces" / "own.pth")


@pytest.mark.parametrize(
    ("path", "lies_at"), [("loop/x", "loop/x"), ("~no one/x", "studies/~no one/x"),
                          ("x" * 300, f"studies/{'x' * 300}")],
    ids=["loop", "no user", "long"],
)  # fmt: skip
def test_paths_that_lead_nowhere_are_left_to_whoever_opens_them(
    path: str, lies_at: str, folder: Path
) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "studies" / "loop").symlink_to(folder / "loop")
    spec = read(
        space=space(f"{path}.pth"), dataset={"name": "folder", "root": path}, plugins=[f"{path}.py"]
    )
    assert weights_of(spec) == str(folder / f"{lies_at}.pth")
    assert spec.dataset.root == str(folder / lies_at)
    assert spec.plugins == (str(folder / f"{lies_at}.py"),)
    with pytest.raises(InputError, match="space must name an existing file"):
        read(space=f"{path}.yaml")
    for act in (lambda: load_plugins(spec.plugins), lambda: read_weights(f"{path}.pth")):
        with pytest.raises(InputError, match=r"does not exist|cannot be read|there is none at"):
            act()

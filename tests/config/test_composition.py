"""Studies and spaces made of several files, and variables in their paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchlab.config.loading import load_recorded_study, load_space, load_study, study_from_data
from searchlab.config.study import StudySpec
from searchlab.errors import InputError

BASE = """\
name: base
dataset: {name: folder, root: photos, size: 64}
space: small.yaml
search: {trials: 9, seed: 3}
training: {epochs: 5}
baselines: {architectures: [a1, a2], weights: saved}
plugins: [mine.py]
published: {source: r, rows: [{table: t, name: n, trial: search, figures: {accuracy: 1}}]}
presets:
  quick: {search.trials: 1, dataset.root: few}
"""
SPACE = "parameters:\n  lr: {low: 0.001, high: 0.1, log: true}\n  family: {cnn: {depth: [1, 2]}}\n"
INLINE = "{parameters: {family: cnn}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with bases/ and studies/ in it."""
    monkeypatch.chdir(tmp_path)
    write("bases/base.yaml", BASE)
    write("bases/small.yaml", SPACE)
    return tmp_path


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def write_study(*lines: str, base: str = "../bases/base.yaml") -> Path:
    return write("studies/own.yaml", "\n".join([f"extends: {base}", "name: own", *lines, ""]))


def parameters_of(spec: StudySpec) -> dict[str, object]:
    found: dict[str, object] = spec.to_data()["space"]["parameters"]
    return found


def test_a_study_has_what_it_says_and_the_rest_of_its_base(folder: Path) -> None:
    file = write_study(
        "search: {trials: 2}", "training: {lr: 0.5}", "baselines: {architectures: [a1]}"
    )
    spec = load_study(file).spec
    assert (spec.name, spec.search.trials, spec.search.seed) == ("own", 2, 3)
    assert (spec.training.epochs, spec.training.lr) == (5, 0.5)
    assert spec.baselines.architectures == ("a1",)
    assert spec.published is None, "figures of the base's settings are not those of others"
    assert StudySpec.model_validate(spec.to_data()).to_data() == spec.to_data()


def test_each_path_starts_at_the_file_that_names_it(folder: Path) -> None:
    spec = load_study(write_study()).spec
    assert spec.dataset.root == str(folder / "bases" / "photos")
    assert spec.baselines.weights == str(folder / "bases" / "saved")
    assert spec.plugins == (str(folder / "bases" / "mine.py"),)
    assert load_study(write_study(), preset="quick").spec.dataset.root == str(
        folder / "bases" / "few"
    )
    assert load_study(write_study(), ["dataset.root=x"]).spec.dataset.root == str(folder / "x")
    own = load_study(write_study("dataset: {root: mine}", "plugins: [own.py]")).spec
    assert (own.dataset.root, own.dataset.size) == (str(folder / "studies" / "mine"), 64)
    assert own.plugins == (str(folder / "studies" / "own.py"),)


def test_a_chain_of_files_and_a_dict_are_extended(folder: Path) -> None:
    write("middle.yaml", "extends: bases/base.yaml\ntraining: {epochs: 7}\nsearch: {seed: 4}\n")
    spec = load_study(write_study("search: {trials: 2}", base="../middle.yaml")).spec
    assert (spec.training.epochs, spec.search.seed, spec.search.trials) == (7, 4, 2)
    again = study_from_data({"extends": "middle.yaml", "name": "own", "search": {"trials": 2}})
    assert again.spec == spec


def test_ranges_and_lists_of_a_space_are_replaced_and_families_are_merged(folder: Path) -> None:
    lines = "parameters: {lr: {low: 0.01, high: 0.2}, family: {cnn: {width: 8}, fcn: }}"
    own = write("spaces/own.yaml", f"extends: ../bases/small.yaml\n{lines}\n")
    expected = {
        "lr": {"low": 0.01, "high": 0.2},
        "family": {"cnn": {"depth": [1, 2], "width": 8}, "fcn": {}},
    }
    assert load_space(own).space.to_data()["parameters"] == expected
    inline = write_study(f"space: {{extends: ../bases/small.yaml, {lines}}}")
    assert parameters_of(load_study(inline).spec) == expected
    # Of the base's own space, which is inline there.
    middle = f"extends: bases/base.yaml\nspace: {{extends: bases/small.yaml, {lines}}}\n"
    write("middle.yaml", middle)
    changed = load_study(
        write_study("space: {parameters: {lr: 0.1}}", base="../middle.yaml"),
        ["space.parameters.batch_size=[8, 16]"],
    )
    assert parameters_of(changed.spec) == {**expected, "lr": 0.1, "batch_size": [8, 16]}


def test_a_space_of_three_files_knows_where_each_value_is_written(folder: Path) -> None:
    resnet = "{weights: own.pth, stem: small}"
    write("bases/small.yaml", f"parameters:\n  family:\n    resnet: {resnet}\n  dropout: 0.1\n")
    middle = "extends: bases/base.yaml\nspace:\n  extends: bases/small.yaml\n"
    write("middle.yaml", middle + "  parameters: {lr: 0}\n")
    file = write_study("space: {parameters: {dropout: 0.2}}", base="../middle.yaml")
    with pytest.raises(InputError) as error:
        load_study(file)
    assert str(error.value) == (
        "studies/../middle.yaml:4: space.parameters.lr must be greater than 0, got 0"
    )
    family = parameters_of(load_study(file, ["space.parameters.lr=0.1"]).spec)["family"]
    assert family == {"resnet": {"weights": str(folder / "bases" / "own.pth"), "stem": "small"}}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("search: {trials: -1}", "studies/own.yaml:3: search.trials must be greater than"),
        ("search: 3", "studies/own.yaml:3: search must be a mapping"),
        ("confirm: {topp: 3}", "studies/own.yaml:3: confirm.topp is not a known field"),
        ("dataset: [usps]", "studies/own.yaml:3: dataset must be a mapping"),
        ("extends: [x.yaml]", "studies/own.yaml:3: extends appears twice. Keep one"),
        ("training: {lr: 1}", "studies/../bases/base.yaml:5: training.epochs must be greater"),
        ("space: {extends: small.yaml}", "studies/own.yaml:3: extends must name an existing file"),
        (
            "space: {extends: ../bases/wrong.yaml, parameters: {batch_size: 8}}",
            "studies/../bases/wrong.yaml:3: space.parameters.family.cnn must be a mapping",
        ),
    ],
)
def test_a_message_names_the_file_that_holds_the_fault(
    folder: Path, lines: str, message: str
) -> None:
    write("bases/base.yaml", BASE.replace("epochs: 5", "epochs: 0"))
    write("bases/wrong.yaml", "parameters:\n  lr: 0.1\n  family: {cnn: 3}\n")
    with pytest.raises(InputError) as error:
        load_study(write_study(lines))
    assert message in str(error.value)


def test_files_that_extend_each_other_are_refused(folder: Path) -> None:
    write("bases/base.yaml", "extends: ../studies/own.yaml\n")
    with pytest.raises(InputError) as error:
        load_study(write_study())
    assert str(error.value) == (
        "studies/../bases/base.yaml:1: extends leads back to a file that it comes from: "
        "studies/own.yaml -> studies/../bases/base.yaml -> "
        "studies/../bases/../studies/own.yaml. Remove one of them"
    )


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("gone.yaml", "own.yaml:1: extends must name an existing file, got 'gone.yaml'. Looked"),
        ("3", "own.yaml:1: extends must be the path of a file, got 3"),
        (
            "${NONE}/base.yaml",
            "own.yaml:1: extends needs the environment variable NONE, which is u",
        ),
    ],
)
def test_a_base_that_is_not_there_is_named(folder: Path, base: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_study(write_study(base=base))
    assert message in str(error.value)


def test_variables_stand_for_parts_of_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(folder / "data"))
    monkeypatch.setenv("EMPTY", "")
    file = write_study(
        "dataset: {root: '${DATA}/${NONE:-photos}'}",
        "baselines: {weights: '${EMPTY:-saved}'}",
        "plugins: ['${DATA}/own.py']",
        "space: {parameters: {family: {resnet: {weights: '${DATA}/a.pth', stem: small}}}}",
        base="${BASES:-../bases}/base.yaml",
    )
    spec = load_study(file).spec
    assert spec.dataset.root == str(folder / "data" / "photos")
    assert spec.baselines.weights == str(folder / "studies" / "saved")
    assert spec.plugins == (str(folder / "data" / "own.py"),)
    assert parameters_of(spec)["family"] == {
        "resnet": {"weights": str(folder / "data" / "a.pth"), "stem": "small"}
    }
    by_option = load_study(file, ["space=${BASES:-bases}/small.yaml", "dataset.root=${DATA}"])
    assert by_option.spec.dataset.root == str(folder / "data")


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (
            "${DATA}/x",
            "dataset.root needs the environment variable DATA, which is unset or empty, got "
            "'${DATA}/x'. Set it, or give a default: ${DATA:-PATH}",
        ),
        ("${1}/x", "dataset.root must name variables as ${NAME} or ${NAME:-default}, got '${1}/x'"),
        ("${DATA:-${HOME}}", "dataset.root must name variables as ${NAME} or ${NAME:-default}"),
    ],
)
def test_a_variable_without_a_value_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, root: str, message: str
) -> None:
    monkeypatch.setenv("DATA", "")
    with pytest.raises(InputError) as error:
        load_study(write_study(f"dataset: {{root: '{root}'}}"))
    assert str(error.value).startswith(f"studies/own.yaml:3: {message}")


def test_the_paths_of_a_record_are_final(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "data")
    file = write("run.yaml", BASE.replace("photos", "'${DATA}/x'").replace("small.yaml", INLINE))
    assert load_recorded_study(file).spec.dataset.root == str(folder / "${DATA}" / "x")

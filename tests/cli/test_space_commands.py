"""searchlab space: what is written reads back; what is wrong is refused and nothing is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from command_line import assert_refused, run_searchlab

from searchlab.cli.value_text import parse_values
from searchlab.config import plugins
from searchlab.config.loading import load_space
from searchlab.config.nodes import Fixed
from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models import list_families, registry
from searchlab.models.build import count_parameters
from searchlab.search.space.space_check import check_space

SPACES = Path(__file__).parents[2] / "spaces"
FAMILY = Path(__file__).parents[2] / "examples" / "my_family.py"
ISSUE_FLAGS = (
    "--lr 1e-4:1e-1:log --batch-size 64,128,256 --dropout 0:0.7 --init default,kaiming_normal "
    "--optimizer adam,sgd --weight-decay 0:0.01 --momentum 0.9 --family cnn,fcn --depth 1:4 "
    "--width 16,32,64 --each-layer width --kernel 3,5 --hidden 0,64 --activation relu,sigmoid"
)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("adam", "adam"),
        ("3,5", [3, 5]),
        ("relu, gelu", ["relu", "gelu"]),
        ("1:4", {"low": 1, "high": 4}),
        ("1e-4:1:log", {"low": 1e-4, "high": 1, "log": True}),
        ("0:0.5:step=0.1", {"low": 0, "high": 0.5, "step": 0.1}),
    ],
)
def test_value_syntax(text: str, tree: object) -> None:
    assert parse_values(text, "--x") == tree
    assert type(parse_values(text, "--x")) is type(tree)


@pytest.mark.parametrize(
    "text", ["", "1,,2", "1:", ":2", "1:2:lin", "1:2:log:3", "1:2:step=", "[1"]
)
def test_value_syntax_errors_name_the_option(text: str) -> None:
    with pytest.raises(InputError, match="--width"):
        parse_values(text, "--width")


def test_new_writes_a_space_with_each_parameter_where_it_belongs(tmp_path: Path) -> None:
    out = tmp_path / "made" / "both.yaml"
    outcome = run_searchlab("space", "new", *ISSUE_FLAGS.split(), "--out", out)
    assert (outcome.code, outcome.out) == (0, "")
    data = yaml.safe_load(out.read_text())
    assert data["name"] == "both"
    parameters = data["parameters"]
    assert parameters["lr"] == {"low": 1e-4, "high": 1e-1, "log": True}
    assert parameters["momentum"] == 0.9
    assert set(parameters["family"]["cnn"]) == {"depth", "width", "kernel", "hidden", "activation"}
    assert set(parameters["family"]["fcn"]) == {"depth", "width", "activation"}
    assert parameters["family"]["fcn"]["width"] == {"each_layer": [16, 32, 64]}
    assert "&" not in out.read_text()  # no YAML anchors
    loaded = load_space(out)
    check_space(loaded.space, loaded.document)


def test_new_takes_any_parameter_and_those_of_one_family() -> None:
    flags = (
        "--family cnn,fcn,2conv1fc --width 16,32 -p fcn.width=64,128 -p cnn.dropout_at=hidden "
        "--each-layer width -p rotate_degrees=5:30 -p nesterov=true,false -p hidden2=0,8 "
        "--augment none,flip+crop --label-smoothing 0:0.2 --schedule constant,cosine"
    )
    outcome = run_searchlab("space", "new", *flags.split())
    assert outcome.code == 0, outcome.err
    parameters = yaml.safe_load(outcome.out)["parameters"]
    own = parameters.pop("family")
    assert own["cnn"] == {
        "width": {"each_layer": [16, 32]}, "dropout_at": "hidden", "hidden2": [0, 8]
    }  # fmt: skip
    assert own["2conv1fc"] == {"width": {"each_layer": [16, 32]}, "hidden2": [0, 8]}
    assert own["fcn"] == {"width": [64, 128]}
    assert parameters == {
        "rotate_degrees": {"low": 5, "high": 30},
        "nesterov": [True, False],
        "augment": ["none", "flip+crop"],
        "label_smoothing": {"low": 0, "high": 0.2},
        "schedule": ["constant", "cosine"],
    }


def test_new_knows_a_users_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))
    monkeypatch.setattr(plugins, "_loaded", {})
    flags = ["--family", "separable", "--plugin", FAMILY, "--depth", "1:3", "-p", "norm=none,batch"]
    outcome = run_searchlab("space", "new", *flags)
    assert outcome.code == 0, outcome.err
    own = yaml.safe_load(outcome.out)["parameters"]["family"]["separable"]
    assert own == {"depth": {"low": 1, "high": 3}, "norm": ["none", "batch"]}


def test_every_training_setting_that_can_be_searched_has_a_flag() -> None:
    defaults = {name: str(getattr(TrainingSettings(), name)) for name in SHARED_PARAMETERS}
    flags = [f"--{name.replace('_', '-')}={value.lower()}" for name, value in defaults.items()]
    outcome = run_searchlab("space", "new", "--family", "cnn", *flags)
    assert outcome.code == 0, outcome.err
    parameters = yaml.safe_load(outcome.out)["parameters"]
    assert {name: str(parameters[name]) for name in SHARED_PARAMETERS} == defaults


def test_every_parameter_of_a_family_has_a_flag_that_names_its_families() -> None:
    text = " ".join(run_searchlab("space", "new", "--help").out.split())
    for name in list_families():
        family = registry.get_family(name)
        for parameter in family.value_schemas():
            assert f"--{parameter.replace('_', '-')} VALUES" in text
    assert "Number of convolution blocks (cnn, fcn, local)." in text


def test_the_space_of_everything_has_every_shared_parameter() -> None:
    assert set(load_space(SPACES / "everything.yaml").space.shared) == set(SHARED_PARAMETERS)


def test_families_lists_them_all_and_presets_under_their_own() -> None:
    lines = run_searchlab("space", "families").out.splitlines()
    names = [line.split()[0] for line in lines[1 : lines.index("")]]
    assert sorted(names) == list_families()
    assert names.index("cnn") < names.index("2conv1fc") < names.index("fcn")
    rows = {line.split()[0]: line for line in lines if line}
    assert "HF, HT, DT" in rows["cnn"]
    assert " cnn " in rows["2conv1fc"]
    assert "HF" not in rows["fcn"]


def test_families_shows_one_with_defaults_and_ranges() -> None:
    outcome = run_searchlab("space", "families", "2conv1fc")
    assert "Preset of cnn" in outcome.out
    lines = outcome.out.splitlines()
    assert "width: 1 to 1024 (default: 32, 64; each_layer)" in lines
    assert lines[lines.index("depth: 1 to 8 (default: 2)") + 1] == (
        "    number of convolution blocks"
    )
    assert "block_dropout: 0 to below 1 (default: 0.0)" in lines
    assert "batch_norm: true, false (default: false)" in lines
    assert "scheme: HF, HT, DT (default: DT)" in lines
    assert "scheme" not in run_searchlab("space", "families", "fcn").out
    assert_refused(run_searchlab("space", "families", "cn"), "'cn'", "cnn")


@pytest.mark.parametrize("family", list_families())
def test_a_family_fits_80_columns(family: str) -> None:
    lines = run_searchlab("space", "families", family).out.splitlines()
    assert max(map(len, lines)) <= 80


def test_families_as_json() -> None:
    everything = json.loads(run_searchlab("space", "families", "--json").out)
    assert sorted(entry["name"] for entry in everything) == list_families()
    (preset,) = [entry for entry in everything if entry["name"] == "3fc"]
    assert preset == json.loads(run_searchlab("space", "families", "3fc", "--json").out)
    assert (preset["preset_of"], preset["schemes"]) == ("fcn", ["DT"])
    (width,) = [one for one in preset["parameters"] if one["name"] == "width"]
    assert width["default"] == [64, 128, 256]
    assert width["each_layer"] is True
    assert width["values"]["maximum"] == 4096


def test_new_without_out_prints_the_same_yaml(tmp_path: Path) -> None:
    flags = ["--family", "cnn", "--name", "x", "--depth", "1:2", "--scheme", "HF,DT"]
    printed = run_searchlab("space", "new", *flags)
    written = tmp_path / "x.yaml"
    assert run_searchlab("space", "new", *flags, "--out", written).code == 0
    assert printed.out == written.read_text()


def test_new_overwrites_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    out.write_text("mine")
    outcome = run_searchlab("space", "new", "--family", "fcn", "--out", out)
    assert_refused(outcome, str(out), "already exists", "--force")
    assert out.read_text() == "mine"
    assert run_searchlab("space", "new", "--family", "fcn", "--out", out, "--force").code == 0
    assert out.read_text() != "mine"


@pytest.mark.parametrize(
    ("flags", "pieces"),
    [
        ("--family fcn --kernel 3", ["--kernel", "fcn", "Families that have it: cnn"]),
        ("--family cn", ["--family", "'cn'", "cnn"]),
        ("--family cnn --depth 0:3", ["cnn.depth", "greater than or equal to 1", "0"]),
        ("--family cnn --kernel 1:5", ["cnn.kernel", "odd", "2"]),
        ("--family cnn --lr 1e-1:1e-3", ["parameters.lr.low", "must be < high", "0.1"]),
        ("--family cnn --lr 0:1:log", ["parameters.lr", "0"]),
        ("--family cnn --init kaimin", ["parameters.init", "'kaimin'", "kaiming_normal"]),
        ("--family cnn --width 8 --each-layer width", ["--each-layer", "'width'"]),
        ("--family cnn --depth 1:2 --each-layer depth", ["cnn.depth", "one value for all layers"]),
        ("--family cnn --name ../x", ["name", "slug", "'../x'"]),
        ("--family fcn --hidden 0,8", ["--hidden", "fcn", "cnn, local"]),
        ("--family resnet --batch-norm true", ["--batch-norm", "resnet", "cnn, fcn"]),
        ("--family cnn --augment flip,flap", ["parameters.augment", "'flap'", "flip"]),
        ("--family cnn --optimizer adam,sdg", ["parameters.optimizer", "'sdg'", "sgd"]),
        ("--family cnn -p depht=2", ["--parameter depht", "cnn", "Did you mean depth"]),
        ("--family cnn -p crop_paddin=2", ["--parameter crop_paddin", "crop_padding"]),
        ("--family cnn -p fcn.width=8", ["--parameter fcn.width", "--family", "'fcn'"]),
        ("--family cnn -p cnn.stride=2", ["--parameter cnn.stride", "cnn", "local"]),
        ("--family cnn -p width", ["--parameter", "'width'", "NAME=VALUES"]),
        ("--family cnn -p =8", ["--parameter", "'=8'"]),
        ("--family cnn --width 8 -p width=16", ["--parameter width", "given twice"]),
        ("--family cnn -p crop_padding=2:", ["--parameter crop_padding", "'2:'"]),
        ("--family separable --plugin nowhere.py", ["nowhere.py", "does not exist"]),
    ],
)
def test_new_refuses_bad_flags_and_writes_nothing(
    tmp_path: Path, flags: str, pieces: list[str]
) -> None:
    out = tmp_path / "sub" / "x.yaml"
    assert_refused(run_searchlab("space", "new", *flags.split(), "--out", out), *pieces)
    assert list(tmp_path.iterdir()) == []


def test_new_names_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "x.yaml"
    assert_refused(
        run_searchlab("space", "new", "--family", "cnn", "--out", out), str(out), "--out"
    )


@pytest.mark.parametrize("file", sorted(SPACES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_space_passes_its_check(file: Path) -> None:
    outcome = run_searchlab("space", "check", file)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"{file}: ok, ")


@pytest.mark.parametrize("file", sorted(SPACES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_baselines_own_settings_lie_in_every_shipped_space(file: Path) -> None:
    settings = TrainingSettings()
    for name, node in load_space(file).space.shared.items():
        # A baseline takes what the space holds fixed.
        assert isinstance(node, Fixed) or node.contains(getattr(settings, name)), name


def test_check_reports_the_good_files_and_all_the_bad(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("parameters:\n  family:\n    cnn: {depht: 2}\n    fnc: {}\n")
    outcome = run_searchlab("space", "check", SPACES / "cnn.yaml", bad)
    assert outcome.code == 2
    assert "1,728 configurations x 2 continuous parameters" in outcome.out
    assert f"{bad}:3: parameters.family.cnn.depht" in outcome.err
    assert "Did you mean depth" in outcome.err
    assert f"{bad}:4: parameters.family.fnc" in outcome.err
    assert "Did you mean fcn" in outcome.err


def test_check_as_json() -> None:
    outcome = run_searchlab("space", "check", SPACES / "cnn.yaml", "--json")
    (entry,) = json.loads(outcome.out)["ok"]
    assert (entry["configurations"], entry["continuous_parameters"]) == (1728, 2)


def test_show_lists_every_parameter_with_its_family() -> None:
    outcome = run_searchlab("space", "show", SPACES / "cnn.yaml")
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line}
    assert "0.0001 to 0.1, log" in rows["lr"]
    assert "choice per layer" in rows["cnn.width"]
    assert rows["fcn.activation"].endswith("fcn")
    assert "1,728 configurations" in outcome.out


def test_show_as_json() -> None:
    data = json.loads(run_searchlab("space", "show", SPACES / "mlp.yaml", "--json").out)
    assert data["name"] == "mlp"
    assert {"parameter": "momentum", "kind": "fixed", "values": "0.9", "family": "all"} in data[
        "parameters"
    ]


def test_sample_is_seeded_and_counts_parameters() -> None:
    command = ("space", "sample", SPACES / "quickstart.yaml", "-n", 4, "--json")
    first = json.loads(run_searchlab(*command).out)
    assert first == json.loads(run_searchlab(*command).out)
    assert first != json.loads(run_searchlab(*command, "--seed", 1).out)
    assert len(first) == 4
    assert len({str(drawn["parameters"]) for drawn in first}) == 4


def test_sample_counts_for_the_dataset_named(tmp_path: Path) -> None:
    space = tmp_path / "a2.yaml"
    space.write_text("parameters: {family: a2}\n")
    outcome = run_searchlab("space", "sample", space, "-n", 1, "--dataset", "digits", "--json")
    (drawn,) = json.loads(outcome.out)
    a2 = ModelConfig(family="a2")
    assert drawn["num_parameters"] == count_parameters(a2, image_shape=(1, 8, 8), num_classes=10)
    plain = run_searchlab("space", "sample", space, "-n", 1, "--image-shape", "3x32x32")
    expected = count_parameters(a2, image_shape=(3, 32, 32), num_classes=10)
    assert f"0: {expected:,} parameters" in plain.out


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        (["--image-shape", "28x28"], ["--image-shape", "'28x28'", "1x28x28"]),
        (["--image-shape", "1x0x28"], ["--image-shape"]),
        (["--dataset", "digit"], ["'digit'", "Did you mean digits"]),
        (["--dataset", "digits", "--classes", "3"], ["--dataset", "Remove"]),
        (["-n", "0"], ["-n"]),
    ],
)
def test_sample_refuses_bad_options(arguments: list[str], pieces: list[str]) -> None:
    outcome = run_searchlab("space", "sample", SPACES / "quickstart.yaml", *arguments)
    assert_refused(outcome, *pieces)


def test_sample_takes_a_python_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "sampled_space.py").write_text(
        "def space(trial):\n"
        "    depth = trial.suggest_int('cnn.depth', 1, 2)\n"
        "    return {'lr': 0.1, 'family': 'cnn', 'cnn': {'depth': depth, 'width': [8] * depth}}\n"
    )
    outcome = run_searchlab("space", "sample", "sampled_space:space", "-n", 8, "--json")
    assert outcome.code == 0, outcome.err
    drawn = [entry["parameters"] for entry in json.loads(outcome.out)]
    assert {point["cnn.depth"] for point in drawn} == {1, 2}
    missing = run_searchlab("space", "sample", "sampled_space:nothing")
    assert_refused(missing, "sampled_space:nothing", "no function")


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_python_function_has_no_space_to_show(command: str) -> None:
    assert_refused(run_searchlab("space", command, "module:function"), "module:function", "file")


def test_a_missing_file_is_named() -> None:
    assert_refused(run_searchlab("space", "show", "nowhere.yaml"), "nowhere.yaml", "does not exist")

"""searchlab study new: writes a study that loads, or nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from command_line import assert_refused, run_searchlab

from searchlab.config import plugins
from searchlab.config.loading import load_study
from searchlab.config.metrics import list_objectives
from searchlab.config.samplers import SamplerName
from searchlab.config.settings import TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.models import registry as families

EXAMPLES = Path(__file__).parents[2] / "examples"
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


@pytest.mark.parametrize(
    ("options", "expected"), [((), "auto"), (("--set", "training.precision=float32"), "float32")]
)
def test_the_precision_is_left_to_the_machine_unless_it_is_named(
    options: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    out = tmp_path / "x.yaml"
    assert run_searchlab("study", "new", "x", *GOOD, "--out", out, *options).code == 0
    assert load_study(out).spec.training.precision == expected


@pytest.mark.parametrize(
    ("flags", "pruner", "start"),
    [
        ("", "halving", "portfolio"),
        ("--pruner none", "none", "portfolio"),
        ("--sampler grid", "none", "reference"),
        ("--sampler random", "halving", "reference"),
        ("--objective accuracy,parameters", "none", "reference"),
        ("--set search.pruner=median --set search.start=random", "median", "random"),
    ],
)
def test_a_new_search_stops_trials_that_fall_behind_and_starts_from_the_portfolio(
    tmp_path: Path, flags: str, pruner: str, start: str
) -> None:
    out = tmp_path / "x.yaml"
    space = tmp_path / "space.yaml"
    space.write_text("parameters: {lr: [0.001, 0.01], family: {fcn: {depth: 1, width: [8, 16]}}}")
    given = ["--dataset", "digits", "--space", space, "--trials", 3, *flags.split(), "--out", out]
    outcome = run_searchlab("study", "new", "x", *given)
    assert outcome.code == 0, outcome.err
    search = load_study(out).spec.search
    assert (search.pruner, search.start) == (pruner, start)


def test_trials_that_only_repeat_a_configuration_are_named_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    space = tmp_path / "one.yaml"
    space.write_text("parameters: {lr: 0.01, family: {fcn: {depth: 1, width: 8}}}")
    flags = ["--dataset", "digits", "--space", space, "--trials", 12, "--out", tmp_path / "x.yaml"]
    assert run_searchlab("study", "new", "x", *flags).code == 0
    assert "only 1 configuration: the other 11 or more trials repeat" in caplog.text


def test_empty_baselines_are_none(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    assert run_searchlab("study", "new", "x", *GOOD, "--baselines", "", "--out", out).code == 0
    assert load_study(out).spec.baselines.architectures == ()


def test_objectives_robustness_and_other_fields(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    flags = (
        "--sampler nsga2 --objective accuracy,parameters --objective robust_accuracy "
        "--robustness pgd:0.05 --lr 0.01 --optimizer adam --schedule cosine --augment flip+crop "
        "--set training.weight_decay=1e-4 --set robustness.steps=3 --set presets.quick={}"
    )
    outcome = run_searchlab("study", "new", "x", *GOOD, *flags.split(), "--out", out)
    assert outcome.code == 0, outcome.err
    spec = load_study(out).spec
    assert [one.metric for one in spec.objective] == ["accuracy", "parameters", "robust_accuracy"]
    assert spec.robustness is not None
    assert (spec.robustness.attack, spec.robustness.epsilon) == ("pgd", 0.05)
    assert spec.robustness.steps == 3
    assert (spec.training.lr, spec.training.schedule) == (0.01, "cosine")
    assert (spec.training.augment, spec.training.weight_decay) == ("flip+crop", 1e-4)


def test_help_has_the_choices_and_defaults_of_the_studys_fields() -> None:
    text = " ".join(run_searchlab("study", "new", "--help").out.split())
    assert f"list: {', '.join(list_objectives())}. [default: accuracy]" in text
    assert f"trial: {', '.join(get_args(SamplerName))}. [default: auto]" in text
    training = TrainingSettings()
    assert f"Images per batch. [default: {training.batch_size}]" in text
    assert "[default: HF,HT,DT]" in text


@pytest.mark.parametrize("sampler", get_args(SamplerName))
def test_every_sampler_can_be_chosen(tmp_path: Path, sampler: str) -> None:
    out = tmp_path / "x.yaml"
    outcome = run_searchlab("study", "new", "x", *GOOD, "--sampler", sampler, "--out", out)
    assert outcome.code == 0, outcome.err
    assert load_study(out).spec.search.sampler == sampler


def test_an_image_folder_is_named_from_the_studys_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    flags = ["--dataset", "folder", "--root", "photos", "--size", "32", "--trials", "5"]
    outcome = run_searchlab("study", "new", "pets", *flags, "--space", SPACE)
    assert outcome.code == 0, outcome.err
    path = tmp_path / "studies" / "pets.yaml"
    assert "root: ../photos" in path.read_text()
    root = load_study(path).spec.dataset.root
    assert root is not None
    assert Path(root).resolve() == tmp_path / "photos"


def test_a_plugin_is_named_from_the_studys_own_place_and_its_family_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text((EXAMPLES / "my_family.py").read_text())
    flags = ["--baselines", "separable", "--plugin", "mine.py"]
    outcome = run_searchlab("study", "new", "x", *GOOD, *flags)
    assert outcome.code == 0, outcome.err
    path = tmp_path / "studies" / "x.yaml"
    assert "plugins: [../mine.py]" in path.read_text()
    assert load_study(path).spec.plugins == (str(tmp_path / "mine.py"),)


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
        (["--trials", "-1"], ["search.trials", "-1"]),
        (["--sampler", "tp"], ["search.sampler", "'tp'", "tpe"]),
        (["--search-folds", "6"], ["validation.search_folds", "folds (5)", "6"]),
        (["--baselines", "a3"], ["baselines.architectures", "'a3'", "a1"]),
        (
            ["--baselines", "fcn"],
            ["baselines.architectures", "fcn", "HF", "schemes to [DT]"],
        ),
        (["--schemes", "HX"], ["baselines.schemes", "'HX'"]),
        (
            ["--space", "nowhere.yaml"],
            ["must name an existing file", "nowhere.yaml"],
        ),
        (["--space", "cnnn"], ["cnnn is neither a file nor", "Did you mean cnn?"]),
        (["--baselines", "a2_report002"], ["baselines.architectures", "at least 9x9", "8x8"]),
        (["--objective", "acuracy"], ["objective.metric", "'acuracy'", "Did you mean accuracy"]),
        (["--objective", "accuracy,"], ["--objective", "'accuracy,'"]),
        (["--objective", "parameters,accuracy"], ["objective", "must start with a metric"]),
        (["--objective", "accuracy,robust_accuracy"], ["objective", "needs robustness"]),
        (["--objective", "accuracy,latency", "--sampler", "cmaes"], ["sampler", "nsga2"]),
        (["--objective", "accuracy,latency", "--pruner", "median"], ["search.pruner", "none"]),
        (["--robustness", "fgm:0.1"], ["robustness.attack", "'fgm'", "fgsm"]),
        (["--robustness", "fgsm:much"], ["robustness.epsilon", "'much'"]),
        (["--robustness", "pgd:0.1:5:7"], ["attack:epsilon:steps", "'pgd:0.1:5:7'"]),
        (["--objective", "accuracy:maximize:last:x"], ["metric:direction:at", "'accuracy:max"]),
        (["--space", "mod:fn", "--sampler", "gp"], ["search.sampler", "Python function"]),
        (["--size", "64"], ["dataset.size", "digits", "64"]),
        (["--dataset", "folder", "--root", "."], ["dataset.size", "folder"]),
        (["--dataset", "folder", "--size", "64"], ["dataset.root", "folder"]),
        (["--dataset", "folder", "--size", "64", "--root", "nowhere"], ["dataset.root", "nowhere"]),
        (["--normalize", "imagenet"], ["dataset.normalize", "imagenet"]),
        (["--optimizer", "adamm"], ["training.optimizer", "'adamm'", "adam"]),
        (["--augment", "flip+crp"], ["training.augment", "'flip+crp'", "crop"]),
        (["--batch-size", "100"], ["training.batch_size", "64, 128, 256", "100"]),
        (["--plugin", "nowhere.py"], ["nowhere.py", "does not exist"]),
        (["--set", "training.epoch=3"], ["training.epoch", "epochs"]),
        (["--set", "training"], ["--set", "field.subfield=value"]),
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


@pytest.mark.parametrize(
    "change",
    [
        ["--dataset", "digit"],
        ["--baselines", "a2_report002"],
        ["--normalize", "imagenet"],
        ["--space", "nowhere:space"],
        ["--space", "baselines_elsewhere.yaml"],
    ],
)
def test_what_is_refused_is_what_a_run_would_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("baselines_elsewhere.yaml").write_text("parameters: {lr: [0.5, 0.9], family: cnn}\n")
    command = ["study", "new", "x", *GOOD, *change, "--out", "x.yaml"]
    outcome = run_searchlab(*command)
    assert outcome.code == 2
    with monkeypatch.context() as patch:
        patch.setattr(
            "searchlab.study.preparation.prepared_study.check_study", lambda *_, **__: None
        )
        assert run_searchlab(*command).code == 0
    at_run = run_searchlab("study", "run", "x.yaml", "--quiet")
    assert at_run.code == 2
    assert _without_places(at_run.err) == _without_places(outcome.err)


def _without_places(message: str) -> str:
    return re.sub(r"error: (study new: |x\.yaml(:\d+)?: )?", "error: ", message)


def test_weights_are_looked_up_beside_the_space_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces").mkdir()
    text = "parameters: {family: {resnet: {weights: [none, gone.pth]}}}\n"
    (tmp_path / "spaces" / "own.yaml").write_text(text)
    flags = ["--space", "spaces/own.yaml", "--baselines", ""]
    outcome = run_searchlab("study", "new", "x", *GOOD, *flags)
    place = "error: spaces/own.yaml:1: parameters.family.resnet.weights"
    assert_refused(outcome, place, f"there is none at {tmp_path / 'spaces' / 'gone.pth'}")


def test_a_fault_in_the_space_is_placed_in_the_space_file(tmp_path: Path) -> None:
    space = tmp_path / "bad.yaml"
    space.write_text("parameters:\n  family:\n    cnn: {depht: 2}\n")
    out = tmp_path / "x.yaml"
    outcome = run_searchlab("study", "new", "x", *GOOD, "--space", space, "--out", out)
    assert_refused(outcome, f"{space}:3: parameters.family.cnn.depht", "depth")
    assert not out.exists()

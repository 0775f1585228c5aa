"""searchlab schema: what is shipped validates, typos do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_searchlab
from jsonschema import Draft202012Validator

from searchlab.config import plugins
from searchlab.config.documents import parse_yaml, read_yaml
from searchlab.data import registry as datasets
from searchlab.models import registry as families
from searchlab.study.schema import space_schema, study_schema

ROOT = Path(__file__).parents[2]
STUDY = "name: s\ndataset: {name: digits}\nspace: ../spaces/cnn.yaml\nsearch: {trials: 5}\n"
SPACE_SCHEMA = space_schema()
STUDY_SCHEMA = study_schema()


def is_valid(schema: dict[str, Any], text: str) -> bool:
    return bool(Draft202012Validator(schema).is_valid(parse_yaml(text, source="test").data))


@pytest.mark.parametrize("kind", ["space", "study"])
def test_the_schema_is_a_schema(kind: str) -> None:
    schema = json.loads(run_searchlab("schema", kind).out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("file", sorted((ROOT / "spaces").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_spaces_validate(file: Path) -> None:
    Draft202012Validator(SPACE_SCHEMA).validate(read_yaml(file).data)


@pytest.mark.parametrize("file", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_studies_validate(file: Path) -> None:
    Draft202012Validator(STUDY_SCHEMA).validate(read_yaml(file).data)


def test_examples_validate_where_their_plugins_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    monkeypatch.setattr(datasets, "_DATASETS", dict(datasets._DATASETS))
    monkeypatch.setattr(plugins, "_loaded", {})
    examples = sorted((ROOT / "examples").glob("*.yaml"))
    named = [part for file in examples for part in ("--plugin", file.with_suffix(".py"))]
    schema = json.loads(run_searchlab("schema", "study", *named).out)
    assert examples
    for file in examples:
        Draft202012Validator(schema).validate(read_yaml(file).data)


@pytest.mark.parametrize(
    "parameters",
    [
        "{family: cnn}",
        "{family: [cnn, a2]}",
        "{family: {a1: , cnn: {scheme: [HF, DT]}}}",
        "{lr: 0.1, family: {cnn: {width: {each_layer: {low: 8, high: 16, step: 4}}}}}",
        "{augment: [none, flip, crop+flip], nesterov: [true, false], family: 2conv1fc}",
        "{schedule: cosine, crop_padding: {low: 2, high: 6}, family: {resnet: {variant: 18}}}",
    ],
)
def test_all_forms_of_a_parameter_validate(parameters: str) -> None:
    assert is_valid(SPACE_SCHEMA, f"parameters: {parameters}")


@pytest.mark.parametrize(
    "parameters",
    [
        "{lr: 0.1}",
        "{lrr: 0.1, family: cnn}",
        "{lr: fast, family: cnn}",
        "{lr: {low: 0.1}, family: cnn}",
        "{lr: {low: 0.1, hi: 1}, family: cnn}",
        "{lr: {each_layer: [0.1]}, family: cnn}",
        "{init: [], family: cnn}",
        "{init: kaimin, family: cnn}",
        "{augment: [none, flipp], family: cnn}",
        "{augment: flip crop, family: cnn}",
        "{epochs: [1, 2], family: cnn}",
        "{family: cn}",
        "{family: [cnn, fnc]}",
        "{family: {fnc: {}}}",
        "{family: {cnn: {depht: 2}}}",
        "{family: {cnn: {depth: 0}}}",
        "{family: {cnn: {kernel: [2]}}}",
        "{family: {cnn: {depth: {each_layer: [1, 2]}}}}",
        "{family: {cnn: {activation: [relu, rel]}}}",
        "{family: {cnn: {scheme: HX}}}",
        "{family: {fcn: {scheme: DT}}}",
    ],
)
def test_mistakes_in_a_space_do_not_validate(parameters: str) -> None:
    assert not is_valid(SPACE_SCHEMA, f"parameters: {parameters}")
    inline = STUDY.replace("../spaces/cnn.yaml", f"{{parameters: {parameters}}}")
    assert not is_valid(STUDY_SCHEMA, inline)


def test_a_study_validates_with_each_kind_of_space() -> None:
    for space in ("../spaces/cnn.yaml", "module.part:function", "{parameters: {family: cnn}}"):
        assert is_valid(STUDY_SCHEMA, STUDY.replace("../spaces/cnn.yaml", space))


@pytest.mark.parametrize(
    "more",
    [
        "dataset: digits",
        "dataset: {name: folder, root: photos, size: 64, skip_broken: true, limit: 100}",
        "objective: [{metric: accuracy}, {metric: parameters}]",
        "robustness: {attack: pgd, epsilon: 0.1, steps: 5}",
        "baselines: {rows: [{name: x, architecture: cnn, parameters: {depth: 3}}], folds: search}",
        "baselines: {rows: [{name: x, architecture: a1, scheme: HF, training: {lr: 0.1}}]}",
        "baselines: {architectures: [], weights: ../weights}",
        "ensembles: {both: [a1/HF, a1/DT]}\ncorrelations: {a1/HF: logits}",
        "published: {source: s, rows: [{table: t, name: n, trial: null, settings: {lr: 0.1}}]}",
        "plugins: [../mine.py, package.module]",
        "presets: {quick: {search.trials: 5, baselines.training.epochs: 1, confirm: {top: 1}}}",
        "presets: {quick: {dataset.limit: 500, space.parameters.lr: 0.1, validation.folds: 2}}",
    ],
)
def test_what_a_study_may_also_have_validates(more: str) -> None:
    field = more.partition(":")[0]
    kept = "".join(line for line in STUDY.splitlines(True) if not line.startswith(f"{field}:"))
    assert is_valid(STUDY_SCHEMA, f"{kept}{more}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("digits", "digit"),
        ("name: s", "name: ../s"),
        ("../spaces/cnn.yaml", "cnn"),
        ("trials: 5", "trials: -1"),
        ("trials: 5", "trial: 5"),
        ("trials: 5", "trials: 5, sampler: tp"),
        ("search:", "baselines: {architectures: [a3]}\nsearch:"),
        ("search:", "baselines: {schemes: []}\nsearch:"),
        ("search:", "trainig: {epochs: 3}\nsearch:"),
        ("{name: digits}", "{name: folder, rooot: photos}"),
        ("{name: digits}", "{name: folder, size: 4}"),
        ("search:", "objective: []\nsearch:"),
        ("search:", "objective: [{metric: accuracy}, {metric: acuracy}]\nsearch:"),
        ("search:", "robustness: {atack: fgsm}\nsearch:"),
        ("search:", "training: {augment: flip+crp}\nsearch:"),
        ("search:", "training: {optimizer: [adam]}\nsearch:"),
        ("search:", "baselines: {rows: [{name: x, architecture: a3}]}\nsearch:"),
        ("search:", "baselines: {rows: [{name: x, architecture: fcn, scheme: HF}]}\nsearch:"),
        (
            "search:",
            "baselines: {rows: [{name: x, architecture: fcn, parameters: {kernel: 3}}]}\nsearch:",
        ),
        ("search:", "baselines: {rows: [{name: x, architecture: a1, trainig: {}}]}\nsearch:"),
        ("search:", "plugins: [mine/plugin.txt]\nsearch:"),
        ("search:", "ensembles: {both: [a1/HF]}\nsearch:"),
        ("search:", "correlations: {a1/HF: feature}\nsearch:"),
        ("search:", "published: {source: s, rows: [{table: t, name: n}]}\nsearch:"),
        (
            "search:",
            "published: {source: s, rows: [{table: t, name: n, trial: null, figures: {acc: 1}}]}\n"
            "search:",
        ),
        ("search:", "presets: {quick: {trainig.epochs: 1}}\nsearch:"),
        ("search:", "presets: {quick: {training.epoch: 1}}\nsearch:"),
        ("search:", "presets: {quick: {training.epochs: 0}}\nsearch:"),
        ("search:", "presets: {quick: {baselines.training.lr: fast}}\nsearch:"),
    ],
)
def test_mistakes_in_a_study_do_not_validate(old: str, new: str) -> None:
    assert is_valid(STUDY_SCHEMA, STUDY)
    assert old in STUDY
    assert not is_valid(STUDY_SCHEMA, STUDY.replace(old, new))


def test_a_file_that_extends_another_may_leave_out_what_it_needs_alone() -> None:
    assert is_valid(STUDY_SCHEMA, "extends: base.yaml\nname: s\ndataset: {size: 32}\n")
    assert is_valid(SPACE_SCHEMA, "extends: base.yaml\nparameters: {lr: 0.1}\n")
    inline = STUDY.replace("../spaces/cnn.yaml", "{extends: a.yaml, parameters: {lr: 0.1}}")
    assert is_valid(STUDY_SCHEMA, inline)
    assert not is_valid(STUDY_SCHEMA, "extends: base.yaml\nname: s\ntrainig: {}\n")
    assert not is_valid(STUDY_SCHEMA, STUDY.replace("{name: digits}", "{size: 32}"))
    assert not is_valid(STUDY_SCHEMA, inline.replace("extends: a.yaml, ", ""))

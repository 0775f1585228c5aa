"""searchlab schema: what is shipped validates, typos do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_searchlab
from jsonschema import Draft202012Validator

from searchlab.config.documents import parse_yaml, read_yaml
from searchlab.study.schema import space_schema, study_schema

ROOT = Path(__file__).parents[2]
STUDY = "name: s\ndataset: {name: digits}\nspace: ../spaces/cnn.yaml\nsearch: {trials: 5}\n"


def is_valid(schema: dict[str, Any], text: str) -> bool:
    return bool(Draft202012Validator(schema).is_valid(parse_yaml(text, source="test").data))


@pytest.mark.parametrize("kind", ["space", "study"])
def test_the_schema_is_a_schema(kind: str) -> None:
    schema = json.loads(run_searchlab("schema", kind).out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("file", sorted((ROOT / "spaces").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_spaces_validate(file: Path) -> None:
    Draft202012Validator(space_schema()).validate(read_yaml(file).data)


@pytest.mark.parametrize("file", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_studies_validate(file: Path) -> None:
    Draft202012Validator(study_schema()).validate(read_yaml(file).data)


@pytest.mark.parametrize(
    "parameters",
    [
        "{family: cnn}",
        "{family: [cnn, a2]}",
        "{family: {a1: , cnn: {scheme: [HF, DT]}}}",
        "{lr: 0.1, family: {cnn: {width: {each_layer: {low: 8, high: 16, step: 4}}}}}",
    ],
)
def test_all_forms_of_a_parameter_validate(parameters: str) -> None:
    assert is_valid(space_schema(), f"parameters: {parameters}")


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
    assert not is_valid(space_schema(), f"parameters: {parameters}")
    inline = STUDY.replace("../spaces/cnn.yaml", f"{{parameters: {parameters}}}")
    assert not is_valid(study_schema(), inline)


def test_a_study_validates_with_each_kind_of_space() -> None:
    for space in ("../spaces/cnn.yaml", "module.part:function", "{parameters: {family: cnn}}"):
        assert is_valid(study_schema(), STUDY.replace("../spaces/cnn.yaml", space))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("digits", "digit"),
        ("name: s", "name: ../s"),
        ("../spaces/cnn.yaml", "cnn"),
        ("trials: 5", "trials: 0"),
        ("trials: 5", "trial: 5"),
        ("trials: 5", "trials: 5, sampler: tp"),
        ("search:", "baselines: {architectures: [a3]}\nsearch:"),
        ("search:", "baselines: {schemes: []}\nsearch:"),
        ("search:", "trainig: {epochs: 3}\nsearch:"),
    ],
)
def test_mistakes_in_a_study_do_not_validate(old: str, new: str) -> None:
    assert is_valid(study_schema(), STUDY)
    assert old in STUDY
    assert not is_valid(study_schema(), STUDY.replace(old, new))

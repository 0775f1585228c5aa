"""check_space: what families do not take is refused, with its place and the nearest names."""

from __future__ import annotations

import pytest

from searchlab.config.documents import Document, parse_yaml
from searchlab.config.space import SpaceSpec
from searchlab.config.validation import validate_document
from searchlab.errors import InputError
from searchlab.search.space.space_check import check_space


def read(family: str) -> tuple[SpaceSpec, Document]:
    document = parse_yaml(f"parameters:\n  lr: 0.1\n  family: {family}\n", source="s.yaml")
    return validate_document(SpaceSpec, document), document


@pytest.mark.parametrize(
    "family",
    [
        "cnn",
        "[a1, fcn]",
        "{a1: {scheme: [HF, HT, DT]}, cnn: {scheme: HT}}",
        "{cnn: {depth: {low: 1, high: 8}, width: {each_layer: {low: 8, high: 64, log: true}}}}",
        "{cnn: {kernel: {low: 1, high: 11, step: 2}}}",
        "{fcn: {width: {each_layer: [64]}, activation: gelu}}",
    ],
)
def test_what_families_take_passes(family: str) -> None:
    check_space(*read(family))


@pytest.mark.parametrize(
    ("family", "pieces"),
    [
        ("cn", ["s.yaml:3: parameters.family must be a known family", "'cn'", "cnn"]),
        ("[cnn, fnc]", ["s.yaml:3: parameters.family", "'fnc'", "Did you mean fcn"]),
        ("{fnc: {}}", ["parameters.family.fnc", "Did you mean fcn"]),
        ("{cnn: {depht: 2}}", ["family.cnn.depht", "of cnn", "Did you mean depth"]),
        ("{fcn: {kernel: 3}}", ["family.fcn.kernel", "of fcn"]),
        ("{a1: {depth: 1}}", ["family.a1.depth", "scheme"]),
        ("{cnn: {depth: [1, 9]}}", ["family.cnn.depth", "less than or equal to 8", "9"]),
        ("{cnn: {depth: {low: 0, high: 2}}}", ["family.cnn.depth", "0"]),
        ("{cnn: {depth: 2.0}}", ["family.cnn.depth", "2.0"]),
        ("{cnn: {kernel: {low: 3, high: 5}}}", ["family.cnn.kernel", "odd", "4"]),
        ("{cnn: {width: {each_layer: [8, 0]}}}", ["family.cnn.width", "0"]),
        ("{cnn: {activation: [relu, rel]}}", ["family.cnn.activation", "'rel'", "relu"]),
        ("{cnn: {hidden: {each_layer: [0, 8]}}}", ["family.cnn.hidden", "width, kernel"]),
        ("{cnn: {scheme: [HF, HX]}}", ["family.cnn.scheme", "'HX'", "HF"]),
        ("{cnn: {scheme: {each_layer: [HF]}}}", ["family.cnn.scheme", "whole network"]),
        ("{fcn: {scheme: HF}}", ["family.fcn.scheme", "fcn", "no first convolution", "HF and HT"]),
    ],
)
def test_what_a_family_does_not_take_is_named(family: str, pieces: list[str]) -> None:
    with pytest.raises(InputError) as error:
        check_space(*read(family))
    for piece in pieces:
        assert piece in str(error.value)


def test_every_fault_has_a_line() -> None:
    with pytest.raises(InputError) as error:
        check_space(*read("{cnn: {depth: 0, widht: 8}, fnc: {}}"))
    assert len(str(error.value).splitlines()) == 3


def test_without_a_document_places_are_dotted_names() -> None:
    space, _ = read("{cnn: {depth: 0}}")
    with pytest.raises(InputError, match=r"^space\.parameters\.family\.cnn\.depth must"):
        check_space(space, None, prefix=("space",))

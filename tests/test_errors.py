"""An input error keeps its parts, and its text is made of them."""

from __future__ import annotations

import pickle

import pytest

from searchlab.config.documents import parse_yaml
from searchlab.config.study import StudySpec
from searchlab.config.validation import validate_document
from searchlab.errors import CombinedInputError, InputError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("is wrong"), "is wrong"),
        (InputError("is wrong", where="a.yaml:3"), "a.yaml:3 is wrong"),
        (InputError("must be > 0", where=("search", "trials"), found=0),
         "search.trials must be > 0, got 0"),
        (InputError("must be > 0", found=None, remedy="Add it"), "must be > 0, got None. Add it"),
        (InputError("is wrong", found="x" * 1000), f"is wrong, got '{'x' * 116}..."),
    ],
)  # fmt: skip
def test_the_text_is_made_of_the_parts_that_are_there(error: InputError, text: str) -> None:
    assert str(error) == text


def test_an_error_is_moved_without_losing_its_parts() -> None:
    moved = InputError("must be > 0", where=("lr",), found=0, remedy="Raise it").at("a.yaml:3: lr")
    assert (moved.where, moved.rule, moved.found, moved.remedy) == (
        "a.yaml:3: lr", "must be > 0", 0, "Raise it"
    )  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        InputError("must be > 0", where=("lr",), found=0, remedy="Raise it"),
        CombinedInputError([InputError("is wrong", where="a"), InputError("is wrong", where="b")]),
    ],
)
def test_an_error_crosses_processes_whole(error: InputError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.where, copy.found, copy.remedy) == (
        str(error), error.where, error.found, error.remedy
    )  # fmt: skip


def test_each_fault_of_a_document_is_an_error_of_its_own() -> None:
    text = """\
name: a
dataset: digits
space: {parameters: {family: cnn}}
search: {trials: -1}
training: {epochs: 1.5}
"""
    with pytest.raises(CombinedInputError) as caught:
        validate_document(StudySpec, parse_yaml(text, source="s.yaml"))
    assert [(error.where, error.found) for error in caught.value.errors] == [
        ("s.yaml:4: search.trials", -1),
        ("s.yaml:5: training.epochs", 1.5),
    ]

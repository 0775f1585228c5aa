"""YAML that costs its reader too much is refused before it does, whoever reads it."""

from __future__ import annotations

import os
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from searchlab.config.documents import dump_yaml, parse_yaml, read_yaml
from searchlab.config.loading import load_space, load_study
from searchlab.config.trial import TrialConfig
from searchlab.errors import InfrastructureError, InputError
from searchlab.records.run_folder import RunFolder

TOO_MUCH = "holds more than 10,000 values or 131,072 characters"


def multiply(first: str, each: str) -> str:
    """Lines a to z, of which each names the one before nine times."""
    lines = [f"a: &a {first}"]
    for before, name in zip(string.ascii_lowercase, string.ascii_lowercase[1:], strict=False):
        aliases = ", ".join([f"*{before}"] * 9)
        lines.append(f"{name}: &{name} {each.format(aliases)}")
    return "\n".join(lines) + "\n"


BOMBS = {
    "lists in lists": multiply("[lol]", "[{}]"),
    "mappings in mappings": multiply("{x: 1}", "{{p: [{}]}}"),
    "merged mappings": multiply("{x: 1}", "{{<<: [{}]}}"),
    "text": "a: &a " + "x" * 1000 + "\nb: [" + "*a, " * 1000 + "]\n",
    "plain": "a: [" + "1," * 60_000 + "]",
    "a key": multiply("[lol]", "[{}]") + "? *z\n: 1\n",
}
DEEP = {
    "flow": "a: " + "[" * 10_000,
    "flow mappings": "a: " + "{a: " * 10_000,
    "block": "".join(" " * level + "a:\n" for level in range(400)),
    "dashes": "- " * 10_000,
    "aliases": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 90)),
    "itself": "a: &a {b: *a}",
    "itself, merged": "a: &a {<<: *a}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_document_that_grows_by_its_aliases_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=TOO_MUCH):
        parse_yaml(text, source="f.yaml")


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_document_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^f.yaml:\d+ is nested too deeply"):
        parse_yaml(text, source="f.yaml")


@pytest.mark.parametrize(
    "value",
    ["!!int 1:1:1", "!!float 1" + ":1" * 300, "!!timestamp x", "!!bool x", "!!set {a}", "!x 1",
     "!!binary aGk=", "!!int 0x" + "f" * 9000, "!!omap [a: 1]"],
)  # fmt: skip
def test_tags_are_refused_because_their_readers_fall_over_or_take_long(value: str) -> None:
    with pytest.raises(InputError, match=r"^f.yaml:2 must not have a tag, got !"):
        parse_yaml(f"a: 1\nb: {value}", source="f.yaml")


@pytest.mark.parametrize("character", ["\\0", "\\x00", "\\ud800", "\\udc00", "\\udfff"])
@pytest.mark.parametrize("text", ['a: 1\nb: "x{}"', 'a: 1\n"x{}": b'], ids=["value", "key"])
def test_escapes_for_what_no_file_can_hold_are_refused(text: str, character: str) -> None:
    with pytest.raises(InputError, match=r"^f.yaml:2 must not hold \\(x00|ud800|udc00|udfff)$"):
        parse_yaml(text.format(character), source="f.yaml")


def test_a_name_that_is_no_utf_8_can_be_written_and_read() -> None:
    name = os.fsdecode(b"caf\xe9")
    assert parse_yaml(dump_yaml({"root": name}), source="f.yaml").data == {"root": name}


def test_aliases_and_merges_of_a_usual_size_are_followed() -> None:
    text = "b: &b {x: 1, y: [1, 2]}\nc: {<<: *b, x: 3}\nd: [*b, *b]\ne: !!str 5\n"
    both = {"x": 1, "y": [1, 2]}
    document = parse_yaml(text, source="f.yaml")
    assert document.data == {"b": both, "c": {"x": 3, "y": [1, 2]}, "d": [both, both], "e": "5"}
    assert document.where(("d", 1, "y")) == "f.yaml:1: d.1.y"


READERS: list[Callable[[Path], object]] = [
    read_yaml,
    load_space,
    load_study,
    lambda path: RunFolder(path.parent).load(),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["lists in lists", "merged mappings"])
def test_every_reader_of_spaces_and_studies_refuses_it(
    read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(BOMBS[name])
    with pytest.raises((InputError, InfrastructureError), match=TOO_MUCH):
        read(path)


def test_value_of_an_option_is_read_with_the_same_bounds() -> None:
    document = parse_yaml("a: 1\n", source="f.yaml")
    with pytest.raises(InputError, match=r"^--set .* is nested too deeply"):
        document.with_overrides(["a=" + "[" * 1000])


def test_run_folder_writes_no_study_that_it_could_not_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match=TOO_MUCH):
        run.write({"name": "large", "values": list(range(10_000))})
    assert not run.path.exists()


def test_very_many_errors_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump({"parameters": {"lr": [[]] * 3000, "family": "cnn"}}))
    with pytest.raises(InputError) as error:
        load_space(path)
    lines = str(error.value).splitlines()
    assert len(lines) == 41
    assert lines[-1] == "... and 2,960 more like these"


def test_deep_configuration_in_a_weights_file_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        TrialConfig.from_json("[" * 100_000)

"""Documents: YAML without its traps, errors that point at a line, and --set."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_strategies import SCALARS, TEXTS

from searchlab.config.documents import dump_yaml, parse_yaml, read_yaml
from searchlab.errors import InputError


def read(text: str) -> dict[str, Any]:
    return parse_yaml(text, source="f.yaml").data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("1.0", 1.0),
        ("-3", -3),
        ("0", 0),
        ("1_000", 1000),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("[1, 2.0, a]", [1, 2.0, "a"]),
    ],
)
def test_scalar_is_what_people_expect(text: str, value: object) -> None:
    found = read(f"x: {text}")["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["on", "off", "yes", "No", "y", "2026-11-20", "2026-11-20 10:00:00", "010", "0x10", "1:30",
     "1e", "e5", "1.2.3", "1-4", "none", "."],
)  # fmt: skip
def test_what_only_looks_like_a_value_is_text(text: str) -> None:
    assert read(f"x: {text}")["x"] == text


def test_not_a_number_is_read_so_that_a_field_can_refuse_it() -> None:
    assert math.isnan(read("x: .nan")["x"])


_TREES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(data=st.dictionaries(TEXTS, _TREES, min_size=1, max_size=4))
def test_plain_data_written_as_yaml_reads_back_equal(data: dict[str, Any]) -> None:
    again = read(dump_yaml(data))
    assert repr(again) == repr(data)


def test_ranges_and_lists_are_written_on_one_line() -> None:
    data = {"lr": {"low": 0.1, "high": 1.0, "log": True}, "batch_size": [64, 128]}
    assert dump_yaml(data) == "lr: {low: 0.1, high: 1.0, log: true}\nbatch_size: [64, 128]\n"


def test_lines_are_known_in_mappings_and_lists() -> None:
    document = parse_yaml("a:\n  b: 1\n  c:\n    - 2\n    - d: 3\n", source="f.yaml")
    assert document.where(("a", "b")) == "f.yaml:2: a.b"
    assert document.where(("a", "c", 1, "d")) == "f.yaml:5: a.c.1.d"
    assert document.where(("a", "missing", "below")) == "f.yaml:1: a.missing.below"
    assert document.where(()) == "f.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a appears twice. Keep one"),
        ("a:\n  b: 1\n  b: 1\n", "f.yaml:3: b appears twice. Keep one"),
        ("l:\n  - {b: 1, b: 2}\n", "f.yaml:2: b appears twice. Keep one"),
        ("a: 1\nb: [1, 2\n", "f.yaml:3 is not valid YAML: "),
        ("a: 1\n b: 2\n", "f.yaml:2 is not valid YAML: mapping values are not allowed here"),
        ("a:\tb: c", "f.yaml:1 is not valid YAML: "),
        ("a: *b", "f.yaml:1 is not valid YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2 is not valid YAML: but found another document"),
        ("? [a]\n: 3\n", "f.yaml:1 is not valid YAML: found unhashable key"),
        ("a: \x00", "f.yaml is not valid YAML: unacceptable character #x0000"),
        ("a: " + "9" * 5000, "f.yaml is not valid YAML: "),
        ("", "f.yaml must contain a mapping of fields, got nothing"),
        ("# only a comment\n", "f.yaml must contain a mapping of fields, got nothing"),
        ("- a\n", "f.yaml must contain a mapping of fields, got list"),
        ("a", "f.yaml must contain a mapping of fields, got str"),
    ],
)
def test_unreadable_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_yaml(text, source="f.yaml")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_python_objects_are_not_built() -> None:
    with pytest.raises(InputError, match=r"^f.yaml:1 must not have a tag, got !!python/object"):
        read("a: !!python/object/apply:os.getcwd []")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yaml does not exist$"):
        read_yaml(tmp_path / "gone.yaml")


def test_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: "):
        read_yaml(tmp_path)


def test_endless_file_is_read_no_further_than_a_document_may_be_long() -> None:
    with pytest.raises(InputError, match=r"^/dev/zero may hold 131,072 bytes at most"):
        read_yaml(Path("/dev/zero"))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_byte_order_mark_tells_the_encoding(encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding.endswith(("-le", "-be")) else ""
    (tmp_path / "a.yaml").write_bytes(f"{mark}name: Größe\r\nx: 1\r\n".encode(encoding))
    assert read_yaml(tmp_path / "a.yaml").data == {"name": "Größe", "x": 1}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a: 1\nb: Größe".encode("latin-1"), "UTF-8 text (byte 0xf6 in line 2)"),
        ("a: 1".encode("utf-16-le"), "UTF-8 text (it holds zero bytes)"),
        (b"\xff\xfea", "UTF-16-LE text (byte 0x61 in line 1)"),
        (b"\x89PNG\r\n\x1a\n", "UTF-8 text (byte 0x89 in line 1)"),
    ],
)
def test_other_encodings_are_told_to_be_saved_as_utf_8(
    content: bytes, found: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_yaml(tmp_path / "a.yaml")
    assert str(error.value) == f"{tmp_path / 'a.yaml'} is not {found}. Save it as UTF-8"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("a.b=5", {"a": {"b": 5, "c": 2}, "n": None}),
        ("a.b=1e-4", {"a": {"b": 1e-4, "c": 2}, "n": None}),
        ("a.b=[x, 2]", {"a": {"b": ["x", 2], "c": 2}, "n": None}),
        ("a.b={d: 1}", {"a": {"b": {"d": 1}, "c": 2}, "n": None}),
        ("a.b=", {"a": {"b": None, "c": 2}, "n": None}),
        ("a.b=x=y", {"a": {"b": "x=y", "c": 2}, "n": None}),
        (" a.b =on", {"a": {"b": "on", "c": 2}, "n": None}),
        ("a=1", {"a": 1, "n": None}),
        ("new.deep.field=1", {"a": {"b": 1, "c": 2}, "n": None, "new": {"deep": {"field": 1}}}),
        ("n.x=1", {"a": {"b": 1, "c": 2}, "n": {"x": 1}}),
    ],
)
def test_override_sets_one_field(assignment: str, expected: dict[str, Any]) -> None:
    document = parse_yaml("a: {b: 1, c: 2}\nn:\n", source="f.yaml")
    before = repr(document.data)
    assert document.with_overrides([assignment]).data == expected
    assert repr(document.data) == before


def test_later_override_wins_and_is_the_one_named() -> None:
    document = parse_yaml("a: 1\n", source="f.yaml").with_overrides(["a=2", "a=3"])
    assert document.data == {"a": 3}
    assert document.where(("a",)) == "--set a=3: a"


def test_override_of_a_tree_answers_for_what_is_in_it() -> None:
    document = parse_yaml("a: {b: 1}\nc: 1\n", source="f.yaml").with_overrides(["a={b: {d: 2}}"])
    assert document.where(("a", "b", "d")) == "--set a={b: {d: 2}}: a.b.d"
    assert document.where(("c",)) == "f.yaml:2: c"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("a", "--set must look like field.subfield=value, got 'a'. Example: --set tr"),
        ("=1", "--set must look like field.subfield=value, got '=1'"),
        ("a..b=1", "--set must look like field.subfield=value, got 'a..b=1'"),
        ("a.b.c=1", "--set a.b.c=1 goes below a.b, which is not a mapping, got 1"),
        ("a=[1", "--set a=[1:1 is not valid YAML: "),
        ("a={b: 1, b: 2}", "--set a={b: 1, b: 2}:1: b appears twice. Keep one"),
    ],
)
def test_senseless_override_is_refused(assignment: str, message: str) -> None:
    document = parse_yaml("a: {b: 1}\n", source="f.yaml")
    with pytest.raises(InputError) as error:
        document.with_overrides([assignment])
    assert str(error.value).startswith(message)


def test_a_variable_between_braces_needs_quotes() -> None:
    assert read("a:\n  root: ${DATA}/x\nb: {root: '${DATA}/x'}")["b"]["root"] == "${DATA}/x"
    with pytest.raises(InputError) as error:
        read("a: 1\nb: {root: ${DATA}/x, c: 1}")
    assert str(error.value) == (
        "f.yaml:2 is not valid YAML: expected ',' or '}', but got '{'. "
        "Put text that holds ${...} in quotes"
    )

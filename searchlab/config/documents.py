"""YAML documents that know the line of each value, so that an error can point at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from searchlab.config.text_files import read_text
from searchlab.config.yaml_loading import FLOAT, MAX_BYTES, load_yaml
from searchlab.errors import InputError, Location, did_you_mean

__all__ = ["Document", "dump_yaml", "is_range", "parse_yaml", "read_yaml"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed YAML mapping, the file it came from, and the line of every value in it.

    ``inherited`` maps the location of a value to the file that it was written in, if that is not
    ``source`` but a file that ``extends`` names; ``overrides`` to the ``--set`` option or preset
    that set it; ``embedded`` maps the location of a part that has its own file to that document.
    """

    source: str
    data: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)
    inherited: Mapping[Location, str] = field(default_factory=dict)
    overrides: Mapping[Location, str] = field(default_factory=dict)
    embedded: Mapping[Location, Document] = field(default_factory=dict)

    def where(self, location: Location) -> str:
        """Return a location for an error message: ``spaces/cnn.yaml:4: parameters.lr.low``."""
        dotted = ".".join(str(part) for part in location)
        for end in range(len(location), 0, -1):
            # A file that --set named comes first: it has a line with the fault.
            if location[:end] in self.embedded:
                return self.embedded[location[:end]].where(location[end:])
            if location[:end] in self.overrides:
                return f"{self.overrides[location[:end]]}: {dotted}"
        written = self._find_written(location)
        file = self.inherited.get(written, self.source)
        place = f"{file}:{self.lines[written]}" if written else file
        return f"{place}: {dotted}" if dotted else place

    def folder_of(self, location: Location, folder: Path) -> Path:
        """Return where a relative path starts: at the folder of the file that it was written in.

        ``folder`` is that of this document.
        """
        file = self.inherited.get(self._find_written(location))
        return folder if file is None else Path(file).parent

    def _find_written(self, location: Location) -> Location:
        """Return the value there, or else the nearest one above, whose line is known."""
        ends = range(len(location), 0, -1)
        return next((location[:end] for end in ends if location[:end] in self.lines), ())

    def with_overrides(self, assignments: Iterable[str]) -> Document:
        """Apply ``--set a.b=c`` texts in order; ``c`` is read as YAML. Raises ``InputError``."""
        data = _copy_tree(self.data)
        overrides = dict(self.overrides)
        for text in assignments:
            key, equals, raw = text.partition("=")
            location = tuple(key.strip().split("."))
            if not equals or not all(location):
                raise InputError(
                    "must look like field.subfield=value",
                    where="--set",
                    found=text,
                    remedy="Example: --set training.epochs=3",
                )
            value = parse_scalar_or_tree(raw, source=f"--set {text}")
            _assign(data, location, value, f"--set {text}")
            overrides[location] = f"--set {text}"
        return replace(self, data=data, overrides=overrides)

    def with_preset(self, name: str) -> Document:
        """Apply ``presets.<name>``, whose keys are locations such as ``search.trials``.

        Raises ``InputError`` if there is no such preset.
        """
        presets = self.data.get("presets")
        known = [str(known) for known in presets] if isinstance(presets, dict) else []
        if not isinstance(presets, dict) or name not in presets:
            raise InputError(
                "must be a preset of the study",
                where=f"{self.source}: presets",
                found=name,
                remedy=did_you_mean(name, known) if known else "This study has none",
            )
        fields = presets[name]
        if not isinstance(fields, dict):
            raise InputError(
                "must be a mapping of fields to values, such as {training.epochs: 3}",
                where=self.where(("presets", name)),
                found=fields,
            )
        data = _copy_tree(self.data)
        overrides, inherited = dict(self.overrides), dict(self.inherited)
        lines = dict(self.lines)
        for key, value in fields.items():
            written: Location = ("presets", name, key)
            place = self.where(written)
            location = tuple(str(key).split("."))
            _assign(data, location, _copy_tree(value), place)
            overrides[location] = place
            for marks in (lines, inherited):
                _move_marks(marks, written, location)
        return replace(self, data=data, lines=lines, inherited=inherited, overrides=overrides)

    def with_embedded(self, field_name: str, part: Document) -> Document:
        """Replace a field that named a file by the file's content."""
        data = {**self.data, field_name: part.data}
        return replace(self, data=data, embedded={**self.embedded, (field_name,): part})

    def with_part(self, name: str, part: Document) -> Document:
        """Put a document that ``part`` returned, and that has changed, back in its place."""
        return replace(
            self,
            data={**self.data, name: part.data},
            lines=_put_below(self.lines, name, part.lines),
            inherited=_put_below(self.inherited, name, part.inherited),
        )

    def part(self, name: str) -> Document:
        """Return a mapping in this document as a document of its own."""
        return Document(
            source=self.source,
            data=self.data[name],
            lines=_take_below(self.lines, name),
            inherited=_take_below(self.inherited, name),
        )


class _Dumper(yaml.SafeDumper):
    """Block style for mappings, flow style for ranges and lists of scalars."""


# Text that either dialect would read as a number is written in quotes.
_Dumper.add_implicit_resolver(*FLOAT)


def read_yaml(path: Path, *, source: str | None = None) -> Document:
    """Read a YAML mapping from a file. Raises ``InputError`` with file, line and remedy.

    Messages give ``source`` instead of the path.
    """
    source = source or str(path)
    return parse_yaml(read_text(path, most_bytes=MAX_BYTES, where=source), source=source)


def parse_yaml(text: str, *, source: str) -> Document:
    """Parse a YAML mapping. Duplicate keys, which YAML libraries accept, are an error."""
    data, lines = load_yaml(text, source)
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise InputError(f"must contain a mapping of fields, got {found}", where=source)
    return Document(source=source, data=data, lines=lines)


_RANGE_KEYS = {"low", "high", "step", "log", "each_layer"}


def is_range(data: object) -> bool:
    """Return whether plain data looks like one value of a space: a range, or one for each layer."""
    return isinstance(data, dict) and bool(data) and data.keys() <= _RANGE_KEYS


def parse_scalar_or_tree(text: str, *, source: str) -> Any:
    """Parse one YAML value as written on a command line."""
    return load_yaml(text, source)[0]


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML in the given order, short lists on one line."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _represent_text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    # PyYAML writes these line breaks unchanged and reads them back as spaces.
    style = '"' if any(mark in data for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


def _represent_list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flow = not any(isinstance(item, (dict, list)) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)


def _represent_dict(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
    flow = is_range(data)
    return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=flow)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(tuple, lambda dumper, data: _represent_list(dumper, list(data)))
_Dumper.add_representer(dict, _represent_dict)


def _copy_tree(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy_tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy_tree(item) for item in value]
    return value


_Mark = TypeVar("_Mark")


def _take_below(marks: Mapping[Location, _Mark], name: str) -> dict[Location, _Mark]:
    return {place[1:]: mark for place, mark in marks.items() if place[:1] == (name,)}


def _put_below(
    marks: Mapping[Location, _Mark], name: str, new: Mapping[Location, _Mark]
) -> dict[Location, _Mark]:
    others = {place: mark for place, mark in marks.items() if place[:1] != (name,)}
    return {**others, **{(name, *place): mark for place, mark in new.items()}}


def _move_marks(marks: dict[Location, Any], old: Location, new: Location) -> None:
    """Let what is known of a value and of those below it be known at another location."""
    moved = {
        (*new, *place[len(old) :]): mark
        for place, mark in marks.items()
        if place[: len(old)] == old
    }
    for place in [place for place in marks if place[: len(new)] == new]:
        del marks[place]
    marks.update(moved)


def _assign(data: dict[str, Any], location: tuple[str, ...], value: Any, source: str) -> None:
    *parents, last = location
    for index, part in enumerate(parents):
        child = data.setdefault(part, {})
        if child is None:
            child = data[part] = {}
        if not isinstance(child, dict):
            raise InputError(
                f"goes below {'.'.join(map(str, location[: index + 1]))}, which is not a mapping",
                where=source,
                found=child,
            )
        data = child
    data[last] = value

"""Loading YAML that anybody may have written: safe scalars, and a bound on all it can cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from searchlab.errors import InputError, Location

__all__ = ["FLOAT", "MAX_BYTES", "MAX_NODES", "load_yaml"]

# The largest file that ships with searchlab has 8 kB and 400 nodes, four levels deep.
MAX_BYTES = 2**17
MAX_NODES = 10_000
_MAX_LEVELS = 40

FLOAT = (
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
        r"|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
"""What is a number with a fraction or an exponent, as arguments of ``add_implicit_resolver``."""

_TEXT = "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """Safe YAML with the expected scalars: ``1e-4`` is a number, ``on`` and dates are text.

    It stops as soon as a document has more nodes, or more levels, than any study has.
    """

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._num_nodes = 0
        self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._num_nodes += 1
        self._level += 1
        place = f"{self._source}:{self.line + 1}"
        if self._num_nodes > MAX_NODES:
            raise _too_many(place)
        if self._level > _MAX_LEVELS:
            raise _too_deep(place)
        node = super().compose_node(parent, index)
        self._level -= 1
        return node


# YAML 1.1 reads 1e-4 as text (it wants 1.0e-4), yes/no/on/off as booleans, 010 as 8 and 1:30 as 90.
# Each has caused errors in configuration formats that kept it.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.rpartition(":")[2] not in {"bool", "float", "int", "timestamp"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.I), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(*FLOAT)


def load_yaml(text: str, source: str) -> tuple[Any, dict[Location, int]]:
    """Return what YAML says, and the line of every value in it. Raises ``InputError``.

    Takes time in proportion to the text's length. An alias counts as often as it is used, because
    whoever reads the data follows each use.
    """
    if len(text) > MAX_BYTES:
        raise InputError(f"may hold {MAX_BYTES:,} characters at most", where=source)
    lines: dict[Location, int] = {}
    try:
        loader = _Loader(text, source)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _Survey(loader, source).check(node)
        _record_lines(node, (), lines, source)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = source if mark is None else f"{source}:{mark.line + 1}"
        raise InputError(f"is not valid YAML: {error.problem}", where=place) from error
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # forbidden characters, or too many digits
        reason = str(error).splitlines()[0]
        raise InputError(f"is not valid YAML: {reason}", where=source) from error


def _too_many(place: str) -> InputError:
    return InputError(
        f"holds more than {MAX_NODES:,} values or {MAX_BYTES:,} characters, each alias (*name) "
        "counted with all that it stands for",
        where=place,
    )


def _too_deep(place: str) -> InputError:
    return InputError(f"is nested too deeply: {_MAX_LEVELS} levels at most", where=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """What a node amounts to with its aliases followed."""

    nodes: int
    levels: int
    characters: int


class _Survey:
    """Measures a document, each of its nodes once, however many aliases name it."""

    def __init__(self, loader: _Loader, source: str) -> None:
        self._loader = loader
        self._source = source
        self._known: dict[yaml.Node, _Extent | None] = {}  # None while it is being measured

    def check(self, node: yaml.Node) -> _Extent:
        """Raise InputError if a node is too large, too deep or endless, or has a tag."""
        place = f"{self._source}:{node.start_mark.line + 1}"
        if node in self._known:  # an alias: what it names came earlier
            known = self._known[node]
            if known is None:
                raise InputError("is nested too deeply: it contains itself", where=place)
            return known
        self._check_tag(node, place)
        self._known[node] = None
        extent = _Extent(nodes=1, levels=1, characters=len(node.value) if _is_scalar(node) else 0)
        for part in map(self.check, _parts_of(node)):
            extent = _Extent(
                nodes=extent.nodes + part.nodes,
                levels=max(extent.levels, part.levels + 1),
                characters=extent.characters + part.characters,
            )
            if extent.nodes > MAX_NODES or extent.characters > MAX_BYTES:
                raise _too_many(place)
        if extent.levels > _MAX_LEVELS:
            raise _too_deep(place)
        self._known[node] = extent
        return extent

    def _check_tag(self, node: yaml.Node, place: str) -> None:
        """Refuse tags: PyYAML's own take ``!!int 1:1:1`` and fall over ``!!timestamp x``."""
        value = node.value if _is_scalar(node) else None
        resolve: Any = self._loader.resolve  # it has no annotations
        plain = resolve(type(node), value, (True, False))
        if node.tag not in (plain, _TEXT):
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise InputError(f"must not have a tag, got {tag}", where=place, remedy="Omit it")


def _is_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _parts_of(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _record_lines(
    node: yaml.Node, location: Location, lines: dict[Location, int], source: str
) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(
                    "is not valid YAML: found unhashable key", where=f"{source}:{line}"
                )
            name = str(key.value)
            if name in seen:
                raise InputError(
                    "appears twice", where=f"{source}:{line}: {name}", remedy="Keep one"
                )
            seen.add(name)
            lines[(*location, name)] = line
            _record_lines(value, (*location, name), lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _record_lines(item, (*location, index), lines, source)

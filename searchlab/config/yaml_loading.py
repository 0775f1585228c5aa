"""Loading YAML that anybody may have written: safe scalars, and a bound on all it can cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from searchlab.control_characters import escape_line
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

# What escapes such as "\0" can put into text although no file and no path can hold it. Surrogates
# from \udc80 to \udcff may be bytes of a file's name.
_NO_CHARACTER = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """What a node amounts to, each of its aliases counted with all that it stands for."""

    nodes: int
    characters: int
    levels: int


class _Loader(yaml.SafeLoader):
    """Safe YAML with the expected scalars: ``1e-4`` is a number, ``on`` and dates are text.

    It raises InputError as soon as a document is larger or deeper than any study, is endless, or
    has a tag.
    """

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._num_nodes = 0
        self._num_characters = 0
        self._levels: list[int] = []  # in each of the nodes that are being composed, so far
        self._extents: dict[yaml.Node, _Extent] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        peek: Any = self.peek_event  # it has no annotations, and neither has resolve
        place = f"{self._source}:{peek().start_mark.line + 1}"
        before = self._num_nodes, self._num_characters
        self._levels.append(0)
        self._check_size(place, levels=len(self._levels))
        node = super().compose_node(parent, index)
        levels = self._levels.pop() + 1
        assert node is not None
        if is_alias:
            if node not in self._extents:
                raise InputError("is nested too deeply: it contains itself", where=place)
            extent = self._extents[node]
            self._num_nodes += extent.nodes
            self._num_characters += extent.characters
            levels = extent.levels
        else:
            self._num_nodes += 1
            self._check_tag(node, place)
            if isinstance(node, yaml.ScalarNode):
                self._check_characters(node, place)
            self._extents[node] = _Extent(
                nodes=self._num_nodes - before[0],
                characters=self._num_characters - before[1],
                levels=levels,
            )
        if self._levels:
            self._levels[-1] = max(self._levels[-1], levels)
        self._check_size(place, levels=len(self._levels) + levels)
        return node

    def _check_size(self, place: str, *, levels: int) -> None:
        if self._num_nodes > MAX_NODES or self._num_characters > MAX_BYTES:
            raise InputError(
                f"holds more than {MAX_NODES:,} values or {MAX_BYTES:,} characters, each alias "
                "(*name) counted with all that it stands for",
                where=place,
            )
        if levels > _MAX_LEVELS:
            raise InputError(f"is nested too deeply: {_MAX_LEVELS} levels at most", where=place)

    def _check_tag(self, node: yaml.Node, place: str) -> None:
        """Refuse tags: PyYAML's own take ``!!int 1:1:1`` and fall over ``!!timestamp x``."""
        value = node.value if isinstance(node, yaml.ScalarNode) else None
        resolve: Any = self.resolve
        if node.tag not in (resolve(type(node), value, (True, False)), _TEXT):
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise InputError(f"must not have a tag, got {tag}", where=place, remedy="Omit it")

    def _check_characters(self, node: yaml.ScalarNode, place: str) -> None:
        self._num_characters += len(node.value)
        if found := _NO_CHARACTER.search(node.value):
            raise InputError(f"must not hold {escape_line(found[0])}", where=place)


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
        _record_lines(node, (), lines, source)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = source if mark is None else f"{source}:{mark.line + 1}"
        line = "" if mark is None else (text.splitlines() or [""])[: mark.line + 1][-1]
        # Within {...} a brace begins another mapping.
        remedy = "Put text that holds ${...} in quotes" if "${" in line else None
        raise InputError(
            f"is not valid YAML: {error.problem}", where=place, remedy=remedy
        ) from error
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # forbidden characters, or too many digits
        reason = str(error).splitlines()[0]
        raise InputError(f"is not valid YAML: {reason}", where=source) from error


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

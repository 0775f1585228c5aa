"""The fields that a spec declares: what flags, completion and the reference are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from searchlab.config.validation import Spec

__all__ = ["SpecField", "analyse_field", "list_choices", "list_settable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecField:
    """A field of a study that has a value of its own, by its place: ``search.trials``."""

    place: str
    owner: type[Spec]
    name: str

    @property
    def info(self) -> FieldInfo:
        """The field as its spec declares it."""
        return self.owner.model_fields[self.name]

    @property
    def kind(self) -> str:
        """What the field takes, in a word."""
        schema = self.owner.model_json_schema()["properties"][self.name]
        kinds = {form.get("type") for form in (schema, *schema.get("anyOf", ()))}
        known = [name for name in ("integer", "number", "array", "object") if name in kinds]
        return {"array": "list", "object": "mapping"}.get(known[0], known[0]) if known else "text"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that the field takes, as in YAML; none if it is open."""
        schema = self.owner.model_json_schema()["properties"][self.name]
        forms = [schema, *schema.get("anyOf", ())]
        named = [str(value) for form in forms for value in form.get("enum", ())]
        named += ["true", "false"] if schema.get("type") == "boolean" else []
        return tuple(named)


def list_settable(spec: type[Spec], above: str = "") -> Iterator[SpecField]:
    """Yield the fields that ``--set`` can name, those of sections included.

    The fields of what stands in a list cannot be named, unless it may stand alone.
    """
    for name, field in spec.model_fields.items():
        kind, several = analyse_field(field)
        place = f"{above}{name}"
        is_section = isinstance(kind, type) and issubclass(kind, Spec)
        if is_section and (not several or name == "objective"):
            yield from list_settable(kind, f"{place}.")
        else:
            yield SpecField(place=place, owner=spec, name=name)


def analyse_field(field: FieldInfo) -> tuple[Any, bool]:
    """Return the type of a value, str for any of several types, and whether there are several."""
    kind: Any = field.annotation
    if get_origin(kind) in (Union, UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        kind = kinds[0] if len(kinds) == 1 else str
    return (get_args(kind)[0], True) if get_origin(kind) is tuple else (kind, False)


def list_choices(field: FieldInfo) -> tuple[object, ...]:
    """Return the names that a field takes, or the first field of a mapping; none if it is open."""
    kind, _ = analyse_field(field)
    if fields := getattr(kind, "model_fields", None):
        schema = kind.model_json_schema()["properties"][next(iter(fields))]
        return tuple(schema.get("enum", ()))
    if kind is bool:
        return ("true", "false")
    return get_args(kind) if get_origin(kind) is Literal else ()

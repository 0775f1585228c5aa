"""From pydantic's errors to messages that name file, field, rule, value and remedy."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from searchlab.config.documents import Document, Location
from searchlab.errors import InputError, did_you_mean

__all__ = [
    "Number",
    "Slug",
    "Spec",
    "Value",
    "is_finite",
    "located_error",
    "state_rule",
    "to_tuple",
    "validate_document",
]

_PLAIN_TERMS = {
    "a valid dictionary": "a mapping",
    "a valid integer": "a whole number",
    "a valid ": "a ",
    "a tuple": "a list",
}

SpecT = TypeVar("SpecT", bound="Spec")

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Spec(BaseModel):
    """Base of everything a person writes: frozen, no unknown keys, numbers not made from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    hint = did_you_mean(str(key), cls.model_fields)
                    raise located_error(f"is not a known field. {hint}", str(key))
        return data


def located_error(rule: str, *below: str) -> PydanticCustomError:
    """Return an error for a field ``below`` the one whose validator raises it."""
    return PydanticCustomError("located", "{rule}", {"rule": rule, "below": below})


def _check_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        raise ValueError(f"must be a finite number, got {_shorten(value)}")
    return value


def to_tuple(value: Any) -> Any:
    """Take YAML's lists for tuples, which strict validation does not."""
    return tuple(value) if isinstance(value, list) else value


def is_finite(value: float) -> bool:
    """Tell whether a number is finite as a float, which an int of 400 digits is not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


Number = Annotated[int | float, BeforeValidator(_check_number)]
"""A finite int or float, told apart: 1 stays an int, 1.0 a float; neither text nor bool."""


def _check_value(value: object) -> object:
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"must be a number, text, true or false, got {_shorten(value)}")
    return value if isinstance(value, (bool, str)) else _check_number(value)


Value = Annotated[
    StrictBool | StrictInt | StrictFloat | StrictStr,
    # One message instead of one for every member of the union.
    BeforeValidator(_check_value),
]
"""What a parameter can be: a finite number, text or a bool, with its type kept."""


def _check_slug(value: str) -> str:
    if not _SLUG.fullmatch(value) or ".." in value:
        raise ValueError(
            "must be a slug (1 to 64 letters, digits, '.', '_' or '-', the first a letter or "
            f"digit), got {value!r}"
        )
    return value


Slug = Annotated[str, AfterValidator(_check_slug)]


def validate_document(model: type[SpecT], document: Document) -> SpecT:
    """Build ``model`` from a document; every broken rule becomes a line of one ``InputError``."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        messages = [_describe(details, document) for details in error.errors(include_url=False)]
        raise InputError("\n".join(dict.fromkeys(messages))) from error


def _describe(details: ErrorDetails, document: Document) -> str:
    # Union tags start with "@"; they and pydantic's mark of a key are not the user's.
    location: Location = tuple(
        part
        for part in details["loc"]
        if not (isinstance(part, str) and (part.startswith("@") or part == "[key]"))
    )
    location = _as_written(location, document.data)
    context = details.get("ctx", {})
    below = (int(part) if part.isdecimal() else part for part in context.get("below", ()))
    where = document.where((*location, *below))
    if details["type"] == "located":
        return f"{where} {details['msg']}"
    if details["type"] == "missing":
        return f"{where} is required. Add it"
    if details["loc"][-1:] == ("[key]",):
        return f"{where} must have text for a key, got {details['input']!r}. Put it in quotes"
    return f"{where} {state_rule(details)}"


def _as_written(location: Location, data: Any) -> Location:
    """Drop the index of a single value where a list may stand: ``objective.metric``."""
    kept: list[str | int] = []
    for part in location:
        if isinstance(part, int) and isinstance(data, dict) and part not in data:
            continue
        kept.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = None
    return tuple(kept)


def state_rule(details: ErrorDetails) -> str:
    """Say which rule one pydantic error broke, with the value found and, for names, the nearest."""
    rule = re.sub(r"^(Input|Tuple|Value|List|Dictionary) should ", "must ", details["msg"])
    rule = rule.removeprefix("Value error, ")
    rule = re.sub(r" or instance of \w+| after validation, not \d+", "", rule)
    for term, plain in _PLAIN_TERMS.items():
        rule = rule.replace(term, plain)
    if details["type"] == "union_tag_invalid":
        rule = "must be a list of values or a range {low, high}"
    # Our own validators write whole sentences, value included.
    if details["type"] != "value_error":
        rule += f", got {_shorten(details['input'])}"
    if details["type"] == "literal_error":
        rule += ". " + did_you_mean(str(details["input"]), re.findall(r"'([^']+)'", details["msg"]))
    return rule


def _shorten(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_unset=True)
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

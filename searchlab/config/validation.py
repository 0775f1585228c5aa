"""Turning pydantic's errors into messages with file, field, rule, value and remedy."""

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
from pydantic_core import ErrorDetails

from searchlab.config.documents import Document
from searchlab.errors import CombinedInputError, InputError, Location, did_you_mean

__all__ = [
    "Number",
    "Slug",
    "Spec",
    "Value",
    "is_finite",
    "to_input_error",
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
    """Base of everything a user writes: frozen, no unknown keys, no numbers from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    hint = did_you_mean(str(key), cls.model_fields)
                    raise InputError("is not a known field", where=(str(key),), remedy=hint)
        return data


def _check_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        raise InputError("must be a finite number", found=value)
    return value


def to_tuple(value: Any) -> Any:
    """Turn YAML's lists into tuples, which strict validation requires."""
    return tuple(value) if isinstance(value, list) else value


def is_finite(value: float) -> bool:
    """Return whether a number is finite as a float; an int of 400 digits is not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


Number = Annotated[int | float, BeforeValidator(_check_number)]
"""A finite int or float, not text or bool: 1 stays an int, 1.0 a float."""


def _check_value(value: object) -> object:
    if not isinstance(value, (bool, int, float, str)):
        raise InputError("must be a number, text, true or false", found=value)
    return value if isinstance(value, (bool, str)) else _check_number(value)


Value = Annotated[
    StrictBool | StrictInt | StrictFloat | StrictStr,
    # One message instead of one for every member of the union.
    BeforeValidator(_check_value),
]
"""The value of a parameter: a finite number, text or a bool, with its type kept."""


def _check_slug(value: str) -> str:
    if not _SLUG.fullmatch(value) or ".." in value:
        raise InputError(
            "must be a slug (1 to 64 letters, digits, '.', '_' or '-', the first a letter or "
            "digit)",
            found=value,
        )
    return value


Slug = Annotated[str, AfterValidator(_check_slug)]


def validate_document(model: type[SpecT], document: Document) -> SpecT:
    """Build ``model`` from a document; ``CombinedInputError`` lists broken rules with lines."""
    try:
        return model.model_validate(document.data)
    except ValidationError as failure:
        errors = [
            _locate(details, document)
            for details in failure.errors(include_url=False)
            # A field that is missing, and right to be: its default needs another that is wrong.
            if details["type"] != "default_factory_not_called"
        ]
        raise CombinedInputError(
            list({str(error): error for error in errors}.values())
        ) from failure


def _locate(details: ErrorDetails, document: Document) -> InputError:
    # Union tags start with "@"; the user did not write them or pydantic's mark for a key.
    location: Location = tuple(
        part
        for part in details["loc"]
        if not (isinstance(part, str) and (part.startswith("@") or part == "[key]"))
    )
    error = to_input_error(details)
    below = error.where if isinstance(error.where, tuple) else ()
    return error.at(document.where((*_as_written(location, document.data), *below)))


def _as_written(location: Location, data: Any) -> Location:
    """Drop the index if a single value was given for a list: ``objective.metric``."""
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


def to_input_error(details: ErrorDetails) -> InputError:
    """Return the rule that a pydantic error reports; a location is relative to the error's field.

    A validator's ``InputError`` is returned as it was raised, another ``ValueError`` as its text.
    """
    kind, found = details["type"], details["input"]
    if kind == "value_error":
        error = details["ctx"]["error"]
        return error if isinstance(error, InputError) else InputError(str(error))
    if kind == "missing":
        return InputError("is required", remedy="Add it")
    if details["loc"][-1:] == ("[key]",):
        return InputError("must have text for a key", found=found, remedy="Put it in quotes")
    if isinstance(found, BaseModel):
        found = found.model_dump(mode="json", exclude_unset=True)
    if kind == "union_tag_invalid":
        return InputError("must be a list of values or a range {low, high}", found=found)
    remedy = None
    if kind == "literal_error":
        remedy = did_you_mean(str(found), re.findall(r"'([^']+)'", details["ctx"]["expected"]))
    return InputError(_reword(details["msg"]), found=found, remedy=remedy)


def _reword(message: str) -> str:
    """Return a pydantic message in the terms of YAML."""
    rule = re.sub(r"^(Input|String|Tuple|Value|List|Dictionary) should ", "must ", message)
    rule = re.sub(r" or instance of \w+| after validation, not \d+", "", rule)
    for term, plain in _PLAIN_TERMS.items():
        rule = rule.replace(term, plain)
    return rule

"""The values of a parameter as written on the command line."""

from __future__ import annotations

from typing import Any

from searchlab.errors import InputError

__all__ = ["parse_values"]

_SYNTAX = "Write a value, a list a,b,c or a range low:high, low:high:log, low:high:step=N"


def parse_values(text: str, option: str) -> Any:
    """Read ``a`` (fixed), ``a,b,c`` (a list) or ``low:high[:log|:step=N]`` (a range).

    Returns what would stand in a space file. Raises InputError naming ``option``.
    """
    if ":" in text:
        return _parse_range(text, option)
    if "," in text:
        return [_parse_scalar(item, text, option) for item in text.split(",")]
    return _parse_scalar(text, text, option)


def _parse_range(text: str, option: str) -> dict[str, Any]:
    low, high, *rest = text.split(":")
    tree = {"low": _parse_scalar(low, text, option), "high": _parse_scalar(high, text, option)}
    if not rest:
        return tree
    form, equals, amount = rest[0].partition("=")
    if rest == ["log"]:
        return {**tree, "log": True}
    if len(rest) == 1 and form == "step" and equals:
        return {**tree, "step": _parse_scalar(amount, text, option)}
    raise InputError("must be a range", where=option, found=text, remedy=_SYNTAX)


def _parse_scalar(item: str, text: str, option: str) -> Any:
    from searchlab.config.documents import parse_scalar_or_tree

    value = parse_scalar_or_tree(item, source=option)
    if value is None or isinstance(value, (dict, list)):
        raise InputError("must not have an empty or nested value", where=option, found=text,
                         remedy=_SYNTAX)  # fmt: skip
    return value

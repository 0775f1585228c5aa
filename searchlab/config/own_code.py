"""Code of the user's own that a setting names as ``module:name``: how it is written and found."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from searchlab.config.plugins import find_plugin_file
from searchlab.errors import InputError, did_you_mean, first_line

__all__ = [
    "REFERENCE",
    "is_reference",
    "load_reference",
    "name_or_reference",
    "name_or_reference_schema",
]

REFERENCE = r"(?![\w.]*\.py:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""The pattern of ``module:name``; a file is named without its ``.py``."""

_REFERENCE = re.compile(REFERENCE)


def is_reference(text: str) -> bool:
    """Return whether a text is written as ``module:name``."""
    return _REFERENCE.fullmatch(text) is not None


def name_or_reference(names: Iterable[str], kind: str) -> Callable[[str], str]:
    """Return what checks a text that is one of ``names`` or names code, a ``module:kind``."""
    known = tuple(names)

    def check(text: str) -> str:
        if text not in known and not is_reference(text):
            raise InputError(
                f"must be {', '.join(known)}, or module:{kind}",
                found=text,
                remedy=did_you_mean(text, known),
            )
        return text

    return check


def name_or_reference_schema(names: Iterable[str]) -> dict[str, Any]:
    """Return what the JSON Schema of such a text adds to its type."""
    return {"anyOf": [{"enum": list(names)}, {"pattern": f"^{REFERENCE}$"}]}


def load_reference(reference: str, *, field: str) -> Callable[..., Any]:
    """Return what ``module:name`` names: of a plugin's file of that name, or an installed module.

    Raises InputError, at the training setting ``field``, if there is no such thing. The study's
    plugins must be loaded.
    """
    module_name, _, name = reference.partition(":")
    where = ("training", field)
    module = find_plugin_file(module_name)
    if module is None:
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # user code may raise anything
            raise InputError(
                f"names {reference}, which cannot be imported: "
                f"{type(error).__name__}: {first_line(error)}",
                where=where,
                remedy="Name its file under `plugins`, or install its package",
            ) from error
    found = getattr(module, name, None)
    if not callable(found):
        rule = f"names {reference}, and {module_name} has no class or function of that name"
        public = [one for one, it in vars(module).items() if callable(it) and one[0] != "_"]
        raise InputError(rule, where=where, remedy=did_you_mean(name, public))
    return found  # type: ignore[no-any-return]

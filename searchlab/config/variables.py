"""Environment variables in the paths of study and space files: ``${DATA}/photos``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from searchlab.errors import InputError

__all__ = ["expand_variables"]

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^${}]*))?\}")


def expand_variables(text: str, environment: Mapping[str, str], *, where: str) -> str:
    """Return ``text`` with the values of its ``${NAME}`` and ``${NAME:-default}``.

    As in a shell, the default also replaces an empty value. Raises InputError, which begins with
    ``where``, if there is neither: a path without its first part leads elsewhere.
    """

    def find(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if value := environment.get(name) or default:
            return value
        raise InputError(
            f"needs the environment variable {name}, which is unset or empty",
            where=where,
            found=text,
            remedy=f"Set it, or give a default: ${{{name}:-PATH}}",
        )

    if "${" in _VARIABLE.sub("", text):
        raise InputError(
            "must name variables as ${NAME} or ${NAME:-default}", where=where, found=text
        )
    return _VARIABLE.sub(find, text)

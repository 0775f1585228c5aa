"""How a trial's failure is put into words for its record."""

from __future__ import annotations

__all__ = ["describe_failure"]

_LONGEST = 500


def describe_failure(error: BaseException) -> str:
    """Return an error's kind and its first line."""
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}"[:_LONGEST]

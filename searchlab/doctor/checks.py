"""One check of this machine: a line that says what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Status"]

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check. ``remedy`` is None if nothing needs fixing."""

    name: str
    status: Status
    text: str
    remedy: str | None = None

    @classmethod
    def ok(cls, name: str, text: str) -> Check:
        """Return a check that passed."""
        return cls(name=name, status="ok", text=text)

    @classmethod
    def warning(cls, name: str, text: str, remedy: str) -> Check:
        """Return a check that found something that may cause trouble."""
        return cls(name=name, status="warning", text=text, remedy=remedy)

    @classmethod
    def problem(cls, name: str, text: str, remedy: str) -> Check:
        """Return a check that found something that will stop a study."""
        return cls(name=name, status="problem", text=text, remedy=remedy)

"""Check: one line on what this machine has, good or bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Status"]

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at and found. ``remedy`` is None where there is nothing to mend."""

    name: str
    status: Status
    text: str
    remedy: str | None = None

    @classmethod
    def ok(cls, name: str, text: str) -> Check:
        """Return a check that found what there should be."""
        return cls(name=name, status="ok", text=text)

    @classmethod
    def warning(cls, name: str, text: str, remedy: str) -> Check:
        """Return a check that found what may hurt."""
        return cls(name=name, status="warning", text=text, remedy=remedy)

    @classmethod
    def problem(cls, name: str, text: str, remedy: str) -> Check:
        """Return a check that found what will stop a study."""
        return cls(name=name, status="problem", text=text, remedy=remedy)

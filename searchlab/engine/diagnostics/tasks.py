"""Tasks: what a diagnostic measures in one go. A study that is stopped goes on with the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["StoppedError", "Task"]


class StoppedError(Exception):
    """The study was asked to stop while a task was being measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A measurement whose result, a dataclass, is kept under ``key`` (``DiagnosticFiles``).

    ``kind`` is the result's type. ``doing`` says what is done, as progress shows it. A long
    ``measure`` looks at the study's stop request, and raises StoppedError. It raises InputError or
    ValueError if it can't measure.
    """

    key: str
    kind: type[Any]
    doing: str
    measure: Callable[[], Any]

"""Tasks: what a diagnostic measures in one go. A study that is stopped goes on with the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Skipped", "StoppedError", "Task", "TooCostlyError", "skipped_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Why a diagnostic was not measured, as a sentence."""

    reason: str


def skipped_key(name: str) -> str:
    """Return the key under which it is kept why a diagnostic was skipped."""
    return f"skipped-{name}"


class TooCostlyError(Exception):
    """A diagnostic costs too much of the study's time to be measured without being asked for."""


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

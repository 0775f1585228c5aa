"""The files of a run that hold what was measured on its finished models, one for each task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from searchlab.training.durable_files import replace_file, write_bytes

__all__ = ["DiagnosticFiles", "Measured"]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Generic[ResultT]):
    """A result, and the seconds that it took to measure."""

    seconds: float
    result: ResultT


@dataclass(frozen=True, slots=True)
class DiagnosticFiles:
    """The files of a folder.

    A result is a dataclass of finite numbers, None, text, lists, and more dataclasses.
    """

    folder: Path

    def read(self, key: str, kind: type[ResultT]) -> Measured[ResultT] | None:
        """Return a result; None if it was not measured, or its file is damaged.

        A resume measures such a one again. Raises OSError if the file cannot be read.
        """
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return TypeAdapter(Measured[kind]).validate_json(content)  # type: ignore[valid-type]
        except ValidationError:
            return None

    def write(self, key: str, measured: Measured[ResultT]) -> None:
        """Write a result to the disk, whole or not at all. Raises OSError."""
        content = TypeAdapter(Measured[Any]).dump_json(measured)
        replace_file(self._path(key), lambda path: write_bytes(path, content))

    def sum_seconds(self) -> float:
        """Return what all results together took to measure."""
        return sum(
            one.seconds
            for path in self.folder.glob("*.json")
            if (one := self.read(path.stem, object)) is not None
        )

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

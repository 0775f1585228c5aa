"""What a tracker has been told of a run: kept beside its files, so that a resume sends the rest."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

__all__ = ["Deliveries"]


class Deliveries:
    """The ended trials that a tracker knows, and a key that no other run of its study has.

    Raises OSError or ValueError if the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "deliveries.json"
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.key: str = known.get("key") or uuid.uuid4().hex[:12]
        self._ended: set[int] = set(known.get("ended", ()))
        self._write()

    def __contains__(self, number: int) -> bool:
        """Return whether the tracker knows how a trial ended."""
        return number in self._ended

    def add(self, number: int) -> None:
        """Note that the tracker knows how a trial ended."""
        self._ended.add(number)
        self._write()

    def _write(self) -> None:
        beside = self._path.with_suffix(".tmp")
        beside.write_text(json.dumps({"key": self.key, "ended": sorted(self._ended)}))
        beside.replace(self._path)

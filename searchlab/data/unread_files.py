"""What a folder of classes holds that is not read: counted by reason, with an example of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from searchlab.control_characters import escape_line

__all__ = ["Reason", "Unread", "UnreadFiles", "describe_unread"]


class Reason(Enum):
    """Why files are not read: what they are, one and several of them."""

    SUBFOLDER = ("image in a subfolder of a class", "images in subfolders of a class")
    OUTSIDE = ("image outside the class folders", "images outside the class folders")
    UNUSED = ("image in a folder that is not used", "images in folders that are not used")
    UNUSED_SPLIT = ("row of a split that is not used", "rows of a split that is not used")
    FRAMES = ("image's further frames", "images' further frames")
    OTHER_FORMAT = ("image of a format that is not read", "images of formats that are not read")
    HIDDEN = ("hidden file or folder", "hidden files or folders")
    NO_IMAGE = ("file not recognised as an image", "files not recognised as images")
    SPECIAL = ("pipe, socket or device", "pipes, sockets or devices")
    NO_ACCESS = ("file or folder that cannot be read", "files or folders that cannot be read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """How many files are not read for one reason. ``example`` is relative to the root."""

    reason: Reason
    count: int
    example: str


class UnreadFiles:
    """Counts what is not read under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[Reason, Unread] = {}

    def add(self, reason: Reason, path: Path) -> None:
        """Count a file; the first for each reason is the example."""
        before = self._found.get(reason)
        self._found[reason] = Unread(
            reason=reason,
            count=1 if before is None else before.count + 1,
            example=path.relative_to(self._root).as_posix() if before is None else before.example,
        )

    def listing(self) -> tuple[Unread, ...]:
        """Return what was counted, in the order of ``Reason``."""
        return tuple(self._found[reason] for reason in Reason if reason in self._found)


def describe_unread(unread: Sequence[Unread]) -> str:
    """Write ``2 hidden files or folders (.a), 1 file not recognised as an image (b)``."""
    return ", ".join(
        f"{entry.count:,} {entry.reason.value[entry.count != 1]} ({escape_line(entry.example)})"
        for entry in unread
    )

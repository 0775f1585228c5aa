"""Why a process of Ray ended at its start: what its log says at the end."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["find_error", "read_cause"]

# The last line of a traceback.
_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit)\b.*$", re.MULTILINE)
_MAX_BYTES = 20_000


def find_error(text: str) -> str:
    """Return the last line that names an error, as at the end of a traceback; "" for none."""
    found = _ERROR.findall(text)
    return str(found[-1].strip()) if found else ""


def read_cause(folder: Path) -> str:
    """Return the error on which a process of the Ray in ``folder`` ended last, "" if none did.

    Workers write their errors there until they are connected to the driver.
    """
    logs = [
        file
        for pattern in ("worker-*.err", "*.err")
        for file in folder.glob(f"r/session_2*/logs/{pattern}")
    ]
    for file in sorted(logs, key=_time_of, reverse=True):
        if cause := find_error(_read_end(file)):
            return cause
    return ""


def _time_of(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _read_end(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _MAX_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""

"""When images were taken, as a column says it: numbers, or dates as ISO 8601 writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from searchlab.errors import InputError

__all__ = ["read_times"]


def read_times(cells: Sequence[str], *, table: Path, column: str) -> list[float]:
    """Return numbers that are in the order of the times. A date without a zone is in UTC.

    Raises ``InputError`` with the row of a cell that is neither a number nor a date, or not what
    the first one is.
    """
    read = _read_number if _is_number(cells[0]) else _read_date
    what = "a number" if read is _read_number else "a number or an ISO date such as 2026-11-30"
    times = []
    for row, cell in enumerate(cells, start=2):
        try:
            times.append(read(cell))
        except ValueError:
            raise InputError(
                f"must be {what}", where=f"{table}: row {row}: {column}", found=cell
            ) from None
    return times


def _is_number(cell: str) -> bool:
    try:
        _read_number(cell)
    except ValueError:
        return False
    return True


def _read_number(cell: str) -> float:
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(cell)
    return number


def _read_date(cell: str) -> float:
    moment = datetime.fromisoformat(cell.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

"""Choose the configurations with which a search may start: ``searchlab/search/space/``.

Of each dataset of the table (``search_tables.py``), the two best configurations of each family, the
better family first, the datasets in turn. Only those trained by Adam or AdamW: what SGD's learning
rate is worth depends on its momentum, which a study may fix. Numbers are rounded to two digits.

    python benchmarks/portfolio.py > searchlab/search/space/portfolio.jsonl
    python benchmarks/portfolio.py --datasets digits
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_tables import LIMITS, TABLE, Row, read_table

__all__ = ["learn"]

_NUM_OF_A_FAMILY = 2
_OPTIMIZERS = ("adam", "adamw")


def learn(rows: Sequence[Row], datasets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the configurations that these datasets' rows give, the first to try first."""
    ranked = [_best([row for row in rows if row.dataset == dataset]) for dataset in datasets]
    in_turn = (row for rows in itertools.zip_longest(*ranked) for row in rows if row is not None)
    found: list[dict[str, Any]] = []
    for row in in_turn:
        point = {name: _round(value) for name, value in row.point.items()}
        if point not in found:
            found.append(point)
    return found


def _best(rows: list[Row]) -> list[Row]:
    """Return the best rows of each family, the better family first."""
    rows = [row for row in rows if row.point["optimizer"] in _OPTIMIZERS]
    rows.sort(key=lambda row: -row.curves.mean(0).max())
    families = list(dict.fromkeys(row.point["family"] for row in rows))
    by_family = [[row for row in rows if row.point["family"] == family] for family in families]
    few = [rows[:_NUM_OF_A_FAMILY] for rows in by_family]
    return [row for rank in zip(*few, strict=True) for row in rank]


def _round(value: Any) -> Any:
    is_real = isinstance(value, float)
    return float(f"{value:.2g}") if is_real else value


def main() -> None:
    """Print the configurations, one a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", default=",".join(LIMITS))
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    for point in learn(read_table(options.table), options.datasets.split(",")):
        print(json.dumps(point))


if __name__ == "__main__":
    main()

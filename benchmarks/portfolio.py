"""Choose the configurations with which a search may start: ``searchlab/search/space/``.

Of each dataset of the table (``search_tables.py``), the best configuration of each family,
optimizer and learning rate schedule, with and without batch norm; the datasets and families in
turn. Only Adam and AdamW: what SGD's learning rate is worth depends on its momentum, which a study
may fix. Augmentation is left out: what helps depends on the images. Numbers are rounded to two
digits.

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

_OPTIMIZERS = ("adam", "adamw")


def learn(rows: Sequence[Row], datasets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the configurations that these datasets' rows give, the first to try first."""
    ranked = [_best([row for row in rows if row.dataset == dataset]) for dataset in datasets]
    in_turn = (row for rows in itertools.zip_longest(*ranked) for row in rows if row is not None)
    found: list[dict[str, Any]] = []
    for row in in_turn:
        point = {name: _round(row.point[name]) for name in row.point if name != "augment"}
        if point not in found:
            found.append(point)
    return found


def _best(rows: list[Row]) -> list[Row]:
    """Return the best row of each kind, the families in turn, the better one first."""
    rows = [row for row in rows if row.point["optimizer"] in _OPTIMIZERS]
    rows.sort(key=lambda row: -row.curves.mean(0).max())
    of_family: dict[str, dict[Any, Row]] = {}
    for row in rows:
        family = row.point["family"]
        kind = row.point["optimizer"], row.point["schedule"], row.point[f"{family}.batch_norm"]
        of_family.setdefault(family, {}).setdefault(kind, row)
    in_turn = itertools.zip_longest(*(kinds.values() for kinds in of_family.values()))
    return [row for rank in in_turn for row in rank if row is not None]


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

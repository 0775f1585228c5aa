"""A smooth stand-in for training: from any point of the benchmark's space to learning curves.

It is fitted to one dataset's rows of the table (``search_tables.py``): extremely randomised trees
predict the mean curve over seeds and the cost of an epoch; the spread between seeds is that of a
table row whose curve is alike. Trees are neither what a Gaussian process nor what TPE assumes.

    python benchmarks/stand_in.py        # how well it predicts configurations that it has not seen
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import spearmanr
from search_tables import EPOCHS, LIMITS, SPACE, TABLE, Row, read_table
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from searchlab.config.seeds import derive_seed
from searchlab.search.samplers.flat_space import FlatSpace
from searchlab.search.space.points import Point

Array = NDArray[np.float64]

NUM_TREES = 60
NUM_ALIKE = 10  # table rows from which a new point's spread between seeds is drawn
FLAT = FlatSpace.of(SPACE)
CHOICES = {name: node.values() for name, node in FLAT.nodes.items() if not hasattr(node, "low")}


class StandIn:
    """Curves of one dataset. ``curve`` has the noise of a study's seed, ``worth`` has none."""

    def __init__(self, rows: Sequence[Row]) -> None:
        curves = np.array([row.curves for row in rows])  # [rows, seeds, epochs]
        self._means = to_logit(curves.mean(1))
        # The mean of three seeds took a third of the variance with it.
        self._residuals = (to_logit(curves) - self._means[:, None]) * np.sqrt(1.5)
        features = np.array([encode(row.point) for row in rows])
        seconds = np.log([row.seconds for row in rows])[:, None]
        self._trees = ExtraTreesRegressor(
            NUM_TREES, min_samples_leaf=1, max_features=0.7, random_state=0
        )
        self._trees.fit(features, np.hstack([self._means, seconds]))
        self._known: dict[str, Array] = {}

    def _predict(self, point: Point) -> Array:
        key = json.dumps(point, sort_keys=True)
        if key not in self._known:
            self._known[key] = self.predict_all([point])[0]
        return self._known[key]

    def predict_all(self, points: Sequence[Point]) -> Array:
        """Return the curves in logits [points, epochs], and the logarithm of the seconds."""
        features = np.array([encode(point) for point in points], dtype=np.float32)
        trees = self._trees.estimators_
        return np.mean([tree.tree_.predict(features) for tree in trees], axis=0).reshape(
            len(points), -1
        )

    def worth(self, point: Point) -> float:
        """Return the best epoch's accuracy, without noise."""
        return float(expit(self._predict(point)[:EPOCHS].max()))

    def seconds(self, point: Point) -> float:
        """Return what an epoch costs."""
        return float(np.exp(self._predict(point)[EPOCHS]))

    def curve(self, point: Point, seed: int) -> Array:
        """Return the accuracy of each epoch in a study; the same for the same seed and point."""
        mean = self._predict(point)[:EPOCHS]
        rng = random.Random(derive_seed(seed, json.dumps(point, sort_keys=True)))
        distances = np.abs(self._means - mean).mean(1)
        alike = int(rng.choice(list(np.argsort(distances)[:NUM_ALIKE])))
        noise = self._residuals[alike, rng.randrange(self._residuals.shape[1])]
        return np.asarray(expit(mean + noise), dtype=np.float64)


def to_logit(accuracy: Array) -> Array:
    """Return log odds, in which the last per cent is as wide as it is worth."""
    return np.asarray(logit(np.clip(accuracy, 0.005, 0.9985)), dtype=np.float64)


def encode(point: Point) -> list[float]:
    """Return what the trees split on: places in the unit interval, and the choices one by one."""
    flat = FLAT.impute(point)
    places = FLAT.encode(flat)
    hot = [float(flat[name] == value) for name, values in CHOICES.items() for value in values]
    active = [float(name in point) for name in FLAT.nodes]
    return [*places, *hot, *active]


def check(rows: Sequence[Row]) -> dict[str, float]:
    """Return how well held-out rows are predicted, in ten parts."""
    truth = np.array([row.curves.mean(0).max() for row in rows])
    found = np.zeros(len(rows))
    for known, held_out in KFold(10, shuffle=True, random_state=0).split(rows):
        model = StandIn([rows[index] for index in known])
        found[held_out] = [model.worth(rows[index].point) for index in held_out]
    top = truth >= np.quantile(truth, 2 / 3)
    between = np.array([row.curves.max(1) for row in rows])
    return {
        "rows": len(rows),
        "rank correlation": spearmanr(truth, found).statistic,
        "of the best third": spearmanr(truth[top], found[top]).statistic,
        "error of the best third (points)": 100 * float(np.abs(truth - found)[top].mean()),
        "spread of seeds there (points)": 100 * float(between[top].std(1, ddof=1).mean()),
        "best row": 100 * float(truth.max()),
    }


def main() -> None:
    """Print the check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    rows = read_table(options.table)
    results: list[dict[str, Any]] = [
        {"dataset": name, **check([row for row in rows if row.dataset == name])} for name in LIMITS
    ]
    print("| " + " | ".join(results[0]) + " |")
    print("|---" * len(results[0]) + "|")
    for result in results:
        cells = [f"{v:.2f}" if isinstance(v, float) else f"{v}" for v in result.values()]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

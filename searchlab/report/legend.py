"""What the leaderboard's columns mean, for ``--legend`` and for ``--help``, which loads no rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from searchlab.config.metrics import Metric
    from searchlab.report.leaderboard import Leaderboard

__all__ = ["ANY_BOARD", "explain_board"]

Meaning = tuple[str, str]


def explain_board(board: Leaderboard, further: Iterable[Metric]) -> list[Meaning]:
    """Return a board's columns and what they mean; ``further`` are its other metrics."""
    searched = "the first fold" if board.search_folds == 1 else f"{board.search_folds} folds"
    meanings = _explain(f"{board.num_folds}-fold", searched, is_best=board.at == "best")
    for metric in dict.fromkeys(further):
        name = "" if metric.label == metric.column else metric.label
        where = "on the search folds" if metric.is_of_folds else ""
        if words := ", ".join(filter(None, (metric.note or name, where))):
            meanings.append((metric.column, words))
    if len(board.metrics) > 1:
        meanings.append(("*", "on the Pareto front: no trial is as good in all objectives, "
                         "and better in one"))  # fmt: skip
    return meanings


def _explain(all_folds: str, searched: str, *, is_best: bool) -> list[Meaning]:
    epoch = (
        ". It leans high, because the epoch was chosen by the same folds (by 0.16 points where it "
        "was measured, over 5 folds of USPS)"
    )
    return [
        ("model", "its family, and what tells it from the other rows; 16-32 are the widths of its "
         "layers"),
        ("kind", "a finalist is a search trial, trained on all folds"),
        (all_folds, "mean ± standard deviation over all folds, which gives the rank"
         + (epoch if is_best else "")),
        ("test", "met once, by a model trained on all training images"),
        ("search", f"mean over {searched}; it guides the search"),
        ("ep, s", "epochs, and seconds of training, a finalist's without its search trial's"),
    ]  # fmt: skip


ANY_BOARD = _explain("N-fold", "the search folds", is_best=True)
"""The columns that every leaderboard has, for help texts."""

"""The report's section on errors: which classes the two rivals take for which, on the test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.analysis.confusions import ClassFigures, Counts, list_confusions, measure_classes
from searchlab.report.formatting import MISSING
from searchlab.report.kept_confusions import gather_confusions, name_classes
from searchlab.report.page.blocks import Block, Section, Table
from searchlab.report.page.calibration import list_calibration
from searchlab.report.page.matrix import draw_matrix

if TYPE_CHECKING:
    from searchlab.report.leaderboard import Row
    from searchlab.report.page.findings import Findings

__all__ = ["make_errors"]

_NUM_PAIRS = 10
_MOST_CLASSES = 40  # in a table
_MOST_CELLS = 200  # classes in a matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What the models that decide answered for one rival."""

    row: Row
    num_models: int
    counts: Counts

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.counts.diagonal().sum() / self.counts.sum())


def make_errors(found: Findings) -> Section | None:
    """Show the errors of the rivals' models; None for a study that trained none to decide."""
    rivals = _gather(found)
    if not rivals:
        return None
    names = name_classes(found.reading.spec, len(rivals[0].counts))
    blocks: list[Block] = [_list_pairs(rivals, names), _list_classes(rivals, names)]
    if len(names) <= _MOST_CELLS:
        blocks += [
            draw_matrix(
                one.counts,
                names,
                name=f"confusion-{one.row.number}",
                title=f"What {one.row.title} takes for what, without its right answers",
            )
            for one in rivals
        ]
    blocks += list_calibration(found)
    return Section(
        key="errors", title="Errors on the test set", says=_summarise(rivals, names), blocks=blocks
    )


def _gather(found: Findings) -> list[_Answers]:
    rows = {row.number: row for row in found.board.rows}
    kept = gather_confusions(found.reading.records)
    return [
        _Answers(row=row, num_models=kept[number].num_models, counts=kept[number].counts)
        for number, row in sorted(rows.items(), key=lambda item: item[1].rank or 0)
        if number in kept
    ]


def _summarise(rivals: list[_Answers], names: list[str]) -> str:
    sentences = []
    for one in rivals:
        text = (
            f"{one.row.title} answers {one.accuracy:.2%} of {one.counts.sum():,.0f} images right, "
            f"the mean of {one.num_models} models"
        )
        if pairs := list_confusions(one.counts, 1):
            [pair] = pairs
            text += (
                f", and most often takes {names[pair.true]} for {names[pair.taken_for]} "
                f"({pair.images:.1f} images)"
            )
        sentences.append(f"{text}.")
    return " ".join(sentences)


def _list_pairs(rivals: list[_Answers], names: list[str]) -> Table:
    first = rivals[0]
    pairs = {
        (pair.true, pair.taken_for): None
        for one in rivals
        for pair in list_confusions(one.counts, _NUM_PAIRS)
    }
    ordered = sorted(pairs, key=lambda pair: -sum(one.counts[pair] for one in rivals))
    return Table(
        name="confusions",
        title=f"The most confused classes, images of {first.counts.sum():,.0f}",
        columns=[
            ("true", "left"), ("taken for", "left"),
            *((one.row.title, "right") for one in rivals),
        ],
        rows=[
            [names[true], names[other], *(f"{one.counts[true, other]:.1f}" for one in rivals)]
            for true, other in ordered[:_NUM_PAIRS]
        ],
    )  # fmt: skip


def _list_classes(rivals: list[_Answers], names: list[str]) -> Table:
    figures = [measure_classes(one.counts) for one in rivals]
    order = list(range(len(names)))
    title = "By class: precision, recall and F1 in %"
    if len(names) > _MOST_CLASSES:
        order = sorted(order, key=lambda index: figures[0][index].f1 or 0.0)[:_MOST_CLASSES]
        title += f" (the {_MOST_CLASSES} of {len(names)} classes with the least F1)"
    return Table(
        name="classes",
        title=title,
        columns=[
            ("class", "left"), ("images", "right"),
            *((f"{one.row.title}: P / R / F1", "right") for one in rivals),
        ],
        rows=[
            [
                names[index],
                f"{figures[0][index].images:g}",
                *(_write_class(one[index]) for one in figures),
            ]
            for index in order
        ],
    )  # fmt: skip


def _write_class(one: ClassFigures) -> str:
    return " / ".join(_write(share) for share in (one.precision, one.recall, one.f1))


def _write(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"

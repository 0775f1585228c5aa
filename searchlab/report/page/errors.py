"""The report's section on errors: which classes the two rivals take for which, on the test set.

It counts the answers of the models that decide, the confirmations, or else those of the models that
were kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.analysis.confusions import ClassFigures, Counts, list_confusions, measure_classes
from searchlab.engine.diagnostics.results import ModelErrors, errors_key
from searchlab.report.class_names import name_classes
from searchlab.report.formatting import MISSING
from searchlab.report.kept_confusions import KeptConfusions, count_answers, gather_confusions
from searchlab.report.page.blocks import Block, Section, Table
from searchlab.report.page.calibration import list_calibration
from searchlab.report.page.matrix import draw_matrix
from searchlab.report.page.mistakes import list_mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from searchlab.report.leaderboard import Row
    from searchlab.report.page.findings import Findings

__all__ = ["make_errors"]

_TITLE = "Errors on the test set"
_NUM_PAIRS = 10
_MOST_CLASSES = 40  # in a table
_MOST_CELLS = 200  # classes in a matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What the models of one rival answered; ``of`` says whose answers they are."""

    row: Row
    of: str
    counts: Counts

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.counts.diagonal().sum() / self.counts.sum())


def make_errors(found: Findings) -> Section | None:
    """Show the errors of the rivals' models; None for a study that has no such models."""
    kept = {
        record.number: measured.result
        for record in found.subjects
        if (measured := found.diagnostics.read(errors_key(record.number), ModelErrors))
    }
    known = next((one.class_names for one in kept.values()), [])
    rivals = _gather_confirmations(found) or _gather_kept(found, kept)
    if not rivals:
        return _explain(found) if found.subjects else None
    num_classes = len(rivals[0].counts)
    names = known[:num_classes] or name_classes(found.reading.spec.dataset.name, num_classes)
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
    blocks += [*list_calibration(found), *list_mistakes(found)]
    return Section(key="errors", title=_TITLE, says=_summarise(rivals, names), blocks=blocks)


def _explain(found: Findings) -> Section:
    return Section(key="errors", title=_TITLE, says=found.explain_missing("errors"))


def _gather_confirmations(found: Findings) -> list[_Answers]:
    return _list(found, gather_confusions(found.reading.records), "the mean of {} models")


def _gather_kept(found: Findings, kept: Mapping[int, ModelErrors]) -> list[_Answers]:
    models = {number: [one.answers] for number, one in kept.items()}
    return _list(found, count_answers(models), "its kept model")


def _list(found: Findings, counted: Mapping[int, KeptConfusions], of: str) -> list[_Answers]:
    rows = {row.number: row for row in found.board.rows}
    return [
        _Answers(row=row, of=of.format(one.num_models), counts=one.counts)
        for number, row in sorted(rows.items(), key=lambda item: item[1].rank or 0)
        if (one := counted.get(number))
    ]


def _summarise(rivals: list[_Answers], names: list[str]) -> str:
    sentences = []
    for one in rivals:
        text = (
            f"{one.row.title} answers {one.accuracy:.2%} of {one.counts.sum():,.0f} images right, "
            f"{one.of}"
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

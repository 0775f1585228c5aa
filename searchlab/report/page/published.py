"""The report's section on published figures beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.report.claims import CheckedClaim, check_claims
from searchlab.report.page.blocks import Block, Items, Paragraph, Section, Table
from searchlab.report.page.published_figures import draw_published
from searchlab.report.published_table import published_table

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings
    from searchlab.report.published import PublishedComparison

__all__ = ["make_published"]


def make_published(found: Findings) -> Section | None:
    """List and draw the published figures beside ours; None if the study has none."""
    if found.published is None:
        return None
    table = published_table(found.published)
    claims = check_claims(found.reading)
    blocks: list[Block] = [
        Table(name="published", title="Figures", columns=table.columns, rows=table.rows),
        Paragraph(table.explanation),
    ]
    if table.notes:
        numbered = [f"({number}) {note}" for number, note in enumerate(table.notes, start=1)]
        blocks.append(Items(title="Notes", items=numbered))
    if claims:
        blocks.append(_list_claims(claims))
    blocks += draw_published(found)
    return Section(
        key="published",
        title="Published figures",
        says=_summarise(found.published, claims),
        blocks=blocks,
    )


def _summarise(comparison: PublishedComparison, claims: list[CheckedClaim]) -> str:
    sentences = [f"Ours beside those of {_one_line(comparison.source)}."]
    known = [
        (abs(figure.difference), figure)
        for figure in comparison.figures
        if figure.figure == "accuracy" and figure.difference is not None
    ]
    if known:
        near = sum(size <= 1 for size, _ in known)
        _, furthest = max(known, key=lambda pair: pair[0])
        sentences.append(
            f"{near} of {len(known)} accuracies are within one point of the published ones; the "
            f"furthest is {furthest.name} ({furthest.table}), with {furthest.difference:+.2f}."
        )
    elif comparison.differs:
        sentences.append(f"They cannot be compared: {_one_line(comparison.differs)}.")
    judged = [claim for claim in claims if claim.holds.startswith(("yes", "no"))]
    if judged:
        num_held = sum(claim.holds.startswith("yes") for claim in judged)
        sentences.append(f"{num_held} of {len(judged)} claims without a figure hold here.")
    return " ".join(sentences)


def _list_claims(claims: list[CheckedClaim]) -> Table:
    return Table(
        name="claims",
        title="What the report says in words",
        columns=[
            ("in the report", "left"), ("it says", "left"), ("ours", "left"),
            ("holds here", "left"), ("note", "left"),
        ],
        rows=[
            [
                one.claim.table, _one_line(one.claim.says), one.ours, one.holds,
                _one_line(one.claim.note),
            ]
            for one in claims
        ],
    )  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""The report's section on published figures beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.report.page.blocks import Items, Paragraph, Section, Table
from searchlab.report.published_table import published_table

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["make_published"]


def make_published(found: Findings) -> Section | None:
    """List the published figures beside ours; None if the study has none."""
    if found.published is None:
        return None
    table = published_table(found.published)
    return Section(
        key="published",
        title="Published figures",
        says=f"Ours beside those of {' '.join(found.published.source.split())}.",
        blocks=[
            Table(name="published", title="Figures", columns=table.columns, rows=table.rows),
            Paragraph(table.explanation),
            *(
                [
                    Items(
                        title="Notes",
                        items=[
                            f"({number}) {note}" for number, note in enumerate(table.notes, start=1)
                        ],
                    )
                ]
                if table.notes
                else []
            ),
        ],
    )

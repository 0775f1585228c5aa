"""The report's images that the models of the two rivals get wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import ModelErrors, errors_key
from searchlab.report.page.blocks import Block, Paragraph, Pictures
from searchlab.report.page.pictures import IMAGE_COLUMNS, name_class, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searchlab.engine.diagnostics.results import Mistake
    from searchlab.report.page.findings import Findings

__all__ = ["list_mistakes"]

_COLUMNS = (*IMAGE_COLUMNS, "label", "answer", "confidence")


def list_mistakes(found: Findings) -> list[Block]:
    """Show what each kept model takes for what, and where it is sure and wrong."""
    blocks: list[Block] = []
    for record in found.subjects:
        measured = found.diagnostics.read(errors_key(record.number), ModelErrors)
        if measured is None:
            continue
        errors = measured.result
        name = found.name(record.number)
        blocks.append(Paragraph(_summarise(name, errors)))
        if errors.confused:
            blocks.append(
                _show(
                    f"confused-{record.number}",
                    f"What {name} takes for what most often, and how sure it is",
                    errors.confused,
                    errors.class_names,
                )
            )
        if errors.surest:
            blocks.append(
                _show(
                    f"mistakes-{record.number}",
                    f"The mistakes of which {name} is the surest",
                    errors.surest,
                    errors.class_names,
                )
            )
    return blocks


def _summarise(name: str, errors: ModelErrors) -> str:
    if not errors.wrong:
        return f"{name} makes no mistake on the {errors.images:,} test images."
    text = f"{name} is wrong on {errors.wrong:,} of the {errors.images:,} test images"
    if not errors.sure_and_wrong:
        return f"{text}, and never more than {errors.surely:.0%} sure then."
    return f"{text}, and more than {errors.surely:.0%} sure on {errors.sure_and_wrong:,} of these."


def _show(name: str, title: str, mistakes: Sequence[Mistake], names: Sequence[str]) -> Pictures:
    return Pictures(
        name=name,
        title=title,
        columns=_COLUMNS,
        pictures=[
            picture(
                one.image,
                [
                    name_class(names, one.image.place.label),
                    name_class(names, one.answer),
                    f"{one.confidence:.1%}",
                ],
            )
            for one in mistakes
        ],
    )

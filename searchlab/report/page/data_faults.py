"""The report's section on the data: labels that look wrong, and images that occur twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import (
    COPIES_KEY,
    CopiedImage,
    CopiedImages,
    SuspectLabels,
    labels_key,
)
from searchlab.report.page.blocks import Block, Pictures, Section
from searchlab.report.page.pictures import IMAGE_COLUMNS, name_class, name_image, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searchlab.engine.diagnostics.results import Part
    from searchlab.report.page.findings import Findings

__all__ = ["make_data_faults"]

_MOST_NUMBERS = 6


def make_data_faults(found: Findings) -> Section | None:
    """Show the images that deserve a second look; None if the study has no model to ask."""
    if not found.subjects:
        return None
    labels = {
        part: suspects.result
        for part in _PARTS
        if (
            suspects := found.diagnostics.read(
                labels_key(part, found.reading.records), SuspectLabels
            )
        )
    }
    measured = found.diagnostics.read(COPIES_KEY, CopiedImages)
    copies = None if measured is None else measured.result
    says = [
        *(_describe_labels(part, one) for part, one in labels.items()),
        *([_describe_copies(copies)] if copies else []),
    ]
    missing = [f"wrong labels among the {part} images" for part in _PARTS if part not in labels]
    if copies is None:
        missing.append("copies")
    if missing:
        says.append(f"Not looked for: {', '.join(missing)}. {found.explain_missing('errors')}")
    blocks: list[Block] = [_show_suspects(part, one) for part, one in labels.items() if one.shown]
    if copies and copies.shown:
        blocks.append(_show_copies(copies))
    return Section(key="data", title="Labels and copies", says=" ".join(says), blocks=blocks)


_PARTS: tuple[Part, ...] = ("training", "test")


def _describe_labels(part: Part, one: SuspectLabels) -> str:
    asked = f"{len(one.asked)} trials that {'did not learn' if part == 'training' else 'met'} them"
    if not one.images:
        text = (
            f"Wrong labels among the {part} images cannot be told, because that takes the answers "
        )
        text += f"of two trials to the same images, and {_count(len(one.asked), 'trial')} gave any"
    elif not one.count:
        text = f"No label of {one.images:,} {part} images looks wrong: on none do the models of "
        text += f"{asked} all give the same other class"
    else:
        text = f"{_count(one.count, 'label')} of {one.images:,} {part} images "
        text += f"{'looks' if one.count == 1 else 'look'} wrong: the models of {asked} all give "
        text += "the same other class, and the surest come first"
    left_out = [
        *(
            [f"{_list(one.mostly_wrong)}, whose models are mostly wrong"]
            if one.mostly_wrong
            else []
        ),
        *([f"{_list(one.unknown)}, which kept no predictions"] if one.unknown else []),
    ]
    return f"{text} (not asked: {'; '.join(left_out)})." if left_out else f"{text}."


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _list(numbers: Sequence[int]) -> str:
    shown = ", ".join(f"#{number}" for number in numbers[:_MOST_NUMBERS])
    more = len(numbers) - _MOST_NUMBERS
    return f"{shown} and {more} more" if more > 0 else shown


def _describe_copies(copies: CopiedImages) -> str:
    counts, sentences = copies.counts, []
    if counts.across:
        share = counts.across / copies.test_images
        sentences.append(
            f"The training set holds {counts.across:,} of {copies.test_images:,} test images "
            f"({share:.1%}) too, pixel for pixel{_differing(counts.across_differing)}, so the test "
            "figures say less about new images."
        )
    else:
        sentences.append("No test image is in the training set too, pixel for pixel.")
    if counts.training:
        sentences.append(
            f"{counts.training:,} of {copies.training_images:,} training images "
            f"{'repeats' if counts.training == 1 else 'repeat'} an earlier one"
            f"{_differing(counts.training_differing)}."
        )
    else:
        sentences.append("No training image occurs twice.")
    return " ".join(sentences)


def _differing(number: int) -> str:
    return f", {number:,} of them with another label" if number else ""


def _show_suspects(part: Part, one: SuspectLabels) -> Pictures:
    more = f", the first {len(one.shown)} of {one.count:,}" if one.count > len(one.shown) else ""
    return Pictures(
        name=f"labels-{part}",
        title=f"Labels of {part} images that look wrong{more}",
        columns=(*IMAGE_COLUMNS, "label", "models say", "at least", "models"),
        pictures=[
            picture(
                suspect.image,
                [
                    name_class(one.class_names, suspect.image.place.label),
                    name_class(one.class_names, suspect.answer),
                    f"{suspect.confidence:.1%}",
                    str(suspect.models),
                ],
            )
            for suspect in one.shown
        ],
    )


def _show_copies(copies: CopiedImages) -> Pictures:
    return Pictures(
        name="copies",
        title="Images that occur more than once",
        columns=(*IMAGE_COLUMNS, "label", "times", "also"),
        pictures=[
            picture(
                one.image,
                [
                    name_class(copies.class_names, one.image.place.label),
                    str(one.times),
                    _list_places(one, copies.class_names),
                ],
            )
            for one in copies.shown
        ],
    )


def _list_places(one: CopiedImage, names: Sequence[str]) -> str:
    others = one.places[1:]
    text = ", ".join(
        f"{place.file or name_image(place)} as {name_class(names, place.label)}" for place in others
    )
    more = one.times - 1 - len(others)
    return f"{text} and {more} more" if more > 0 else text

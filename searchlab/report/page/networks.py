"""The report's section on the inside of the best finalist's and the best baseline's networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import ProbedTraining, layers_key
from searchlab.report.page.blocks import Block, Paragraph, Section
from searchlab.report.page.filters import describe_move, list_filters, read_filters
from searchlab.report.page.layers import describe_dead, describe_gradients, list_layers
from searchlab.report.page.neurons import list_neurons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.page.findings import Findings

__all__ = ["make_networks"]


def make_networks(found: Findings) -> Section | None:
    """Show layers, filters and neurons; None for a study without a model to look into."""
    if not found.subjects:
        return None
    probed = {
        record.number: read.result
        for record in found.subjects
        if (read := found.diagnostics.read(layers_key(record.number), ProbedTraining))
    }
    subjects = sorted(found.subjects, key=lambda one: one.role != "finalist")
    seen = [(one, probed[one.number]) for one in subjects if one.number in probed]
    blocks: list[Block] = [Paragraph(_describe_training(seen))] if seen else []
    sentences = []
    for record in subjects:
        name = _name(record)
        if record.number in probed:
            one = probed[record.number]
            sentences += [describe_dead(name, one), describe_gradients(name, one)]
            blocks += list_layers(record.number, name, one)
        moved = read_filters(found, record.number)
        if moved is not None:
            sentences.append(f"The filters of {moved.layer} in {name} {describe_move(moved)}.")
    missing = ["layers while they train"] if len(probed) < len(found.subjects) else []
    for what, shown in (
        ("first-layer filters", _list_finalists(found)),
        ("correlations of neurons", list_neurons(found)),
    ):
        blocks += shown or []
        missing += [what] if shown is None else []
    if missing:
        text = ", ".join(missing)
        blocks.append(Paragraph(f"{text.capitalize()}: {found.explain_missing('networks')}"))
    return Section(
        key="networks",
        title="Inside the networks",
        says=" ".join(sentences) or "The networks were not looked into.",
        blocks=blocks,
    )


def _name(record: TrialRecord) -> str:
    return f"#{record.number} {record.label}"


def _describe_training(probed: Sequence[tuple[TrialRecord, ProbedTraining]]) -> str:
    """Say on what the layers were seen, and whether they are those of the kept models."""
    num_images = probed[0][1].num_images
    sentences = [
        f"Gradients and activations are those on {num_images} training images, the same in each "
        "epoch, as a model answers them: without dropout, and with batch norm's running "
        "statistics. A gradient's figure is its root mean square. To see them, the models on all "
        "training images were trained again with the same draws."
    ]
    same = [_name(record) for record, one in probed if one.is_same]
    if same:
        sentences.append(
            f"The weights of {' and '.join(same)} are to the bit those that the study keeps."
        )
    for record, one in probed:
        if not one.is_same:
            then = " and on ".join(map(str, record.machines)) or "an unknown machine"
            sentences.append(
                f"The weights of {_name(record)} are not to the bit those that the study keeps: "
                f"it was trained on {then}, and again on {one.machine}. So what is shown of it is "
                "a training much like the one that the study ran."
            )
    return " ".join(sentences)


def _list_finalists(found: Findings) -> list[Block] | None:
    """Show the filters of the finalists; those of baselines are in the section on these."""
    finalists = [
        record
        for record in found.reading.records
        if record.role == "finalist" and record.state == "COMPLETE"
    ]
    if not finalists:
        return []
    members = [(one.number, one.label, f"#{one.number}") for one in finalists]
    groups = [("First-layer filters of the finalists", members)]
    return list_filters(found, groups, name="filters-finalists")

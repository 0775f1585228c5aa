"""A trial in full as text, and what came of training one again. Readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.config.metrics import get_metric, list_metrics
from searchlab.report.formatting import format_duration, format_seconds, format_value
from searchlab.report.layout import make_table, plain_text, say
from searchlab.report.sparkline import ASCII_BLOCKS, BLOCKS, sparkline
from searchlab.report.tables import describe_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from searchlab.report.record_comparison import Difference
    from searchlab.report.rerun import Rerun
    from searchlab.report.trial_view import Curve, TrialView

__all__ = ["describe_rerun", "list_configuration", "print_trial"]


def print_trial(console: Console, view: TrialView, metrics: Sequence[str]) -> None:
    """Print a trial; ``metrics`` are its study's objectives."""
    _, *figures, _ = describe_figures(view.row, metrics)
    rank = "" if view.row.rank is None else f", rank {view.row.rank}"
    head = f"{view.row.title} ({view.row.role}): {_describe_state(view)}{rank}"
    say(console, head, style="bold")
    say(console, f"found: {view.found}")
    for line in figures:
        say(console, line)
    _print_configuration(console, view)
    if view.curves:
        console.print()
        _print_curves(console, view.curves)
    say(console, "\ncost", style="bold")
    for line in _list_costs(view):
        say(console, f"  {line}")


def _describe_state(view: TrialView) -> str:
    record = view.record
    if record.state == "FAIL":
        return f"failed with {record.error or record.stop_reason or 'an unknown error'}"
    if record.state == "PRUNED" and record.stop_reason != "pruned":
        return record.stop_reason or "pruned"
    return record.state.lower()


def _print_configuration(console: Console, view: TrialView) -> None:
    say(console, "\nconfiguration", style="bold")
    table = make_table([("", "left"), ("", "left")])
    table.show_header = False
    for name, value, is_fixed in list_configuration(view):
        text = plain_text(f"{value} (fixed)", "dim") if is_fixed else plain_text(value)
        table.add_row(plain_text(f"  {name}"), text)
    console.print(table)


def list_configuration(view: TrialView) -> list[tuple[str, str, bool]]:
    """Return a trial's parameters and settings: name, value, and whether the study fixed it."""
    chosen: dict[str, object] = dict(view.record.params)
    fixed: dict[str, object] = {}
    if view.config is not None:
        model, settings = view.config.model, view.config.settings
        own = {f"{model.family}.{name}": value for name, value in model.parameters.items()}
        chosen = {"family": model.family, f"{model.family}.scheme": model.scheme, **own}
        chosen |= {name: value for name, value in view.record.params.items() if "." not in name}
        fixed = settings.model_dump(include=settings.model_fields_set - chosen.keys())
    return [
        *((name, _write(value), False) for name, value in chosen.items()),
        *((name, _write(value), True) for name, value in fixed.items()),
    ]


def _write(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_write, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_curves(console: Console, curves: Sequence[Curve]) -> None:
    blocks = ASCII_BLOCKS if console.options.ascii_only else BLOCKS
    num_epochs = len(curves[0].values)
    say(console, f"curves (mean over the folds, epochs 1 to {num_epochs})", style="bold")
    table = make_table(
        [("", "left"), ("first", "right"), ("", "left"), ("last", "right"), ("best", "right")]
    )
    for curve in curves:
        best = get_metric(curve.metric).sign * max(
            get_metric(curve.metric).sign * value for value in curve.values
        )
        epoch = curve.values.index(best) + 1
        first, last = (format_value(curve.metric, curve.values[end], unit=False) for end in (0, -1))
        table.add_row(
            plain_text(f"  {_name_curve(curve)}", "dim" if curve.fold is not None else ""),
            plain_text(first),
            plain_text(sparkline(curve.values, blocks=blocks)),
            plain_text(last),
            plain_text(f"{format_value(curve.metric, best, unit=False)} ({epoch})"),
        )
    console.print(table)


def _name_curve(curve: Curve) -> str:
    if curve.fold is not None:
        return f"  fold {curve.fold}"
    label = get_metric(curve.metric).label
    return f"train {label}" if curve.is_training else label


def _list_costs(view: TrialView) -> list[str]:
    row, record = view.row, view.record
    epochs = "1 epoch" if row.epochs == 1 else f"{row.epochs} epochs"
    lines = [f"{epochs}, {format_seconds(row.seconds)} s of training"]
    if view.started is not None:
        text = f"begun {view.started:%Y-%m-%d %H:%M:%S}"
        if view.ended is not None:
            text += f", ended {format_duration((view.ended - view.started).total_seconds())} later"
        lines.append(text)
    sizes = [
        f"{metric.label}: {format_value(metric.name, row.figures[metric.name])}"
        for metric in list_metrics()
        if metric.on_request and metric.name in row.figures
    ]
    lines += [", ".join(sizes)] if sizes else []
    lines += [f"trained on {machine}" for machine in record.machines]
    lines += [f"ended on host {view.node}"] if view.node else []
    if (seen := record.interruptions) is not None:
        lines.append(
            f"taken up {seen.taken_up} times, {seen.worker_lost} workers lost, "
            f"{seen.rerun_epochs} epochs trained again"
        )
    return lines


def describe_rerun(rerun: Rerun) -> list[str]:
    """Return what came of training a trial again as lines of text."""
    record, difference = rerun.record, rerun.difference
    epochs = "1 epoch" if rerun.num_epochs == 1 else f"{rerun.num_epochs} epochs"
    models = "1 model" if rerun.num_models == 1 else f"{rerun.num_models} models"
    name = f"#{record.number} {record.label}"
    lines = [
        f"{name} is the same in each of {epochs} of {models}"
        if difference is None
        else f"{name} differs: {describe_difference(difference)}"
    ]
    if rerun.exact:
        lines.append(f"compared to the bit: {', '.join(rerun.exact)}")
    if rerun.rounded:
        lines.append(f"compared as recorded, to 6 digits: {', '.join(rerun.rounded)}")
    lines.append(f"trained on {rerun.machine}")
    return [*lines, *(f"note: {remark}" for remark in rerun.remarks)]


def describe_difference(difference: Difference) -> str:
    """Write where a trial differs first, and both values."""
    fold = difference.fold
    of = "" if fold is None else " of the model on all images"
    if isinstance(fold, int):
        of = f" of fold {fold}"
    return (
        f"{difference.figure}{of} in epoch {difference.epoch} "
        f"is {difference.found!r}, was {difference.recorded!r}"
    )

"""How figures are written for people: metrics by their unit, durations, counts."""

from __future__ import annotations

from searchlab.config.metrics import COUNT, DEFAULT_METRIC, Unit, get_metric

__all__ = [
    "MISSING",
    "format_difference",
    "format_duration",
    "format_mean_std",
    "format_seconds",
    "format_value",
    "name_with_unit",
]

MISSING = "-"


def name_with_unit(metric: str) -> str:
    """Write a metric with its unit: ``accuracy in %``."""
    entry = get_metric(metric)
    return f"{entry.label} in {entry.unit.symbol}" if entry.unit.symbol else entry.label


def format_value(metric: str, value: float | None, *, unit: bool = True, sign: str = "") -> str:
    """Write a metric's figure: ``97.22 %``, or a loss as ``0.1234``; ``sign`` is ``+`` for both."""
    if value is None:
        return MISSING
    style = get_metric(metric).unit
    text = _write(style, value, style.decimals, sign)
    return f"{text} {style.symbol}" if unit and style.symbol else text


def format_mean_std(
    metric: str, mean: float | None, std: float | None, *, unit: bool = False
) -> str:
    """Write ``97.22 ± 0.61``, with its unit after it if asked for."""
    if mean is None or std is None:
        return MISSING
    style = get_metric(metric).unit
    text = f"{_write(style, mean, style.decimals)} ± {_write(style, std, style.spread_decimals)}"
    return f"{text} {style.symbol}" if unit and style.symbol else text


def format_difference(metric: str, difference: float, *, named: bool = False) -> str:
    """Write a size without its sign: ``1.42 points``, or ``0.0123``.

    ``named`` adds of what: ``0.0123 of loss``. Points alone are of the default metric.
    """
    entry = get_metric(metric)
    text = entry.unit.write_difference(difference)
    return f"{text} of {entry.label}" if named and metric != DEFAULT_METRIC else text


def _write(style: Unit, value: float, decimals: int, sign: str = "") -> str:
    separator = "," if style is COUNT else ""
    return f"{style.scale * value:{sign}{separator}.{decimals}f}"


def format_duration(seconds: float) -> str:
    """Write a span as ``0:41`` or ``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_seconds(seconds: float) -> str:
    """Write a training time: ``2.1``, from 100 s on ``1,234``."""
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"

"""How figures are written for people: percentages, losses, durations, counts."""

from __future__ import annotations

__all__ = [
    "MISSING",
    "format_count",
    "format_difference",
    "format_duration",
    "format_mean_std",
    "format_percent",
    "format_seconds",
    "format_value",
]

MISSING = "-"


def format_value(metric: str, value: float | None, *, unit: bool = True) -> str:
    """Write a metric: an accuracy in [0, 1] as ``97.22 %``, a loss as ``0.1234``."""
    if metric == "accuracy":
        return format_percent(value, unit=unit)
    return MISSING if value is None else f"{value:.4f}"


def format_percent(share: float | None, *, unit: bool = True) -> str:
    """Write a share in [0, 1] as a percentage."""
    if share is None:
        return MISSING
    return f"{100 * share:.2f} %" if unit else f"{100 * share:.2f}"


def format_mean_std(metric: str, mean: float | None, std: float | None) -> str:
    """Write ``97.22 ± 0.61`` (per cent) or ``0.1234 ± 0.012``."""
    if mean is None or std is None:
        return MISSING
    spread = f"{100 * std:.2f}" if metric == "accuracy" else f"{std:.3f}"
    return f"{format_value(metric, mean, unit=False)} ± {spread}"


def format_difference(metric: str, difference: float) -> str:
    """Write a size without its sign: ``1.42 points`` of accuracy, or ``0.0123`` of loss."""
    size = abs(difference)
    return f"{100 * size:.2f} points" if metric == "accuracy" else f"{size:.4f}"


def format_duration(seconds: float) -> str:
    """Write a span as ``0:41`` or ``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_seconds(seconds: float) -> str:
    """Write a training time: ``2.1``, from 100 s on ``1,234``."""
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def format_count(count: int | None) -> str:
    """Write ``12,345``."""
    return MISSING if count is None else f"{count:,}"

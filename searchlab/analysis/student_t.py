"""Student's t distribution, as ``scipy.stats.t`` has it.

The functions under it are called instead, because importing ``scipy.stats`` takes longer than
reading a study does.
"""

from __future__ import annotations

__all__ = ["quantile", "upper_tail"]


def quantile(share: float, degrees_of_freedom: float) -> float:
    """Return the value below which a share of the distribution lies, 0 < share < 1."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, share))


def upper_tail(value: float, degrees_of_freedom: float) -> float:
    """Return the share of the distribution above a value."""
    from scipy.special import stdtr

    return float(stdtr(degrees_of_freedom, -value))

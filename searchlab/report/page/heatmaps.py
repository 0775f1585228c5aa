"""Colours of the report's heatmaps: 0 is transparent, so that light and dark both fit."""

from __future__ import annotations

__all__ = ["AROUND_ZERO", "FROM_ZERO"]

FROM_ZERO = [[0.0, "rgba(0,130,210,0)"], [0.25, "rgba(0,130,210,0.5)"], [1.0, "rgba(0,130,210,1)"]]
"""For shares, from 0 on. Small ones count too, so they are not as faint as they are small."""

AROUND_ZERO = [
    [0.0, "rgba(213,94,0,1)"],
    [0.5, "rgba(127,127,127,0)"],
    [1.0, "rgba(0,114,178,1)"],
]
"""Orange below 0, blue above it; set ``zmid`` to 0."""

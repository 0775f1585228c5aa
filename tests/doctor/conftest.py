"""Puts what runs and drives small studies, which other folders of tests keep, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("engine", "study"):
    sys.path.append(str(Path(__file__).parents[1] / folder))

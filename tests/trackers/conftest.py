"""Puts what drives small studies, which another folder of tests keeps, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "study"))

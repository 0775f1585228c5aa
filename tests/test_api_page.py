"""docs/api.md is what docs/make_api.py writes."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_is_made_from_the_docstrings_as_they_are() -> None:
    page = runpy.run_path(str(DOCS / "make_api.py"))["make_page"]()
    assert (DOCS / "api.md").read_text(encoding="utf-8") == page, "run python docs/make_api.py"
    for piece in ("### searchlab.run_study", "### Run.trials: `pd.DataFrame`", "### InputError"):
        assert piece in page

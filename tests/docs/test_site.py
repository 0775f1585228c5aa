"""The site is built strictly, so that each link leads somewhere, and its reference is complete."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from documented import ROOT

from searchlab.config.settings import TrainingSettings
from searchlab.config.study import StudySpec


def test_the_reference_names_every_field_with_its_default() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["make_page"]()
    for name in {*StudySpec.model_fields, *TrainingSettings.model_fields} - {"changed"}:
        assert f"| `{name}` |" in page or f"### {name}\n" in page, name
    for row in (
        "| `folds` | `5` | folds of the training set |",
        "| `name` | required | the run folder is runs/&lt;name>/ |",
        "| `searchlab study new` | Write a study file from flags. |",
        "| `width` | `32` | filters of a convolution |",
        "| 2 | the input is wrong; the message says where, and what to do |",
    ):
        assert row in page


def build(folder: Path, to: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    assert "what-on_end-is-told" in (tmp_path / "reference.html").read_text()
    assert 'href="repository/examples/quickstart.ipynb"' in (tmp_path / "api.html").read_text()
    assert (tmp_path / "repository/examples/quickstart.ipynb").is_file()
    pages = [path.read_text() for path in tmp_path.rglob("*.html")]
    assert not any('src="http' in page or "fonts.googleapis" in page for page in pages)

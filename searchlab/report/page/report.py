"""Making a study's report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from searchlab.report.page.answer import make_answer
from searchlab.report.page.baselines import make_baselines
from searchlab.report.page.data_faults import make_data_faults
from searchlab.report.page.document import write_html
from searchlab.report.page.ensemble import make_ensemble
from searchlab.report.page.errors import make_errors
from searchlab.report.page.factors import make_factors
from searchlab.report.page.findings import Findings
from searchlab.report.page.folds import make_folds
from searchlab.report.page.networks import make_networks
from searchlab.report.page.provenance import make_provenance
from searchlab.report.page.published import make_published
from searchlab.report.page.ranking import make_ranking
from searchlab.report.page.robustness import make_robustness
from searchlab.report.page.search import make_search

if TYPE_CHECKING:
    from searchlab.report.page.blocks import Section
    from searchlab.report.reading import StudyReading

__all__ = ["make_report", "write_report"]

_SECTIONS: tuple[Callable[[Findings], Section | None], ...] = (
    make_answer, make_ranking, make_search, make_baselines, make_factors, make_folds, make_errors,
    make_data_faults, make_networks, make_robustness, make_ensemble, make_published,
    make_provenance,
)  # fmt: skip


def make_report(reading: StudyReading) -> list[Section]:
    """Return the sections of a study's report, finished or not."""
    found = Findings(reading)
    made = [make(found) for make in _SECTIONS]
    return [section for section in made if section is not None]


def write_report(reading: StudyReading) -> str:
    """Return a study's report as HTML."""
    return write_html(f"{reading.spec.name}: report", make_report(reading))

"""Diagnosing a run: each rule finds one kind of silent damage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.doctor.files_rules import find_stale_files
from searchlab.doctor.findings import Evidence, Finding, Rule
from searchlab.doctor.folds_rules import deal_folds, find_overlapping_folds
from searchlab.doctor.sampling_rules import (
    find_changed_distributions,
    find_duplicates,
    find_emptied_space,
    find_fallen_back_sampler,
    find_independent_sampling,
)
from searchlab.doctor.trials_rules import (
    find_failures,
    find_non_finite,
    find_ownerless,
    find_surplus,
    find_truncated,
)

if TYPE_CHECKING:
    from searchlab.report.reading import StudyReading

__all__ = ["RULES", "Diagnosis", "diagnose"]

RULES: tuple[Rule, ...] = (
    Rule(name="joint-space-emptied", check=find_emptied_space),
    Rule(name="independent-sampling", check=find_independent_sampling),
    Rule(name="changed-distribution", check=find_changed_distributions),
    Rule(name="sampler-fell-back", check=find_fallen_back_sampler),
    Rule(name="duplicates", check=find_duplicates),
    Rule(name="running-without-owner", check=find_ownerless),
    Rule(name="complete-but-truncated", check=find_truncated),
    Rule(name="non-finite", check=find_non_finite),
    Rule(name="overlapping-folds", check=find_overlapping_folds),
    Rule(name="too-many-trials", check=find_surplus),
    Rule(name="failed-share", check=find_failures),
    Rule(name="stale-files", check=find_stale_files),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The findings, worst first. ``unchecked`` maps each rule not applied in full to the reason."""

    study: str
    num_trials: int
    findings: tuple[Finding, ...]
    unchecked: dict[str, str] = field(default_factory=dict)

    @property
    def num_problems(self) -> int:
        """The number of findings that make figures wrong or lose work."""
        return sum(finding.severity == "problem" for finding in self.findings)

    @property
    def num_warnings(self) -> int:
        """The number of findings that waste work or leave files behind."""
        return len(self.findings) - self.num_problems


def diagnose(reading: StudyReading, *, data_dir: Path) -> Diagnosis:
    """Apply every rule to a study. Writes nothing and downloads nothing."""
    folds = deal_folds(reading.spec, data_dir)
    unchecked = {"overlapping-folds": folds} if isinstance(folds, str) else {}
    evidence = Evidence(reading=reading, folds=None if isinstance(folds, str) else folds)
    findings = [finding for rule in RULES for finding in rule.check(evidence)]
    return Diagnosis(
        study=reading.spec.name,
        num_trials=len(reading.records),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "problem")),
        unchecked=unchecked,
    )

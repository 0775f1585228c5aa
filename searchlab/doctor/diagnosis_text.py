"""The output of ``searchlab doctor``: text for people, plain data for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table

from searchlab.doctor.diagnosis import RULES, Diagnosis
from searchlab.report.layout import plain_text, say

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.doctor.checks import Check
    from searchlab.doctor.findings import Finding

__all__ = ["diagnosis_data", "environment_data", "print_diagnosis", "print_environment"]

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def environment_data(checks: Sequence[Check]) -> dict[str, Any]:
    """Return ``{environment: [{name, status, text, remedy}]}``; remedy is null for what is ok."""
    return {"environment": [asdict(check) for check in checks]}


def diagnosis_data(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return ``{study, num_trials, findings, rules, unchecked}``.

    A finding is ``{rule, severity, message, remedy, command, trials}``; its command may be null.
    ``rules`` names all rules; ``unchecked`` maps each rule that could not be applied in full to the
    reason.
    """
    return {
        "study": diagnosis.study,
        "num_trials": diagnosis.num_trials,
        "findings": [
            {**asdict(finding), "trials": list(finding.trials)} for finding in diagnosis.findings
        ],
        "rules": [rule.name for rule in RULES],
        "unchecked": diagnosis.unchecked,
    }


def print_environment(console: Console, checks: Sequence[Check]) -> None:
    """Print a line per check with its remedy below, then the number of problems."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        text = plain_text(check.text)
        if check.remedy is not None:
            text.append("\n").append(plain_text(check.remedy, style="italic"))
        status = plain_text(check.status, style=_STYLES[check.status])
        table.add_row(status, plain_text(check.name), text)
    console.print(table)
    num_problems = sum(check.status == "problem" for check in checks)
    num_warnings = sum(check.status == "warning" for check in checks)
    say(console, f"\n{_say_counts(num_problems, num_warnings) or 'no problems found'}")


def print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """Print the findings, worst first, then how much was checked."""
    for finding in diagnosis.findings:
        _print_finding(console, finding)
    for rule, reason in diagnosis.unchecked.items():
        say(console, f"{rule} was not checked in full: {reason}")
    if diagnosis.findings or diagnosis.unchecked:
        console.print()
    counts = _say_counts(diagnosis.num_problems, diagnosis.num_warnings) or "no damage found"
    noun = "trial" if diagnosis.num_trials == 1 else "trials"
    looked_at = f"({diagnosis.num_trials} {noun}, {len(RULES)} rules)"
    say(console, f"{diagnosis.study}: {counts} {looked_at}")


def _print_finding(console: Console, finding: Finding) -> None:
    style = _STYLES[finding.severity]
    heading = plain_text(finding.severity, style).append("  ").append(finding.rule, "bold")
    console.print(heading)
    for text, style in ((finding.message, ""), (finding.remedy, "italic")):
        console.print(Padding(plain_text(text, style=style, overflow="fold"), (0, 0, 0, 4)))
    if finding.command is not None:  # on one line however long, so that it can be copied
        console.print(plain_text(f"      {finding.command}"), soft_wrap=True)


def _say_counts(num_problems: int, num_warnings: int) -> str:
    counts = ((num_problems, "problem"), (num_warnings, "warning"))
    told = [f"{count} {noun}{'s' if count != 1 else ''}" for count, noun in counts if count]
    return ", ".join(told)

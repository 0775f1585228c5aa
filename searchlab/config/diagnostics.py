"""ReportSpec: what a study measures on its finished models for its report."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from searchlab.config.validation import Spec, to_tuple

__all__ = ["DIAGNOSTICS", "DiagnosticName", "ReportSpec"]

DiagnosticName = Literal["errors", "networks", "robustness", "ensemble"]

DIAGNOSTICS: tuple[DiagnosticName, ...] = get_args(DiagnosticName)


class ReportSpec(Spec):
    """What the report needs beyond the trials' records."""

    diagnostics: Annotated[tuple[DiagnosticName, ...], BeforeValidator(to_tuple)] | None = Field(
        None,
        description="what to measure at the end on the models of the best finalist and the best "
        "baseline, such as [errors, robustness], or [] for nothing; by default everything that "
        "takes little of the study's time",
    )

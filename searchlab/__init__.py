"""searchlab: hyperparameter and architecture search that has to beat its own baselines.

Importing it takes no time: what is named here is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchlab.version import __version__

if TYPE_CHECKING:
    from searchlab.api.recorded_trial import Trial
    from searchlab.api.run import Run
    from searchlab.api.studies import load_run, resume_study, run_study
    from searchlab.errors import (
        InfrastructureError,
        InputError,
        InterruptedStudyError,
        SearchlabError,
        StudyFailedError,
    )

__all__ = [
    "InfrastructureError",
    "InputError",
    "InterruptedStudyError",
    "Run",
    "SearchlabError",
    "StudyFailedError",
    "Trial",
    "__version__",
    "load_run",
    "resume_study",
    "run_study",
]

_ERRORS = "searchlab.errors"
_MODULES = {
    "InfrastructureError": _ERRORS,
    "InputError": _ERRORS,
    "InterruptedStudyError": _ERRORS,
    "Run": "searchlab.api.run",
    "SearchlabError": _ERRORS,
    "StudyFailedError": _ERRORS,
    "Trial": "searchlab.api.recorded_trial",
    "load_run": "searchlab.api.studies",
    "resume_study": "searchlab.api.studies",
    "run_study": "searchlab.api.studies",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

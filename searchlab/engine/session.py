"""RunSession: what an engine works with while it runs the trials of a study."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.engine.stopping import StopRequest
from searchlab.study.ledger import Ledger
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.run import TrialFolders

__all__ = ["RunSession"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSession:
    """One run of a study by one driver, from its first ``ask`` until it ends or is stopped.

    ``address`` is that of a Ray cluster; None starts a Ray here if the engine needs one.
    """

    ledger: Ledger
    prepared: PreparedStudy
    folders: TrialFolders
    stop: StopRequest
    address: str | None = None

"""Runs ``searchlab`` and sends itself signals: ``signalling_driver.py SIGKILL report:7 study ...``

``report:7`` is right after the ledger's seventh ``report``; ``ask`` and ``tell`` go likewise, and
``evaluate:1`` is right after the first ensemble or correlation is recorded.
SIGINT goes to the whole process group, as Ctrl-C in a terminal does. Names joined by ``+`` are
sent one after another. The name of one of Ray's own processes (``gcs_server``, ``raylet``) kills
that instead, and says so.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import psutil
from optuna.study import Study

from searchlab.cli.main import main
from searchlab.records.trial_record import EVALUATIONS
from searchlab.study.ledger import Ledger


def _send(names: str) -> None:
    if names in ("gcs_server", "raylet"):
        [service] = [child for child in psutil.Process().children() if child.name() == names]
        service.kill()
        sys.stderr.write(f"killed {names}\n")
        sys.stderr.flush()
        return
    for name in names.split("+"):
        number = signal.Signals[name]
        if number == signal.SIGINT:
            os.killpg(os.getpgid(0), number)
        else:
            os.kill(os.getpid(), number)


def _signal_after(names: str, method: str, nth: int) -> None:
    owner, method = (Study, "set_user_attr") if method == "evaluate" else (Ledger, method)
    original = getattr(owner, method)
    count = 0

    def signalling(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        returned = original(*arguments, **options)
        count += owner is Ledger or arguments[1] == EVALUATIONS
        if count == nth:
            _send(names)
        return returned

    setattr(owner, method, signalling)


if __name__ == "__main__":
    method, _, nth = sys.argv[2].partition(":")
    _signal_after(sys.argv[1], method, int(nth))
    main(sys.argv[3:])

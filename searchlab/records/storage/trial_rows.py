"""Trials made of the rows of Optuna's tables, whoever read them.

Rows come from SQLAlchemy, or from SQLite itself: a command that only reads a study has its result
before SQLAlchemy would be imported.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

__all__ = ["TrialRows", "by_trial", "decode_attributes"]

_parse_distribution: Callable[[str], BaseDistribution] = lru_cache(4096)(json_to_distribution)
_INFINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}

Rows = Mapping[int, Sequence[Any]]


def by_trial(rows: Iterable[Any]) -> dict[int, list[Any]]:
    """Return rows by their first column, the trial, in the order in which they come."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def decode_attributes(rows: Iterable[Any]) -> dict[str, Any]:
    """Return attributes, each from an owner, a key and JSON."""
    return {key: json.loads(text) for _, key, text in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRows:
    """The rows of some trials in the tables beside their own, each in the order of writing.

    They must be read after the trials' own rows or in one transaction with them, so that a trial
    read as finished is complete. A row begins with the trial; then ``params`` have a name, a value
    and a distribution, ``values`` an objective, a value and its kind, ``steps`` a step, a value and
    its kind, and ``user`` and ``system`` a key and JSON.
    """

    params: Rows
    values: Rows
    steps: Rows
    user: Rows
    system: Rows

    def assemble(
        self,
        trial_id: int,
        number: int,
        state: TrialState,
        start: datetime | None,
        complete: datetime | None,
    ) -> FrozenTrial:
        """Return a trial as Optuna would. Equal distributions are shared by the trials."""
        params = self.params.get(trial_id, ())
        distributions = {name: _parse_distribution(text) for _, name, _, text in params}
        values = sorted((place, _number(*row)) for _, place, *row in self.values.get(trial_id, ()))
        return FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=[value for _, value in values] or None,
            datetime_start=_to_local(start),
            datetime_complete=_to_local(complete),
            params={
                name: distributions[name].to_external_repr(value) for _, name, value, _ in params
            },
            distributions=distributions,
            user_attrs=decode_attributes(self.user.get(trial_id, ())),
            system_attrs=decode_attributes(self.system.get(trial_id, ())),
            intermediate_values={
                step: _number(*row) for _, step, *row in self.steps.get(trial_id, ())
            },
            trial_id=trial_id,
        )


def _number(value: float | None, kind: Any) -> float:
    """Return a stored number; infinite ones and NaN are stored by the name of their kind."""
    return _INFINITE[getattr(kind, "name", kind)] if value is None else value


def _to_local(moment: datetime | None) -> datetime | None:
    """Return a naive local time, as Optuna's trials have it, for the stored naive UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)

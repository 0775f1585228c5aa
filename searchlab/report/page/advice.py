"""What to try next, from what a study recorded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.analysis.comparison import FEWEST_FOLDS
from searchlab.config.trial import SCHEMES
from searchlab.records.recorded_values import params_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from searchlab.report.page.findings import Findings

__all__ = ["list_advice"]

_EDGE = 0.03  # of a range: closer to an end than this is at the edge
_LATE = 0.1  # of the search's trials


def list_advice(found: Findings) -> list[str]:
    """Return sentences, each with its reason."""
    begun = [
        *_advise_on_the_rest(found),
        *_advise_on_failures(found),
        *_advise_on_quick_look(found),
    ]
    if found.winner is None:
        return begun
    return [
        *begun,
        *_advise_on_edges(found),
        *_advise_on_epochs(found),
        *_advise_on_trials(found),
        *_advise_on_folds(found),
        *_advise_on_baselines(found),
    ] or ["Nothing in the record asks for other ranges, epochs, trials or folds."]


def _advise_on_the_rest(found: Findings) -> Iterator[str]:
    """An interrupted study can go on."""
    if found.status.state == "interrupted":
        yield f"Go on: {found.reading.run.command('study', 'resume')}"


def _advise_on_quick_look(found: Findings) -> Iterator[str]:
    """What was shortened to look whether it runs shows nothing."""
    if found.board.quick_look:
        yield "Run the study in full before comparing anything: without --quick and the like."


def _advise_on_failures(found: Findings) -> Iterator[str]:
    """A trial that failed for good says nothing of its configuration."""
    failed = [one for one in found.reading.records if one.state == "FAIL" and not one.is_replaced]
    if failed:
        [(cause, _)] = Counter(one.error or "an unknown cause" for one in failed).most_common(1)
        first = next(one for one in failed if (one.error or "an unknown cause") == cause)
        yield (
            f"Mend what made {len(failed)} of {len(found.reading.records)} trials fail. The most "
            f"frequent cause is: {cause} ({found.reading.run.command('trial', 'show')} "
            f"{first.number})."
        )


def _advise_on_edges(found: Findings) -> Iterator[str]:
    """A parameter at the edge of its range may be better beyond it."""
    assert found.winner is not None
    if found.winner.role == "baseline":
        return
    [trial] = [one for one in found.reading.trials if one.number == found.winner.number]
    values = params_of(trial)
    for name, place in _find_places(trial).items():
        spread = trial.distributions[name]
        if place <= _EDGE and _ends_for_good(spread):
            continue
        if not _EDGE < place < 1 - _EDGE:
            end = "lower" if place <= _EDGE else "upper"
            yield (
                f"Widen {name}: the winner's {values[name]:.4g} is at the {end} end of "
                f"{spread.low:g} to {spread.high:g}."  # type: ignore[attr-defined]
            )


def _ends_for_good(spread: BaseDistribution) -> bool:
    """Return whether there is nothing below a range: no share below 0, no count below 1."""
    from optuna.distributions import IntDistribution

    least = 1 if isinstance(spread, IntDistribution) else 0
    return float(spread.low) <= least  # type: ignore[attr-defined]


def _find_places(trial: FrozenTrial) -> dict[str, float]:
    """Return where in its range each number lies, from 0 to 1, if the range has many steps."""
    from optuna.distributions import FloatDistribution, IntDistribution

    places: dict[str, float] = {}
    for name, spread in trial.distributions.items():
        if not isinstance(spread, FloatDistribution | IntDistribution) or spread.high <= spread.low:
            continue
        if isinstance(spread, IntDistribution) and (spread.high - spread.low) // spread.step < 3:
            continue
        low, high, value = spread.low, spread.high, trial.params[name]
        if spread.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        places[name] = (value - low) / (high - low)
    return places


def _advise_on_epochs(found: Findings) -> Iterator[str]:
    assert found.winner is not None
    record = found.reading.find_trial(found.winner.number)
    if record.fold_epoch is not None and record.fold_epoch == record.epochs > 1:
        yield (
            f"Train longer: the winner's best epoch is its last, {record.epochs}. "
            f"Run it anew with, for instance, --set training.epochs={2 * record.epochs}."
        )


def _advise_on_trials(found: Findings) -> Iterator[str]:
    sign = found.board.sign
    complete = [t for t in found.search_trials if t.state.name == "COMPLETE" and t.values]
    if len(complete) < 10:
        return
    best = max(complete, key=lambda trial: sign * trial.values[0])
    position = found.search_trials.index(best)
    if position >= (1 - _LATE) * len(found.search_trials):
        yield (
            f"Search on: the best of {len(found.search_trials)} trials, #{best.number}, came among "
            f"the last {_LATE:.0%}. Resume with --set search.trials={2 * len(found.search_trials)}."
        )


def _advise_on_folds(found: Findings) -> Iterator[str]:
    spec = found.reading.spec
    if found.verdict.answer == "UNDECIDED" and spec.validation.folds < FEWEST_FOLDS:
        yield f"Use more folds: {spec.validation.folds} show hardly any difference."


def _advise_on_baselines(found: Findings) -> Iterator[str]:
    """Name the schemes of the study's own architectures that it never tried."""
    tried: dict[str, set[str]] = {}
    for row in found.reading.spec.baseline_rows:
        tried.setdefault(row.architecture, set()).add(row.scheme)
    missing = [
        f"{architecture}/{scheme}"
        for architecture, schemes in tried.items()
        if architecture in ("a1", "a2")
        for scheme in SCHEMES
        if scheme not in schemes
    ]
    if missing:
        yield f"Try the baselines that were left out: {', '.join(missing)}."

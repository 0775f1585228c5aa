"""Rules about what the sampler saw and asked for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.config.samplers import SAMPLERS
from searchlab.config.space import SpaceSpec
from searchlab.doctor.findings import RUN_ANEW, Evidence, Finding, list_trials
from searchlab.records.trial_record import INDEPENDENTLY_SAMPLED, ROLE
from searchlab.search.samplers.registry import count_random_draws

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


__all__ = [
    "find_changed_distributions",
    "find_duplicates",
    "find_emptied_space",
    "find_fallen_back_sampler",
    "find_independent_sampling",
]

# Two drivers that tell and ask at the same moment may note a trial or two at the start.
_TOLERATED_SHARE = 0.1
_MAX_NAMED = 3


def find_emptied_space(evidence: Evidence) -> Iterator[Finding]:
    """Yield the search trials whose missing parameters empty what the sampler sees jointly."""
    search = [t for t in evidence.trials if t.user_attrs.get(ROLE, "search") == "search"]
    taught = [trial for trial in search if trial.state.name in ("COMPLETE", "PRUNED")]
    known = {name for trial in search for name in trial.params}
    bare = [trial.number for trial in taught if known and not trial.params]
    # A Python function does not say which of its parameters all trials share.
    is_file = isinstance(evidence.spec.space, SpaceSpec)
    shared = {name for name in known if is_file and "." not in name}
    lacking = {trial.number: shared - trial.params.keys() for trial in taught if trial.params}
    missing = sorted(set().union(*lacking.values()))
    partial = [number for number, names in lacking.items() if names]
    for numbers, what in (
        (bare, "parameters: after such a trial a sampler may draw every parameter independently, "
         "without a warning"),
        (partial, f"{', '.join(missing)}, which all families share: what the trials have in "
         "common is less than the space"),
    ):  # fmt: skip
        if numbers:
            yield Finding(
                rule="joint-space-emptied",
                severity="problem",
                message=f"{list_trials(numbers)} finished without {what}",
                remedy=RUN_ANEW,
                command=evidence.rerun_command,
                trials=tuple(numbers),
            )


def find_independent_sampling(evidence: Evidence) -> Iterator[Finding]:
    """Yield the search trials with parameters drawn independently that could be drawn jointly.

    If nothing was drawn jointly, that is ``find_fallen_back_sampler``'s finding.
    """
    search = [trial for _, trial in evidence.search]
    alone = [trial for trial in search if trial.system_attrs.get(INDEPENDENTLY_SAMPLED)]
    if not alone or _is_all_alone(evidence):
        return
    numbers = [trial.number for trial in alone]
    share = len(alone) / len(search)
    names = Counter(name for trial in alone for name in trial.system_attrs[INDEPENDENTLY_SAMPLED])
    yield Finding(
        rule="independent-sampling",
        severity="problem" if share > _TOLERATED_SHARE else "warning",
        message=f"the sampler drew {_name_some([name for name, _ in names.most_common()])} "
        f"independently in {share:.0%} of the search ({list_trials(numbers)}), although it could "
        "have drawn them jointly with the others",
        remedy="Look for a finding on parameters or distributions here. Without one, a sampler "
        "that knows the whole space does better: --set search.sampler=gp",
        trials=tuple(numbers),
    )


def find_changed_distributions(evidence: Evidence) -> Iterator[Finding]:
    """Yield the parameters that do not have one distribution in all trials."""
    seen: dict[str, dict[BaseDistribution, list[int]]] = defaultdict(lambda: defaultdict(list))
    for trial in evidence.trials:
        for name, distribution in trial.distributions.items():
            seen[name][distribution].append(trial.number)
    changed = {name: kinds for name, kinds in seen.items() if len(kinds) > 1}
    if not changed:
        return
    usual = {name: max(kinds, key=lambda kind: len(kinds[kind])) for name, kinds in changed.items()}
    odd = {
        number
        for name, kinds in changed.items()
        for kind, numbers in kinds.items()
        for number in numbers
        if kind != usual[name]
    }
    verb = "has another range or other choices" if len(changed) == 1 else "have other ranges"
    yield Finding(
        rule="changed-distribution",
        severity="problem",
        message=f"{_name_some([*changed])} {verb} in {list_trials(sorted(odd))} than in the rest: "
        "the sampler cannot learn from both and draws independently",
        remedy="Keep one space for the whole of a study, and search another under another name",
        command=evidence.rerun_command,
        trials=tuple(sorted(odd)),
    )


def find_duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Yield the search trials that a sampler asked for more than once."""
    if SAMPLERS[evidence.spec.search.sampler].planned:
        return
    groups: dict[str, list[int]] = defaultdict(list)
    for record, _ in evidence.search:
        groups[json.dumps(record.params, sort_keys=True)].append(record.number)
    repeats = sorted(number for numbers in groups.values() for number in numbers[1:])
    if repeats:
        again = "repeats" if len(repeats) == 1 else "repeat"
        yield Finding(
            rule="duplicates",
            severity="warning",
            message=f"{list_trials(repeats)} {again} the parameters of an earlier search trial, "
            "and so its result",
            remedy="Search more parameters or wider ranges, ask for fewer trials, or use sampler "
            "gp, which never asks for a point twice",
            trials=tuple(repeats),
        )


def find_fallen_back_sampler(evidence: Evidence) -> Iterator[Finding]:
    """Yield a search that was random although another sampler was asked for."""
    sampler = evidence.spec.search.sampler
    if _is_all_alone(evidence):
        yield Finding(
            rule="sampler-fell-back",
            severity="problem",
            message=f"sampler {sampler} drew every parameter independently in all trials after "
            "its start: the search was random",
            remedy=f"The other findings may say what it could not see. {RUN_ANEW}",
            command=evidence.rerun_command,
            trials=tuple(trial.number for trial in _after_start(evidence)),
        )
    num_trials, num_drawn = _count_search(evidence), count_random_draws(evidence.spec)
    if 0 < num_trials <= num_drawn:
        yield Finding(
            rule="sampler-fell-back",
            severity="warning",
            message=f"sampler {sampler} draws its first {num_drawn} trials at random, and the "
            f"search has {num_trials}: it was a random search",
            remedy="Ask for more trials, or name sampler random",
            command=evidence.resume_command(f"search.trials={num_drawn * 3}"),
        )


def _is_all_alone(evidence: Evidence) -> bool:
    after = _after_start(evidence)
    return bool(after) and all(
        trial.params.keys() <= set(trial.system_attrs.get(INDEPENDENTLY_SAMPLED, ()))
        for trial in after
    )


def _after_start(evidence: Evidence) -> list[FrozenTrial]:
    return [trial for _, trial in evidence.search][count_random_draws(evidence.spec) :]


def _count_search(evidence: Evidence) -> int:
    """Return how many search trials there are, or are to be while the study goes on."""
    asked = evidence.spec.search.trials
    return len(evidence.search) if evidence.reading.is_finished or asked is None else asked


def _name_some(names: list[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{shown} and {more} more" if more > 0 else shown

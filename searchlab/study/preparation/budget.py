"""What a search's budget of trials cannot do, said before it is spent."""

from __future__ import annotations

from collections.abc import Iterator

from searchlab.config.space import SpaceSpec
from searchlab.search.samplers.registry import count_random_draws
from searchlab.study.plan import REFERENCE, StudyPlan

__all__ = ["budget_warnings"]


def budget_warnings(plan: StudyPlan) -> Iterator[str]:
    """Yield a sentence for each reason why search trials will be wasted or teach nothing."""
    search = plan.spec.search
    if search.trials is None:
        return
    if plan.search is not None:
        if len(plan.search) < search.trials:
            yield (
                f"search.trials is {search.trials}, but sampler {search.sampler} has only "
                f"{len(plan.search)} to run, and the search ends after {_them(len(plan.search))}"
            )
        return
    num_configurations = _count_configurations(plan)
    if num_configurations is not None and search.trials > num_configurations:
        noun = "configuration" if num_configurations == 1 else "configurations"
        yield (
            f"search.trials is {search.trials}, but the space has only {num_configurations:,} "
            f"{noun}: the other {search.trials - num_configurations} or more trials repeat "
            "earlier ones and have their results, untrained. Ask for fewer trials, or search more "
            "parameters"
        )
    elif 0 < search.trials <= (num_drawn := count_random_draws(plan.spec)):
        yield (
            f"search.trials is {search.trials}, but sampler {search.sampler} learns from the first "
            f"{num_drawn} search trials before it proposes any: {_without_learning(plan)}"
        )


def _count_configurations(plan: StudyPlan) -> int | None:
    """Count the configurations of a space; None if they are infinitely many or unknown."""
    if not isinstance(plan.spec.space, SpaceSpec):
        return None
    size = plan.spec.space.size()
    return None if size.num_continuous else size.discrete


def _without_learning(plan: StudyPlan) -> str:
    if not plan.start:
        return "this is a random search"
    given = [one for one in plan.start if not one.key.startswith(REFERENCE)]
    noun = "start point" if given else "reference point"
    if len(plan.start) == plan.spec.search.trials:
        return f"this search tries {noun}s only"
    points = f"its {noun}" if len(plan.start) == 1 else f"{len(plan.start)} {noun}s"
    return f"after {points}, this is a random search"


def _them(count: int) -> str:
    return "that one" if count == 1 else "those"

"""Optuna studies in memory, in which a sampler of Optuna's sees flat points only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optuna.distributions import BaseDistribution

    from searchlab.study.space.points import Point

__all__ = ["InnerStudy"]


class InnerStudy:
    """A study of flat points and losses, all to be minimised."""

    def __init__(
        self,
        sampler: BaseSampler,
        distributions: dict[str, BaseDistribution],
        *,
        num_objectives: int,
    ) -> None:
        storage = InMemoryStorage()
        # Not optuna.create_study, which tells the user of a study that is none of theirs.
        self._study_id = storage.create_new_study(
            [StudyDirection.MINIMIZE] * num_objectives, "inner"
        )
        self.study = Study("inner", storage, sampler=sampler)
        self._storage = storage
        self._sampler = sampler
        self._distributions = distributions

    def add_finished(
        self, flat: Point, losses: Sequence[float], system_attrs: dict[str, Any] | None = None
    ) -> None:
        """Add what was learnt."""
        self._add(
            create_trial(
                state=TrialState.COMPLETE,
                values=losses,
                params=flat,
                distributions=self._distributions,
                system_attrs=system_attrs,
            )
        )

    def add_running(self, flats: Iterable[Point]) -> None:
        """Add what is being learnt, so that it is not asked for again."""
        for flat in flats:
            self._add(
                create_trial(
                    state=TrialState.RUNNING, params=flat, distributions=self._distributions
                )
            )

    def _add(self, trial: FrozenTrial) -> None:
        self._storage.create_new_trial(self._study_id, template_trial=trial)

    def sample(self) -> dict[str, Any]:
        """Return what the sampler proposes jointly; it may leave parameters out."""
        trial = self._storage.get_trial(self._storage.create_new_trial(self._study_id))
        return self._sampler.sample_relative(self.study, trial, self._distributions)

"""Creating and reopening the Optuna study of a run."""

from __future__ import annotations

import warnings

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from searchlab.errors import InputError
from searchlab.study.preparation import PreparedStudy
from searchlab.study.pruners import make_pruner
from searchlab.study.samplers import make_sampler

__all__ = ["create_study", "reopen_study"]

_FINGERPRINT = "searchlab.data_fingerprint"
_VERSION = "searchlab.version"


def create_study(prepared: PreparedStudy, storage: BaseStorage) -> Study:
    """Make the study in a storage. Raises InputError where one of its name is there already."""
    from searchlab import __version__

    spec = prepared.spec
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=spec.name,
            directions=[objective.natural_direction for objective in spec.objective],
            sampler=make_sampler(spec, prepared.space),
            pruner=make_pruner(spec.search.pruner, epochs=spec.training.epochs),
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise InputError(
            f"has a study named {spec.name} already",
            where="the storage",
            remedy="Choose another name with --set name=..., or resume that study's run folder",
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        # So that the dashboard says accuracy rather than objective 0.
        study.set_metric_names([objective.metric for objective in spec.objective])
    study.set_user_attr(_FINGERPRINT, prepared.images.fingerprint())
    study.set_user_attr(_VERSION, __version__)
    return study


def reopen_study(prepared: PreparedStudy, storage: BaseStorage, *, create: bool) -> Study:
    """Open the study again; ``create`` it where its driver was killed before it did.

    Raises InputError where it is gone, or its data have changed.
    """
    spec = prepared.spec
    try:
        study = optuna.load_study(
            storage=storage,
            study_name=spec.name,
            sampler=make_sampler(spec, prepared.space),
            pruner=make_pruner(spec.search.pruner, epochs=spec.training.epochs),
        )
    except KeyError:
        if create:
            return create_study(prepared, storage)
        raise InputError(
            f"has no study named {spec.name}", where="the storage", remedy="Was it deleted?"
        ) from None
    known = study.user_attrs.get(_FINGERPRINT)
    found = prepared.images.fingerprint()
    if known != found:
        raise InputError(
            f"must be the images that the study began with (fingerprint {known})",
            where=f"data set {spec.dataset.name}",
            found=found,
            remedy="Point --data-dir at the data that the study began with",
        )
    return study

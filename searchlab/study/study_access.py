"""Creates, joins and reopens the Optuna study of a run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from searchlab.config.plugins import loaded_digests
from searchlab.config.study import StudySpec
from searchlab.data.image_data import ImageData
from searchlab.errors import InputError
from searchlab.records.recorded_spec import check_joinable, check_unchanged, shared_part
from searchlab.records.trial_record import DATA_FINGERPRINT, PLUGINS, SPEC, VERSION
from searchlab.search.pruning.registry import make_pruner
from searchlab.search.samplers.registry import make_sampler
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.version import __version__

__all__ = ["check_images", "check_plugins", "create_study", "join_study", "reopen_study"]


def create_study(prepared: PreparedStudy, storage: BaseStorage) -> Study:
    """Create the study in a storage. Raises InputError if the storage has one of this name.

    The study's plugins must be loaded.
    """
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
            f"already has a study named {spec.name}",
            where="the storage",
            remedy="Choose another name with --set name=..., or resume that study's run folder",
        ) from None
    _describe_study(study, prepared)
    return study


def _describe_study(study: Study, prepared: PreparedStudy) -> None:
    spec = prepared.spec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        # The dashboard then says accuracy rather than Objective 0.
        study.set_metric_names([objective.metric for objective in spec.objective])
    study.set_user_attr(VERSION, __version__)
    study.set_user_attr(SPEC, json.dumps(shared_part(spec)))
    study.set_user_attr(PLUGINS, loaded_digests(spec.plugins))
    # Last, because a study that has a fingerprint counts as fully described.
    study.set_user_attr(DATA_FINGERPRINT, prepared.images.fingerprint())


def join_study(prepared: PreparedStudy, storage: BaseStorage) -> Study:
    """Open the study that other drivers run, or create it if this driver is the first.

    Raises InputError if theirs is a different study of the same name. The caller must keep other
    drivers from calling this at the same time, because creating a study takes several writes.
    """
    if prepared.spec.name not in optuna.get_all_study_names(storage):
        return create_study(prepared, storage)
    return _open(prepared, storage)


def reopen_study(
    prepared: PreparedStudy, storage: BaseStorage, *, create: bool, file: Path
) -> Study:
    """Open the study again, or with ``create`` make it: its driver may have been killed before.

    Raises InputError if the study, read from ``file``, its images or a plugin have changed, and
    KeyError if it is gone. Plugins that it did not have before are recorded with the others; all
    must be loaded. What a resume may change, such as more trials, is recorded for the drivers that
    join it.
    """
    if create and prepared.spec.name not in optuna.get_all_study_names(storage):
        return create_study(prepared, storage)
    study = _open(prepared, storage, file=file)
    known, found = study.user_attrs.get(SPEC), json.dumps(shared_part(prepared.spec))
    if known != found:
        study.set_user_attr(SPEC, found)
    return study


def _open(prepared: PreparedStudy, storage: BaseStorage, *, file: Path | None = None) -> Study:
    """Open a study, of a run's ``file`` or to join it, if it is the recorded one."""
    spec = prepared.spec
    study = optuna.load_study(
        storage=storage,
        study_name=spec.name,
        sampler=make_sampler(spec, prepared.space),
        pruner=make_pruner(spec.search.pruner, epochs=spec.training.epochs),
    )
    if DATA_FINGERPRINT not in study.user_attrs:
        _describe_study(study, prepared)  # its driver was killed right after creating it
    recorded = study.user_attrs.get(SPEC)
    if file is None:
        check_joinable(recorded, spec)
    else:
        check_unchanged(recorded, spec, file)
    check_images(study.user_attrs, prepared.images)
    check_plugins(study.user_attrs, spec)
    _record_plugins(study, spec)
    return study


def check_images(recorded: Mapping[str, Any], images: ImageData) -> None:
    """Raise InputError unless these are the images of the study with these user attributes."""
    known = recorded.get(DATA_FINGERPRINT)
    found = images.fingerprint()
    if known != found:
        raise InputError(
            f"must have the images that the study began with (fingerprint {known})",
            where=f"dataset {images.name}",
            found=found,
            remedy="Point --data-dir at the data that the study began with",
        )


def check_plugins(recorded: Mapping[str, Any], spec: StudySpec) -> None:
    """Raise InputError if a plugin is not as the study with these user attributes recorded it.

    The plugins must be loaded.
    """
    digests: dict[str, str] = recorded.get(PLUGINS, {})
    for plugin, found in loaded_digests(spec.plugins).items():
        known = digests.get(plugin, found)
        if known != found:
            raise InputError(
                f"must not change during a study, which began with digest {known}",
                where=f"plugin {plugin}",
                found=found,
                remedy="Restore it, or run the changed one as another study with --set name=...",
            )


def _record_plugins(study: Study, spec: StudySpec) -> None:
    recorded: dict[str, str] = study.user_attrs.get(PLUGINS, {})
    digests = loaded_digests(spec.plugins)
    if not digests.keys() <= recorded.keys():
        study.set_user_attr(PLUGINS, {**recorded, **digests})

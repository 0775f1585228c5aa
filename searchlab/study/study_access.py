"""Creating, joining and reopening the Optuna study of a run."""

from __future__ import annotations

import json
import warnings
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from searchlab.config.plugins import loaded_digests
from searchlab.config.study import StudySpec
from searchlab.errors import InputError
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.study.pruning.registry import make_pruner
from searchlab.study.samplers.registry import make_sampler
from searchlab.study.transfer.copying import is_half_copied

__all__ = ["create_study", "join_study", "reopen_study"]

_FINGERPRINT = "searchlab.data_fingerprint"
_PLUGINS = "searchlab.plugins"  # {plugin: digest of its source}
_SPEC = "searchlab.study"  # the study as it is run, as JSON, but for its name
_VERSION = "searchlab.version"
# What a joining driver may have of its own: they say how fast a study runs, not what it finds.
_OWN_SECTIONS = ("name", "resources")


def create_study(prepared: PreparedStudy, storage: BaseStorage) -> Study:
    """Make the study in a storage. Raises InputError where one of its name is there already.

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
            f"has a study named {spec.name} already",
            where="the storage",
            remedy="Choose another name with --set name=..., or resume that study's run folder",
        ) from None
    _describe_study(study, prepared)
    return study


def _describe_study(study: Study, prepared: PreparedStudy) -> None:
    from searchlab import __version__

    spec = prepared.spec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        # So that the dashboard says accuracy rather than objective 0.
        study.set_metric_names([objective.metric for objective in spec.objective])
    study.set_user_attr(_VERSION, __version__)
    study.set_user_attr(_SPEC, json.dumps(_shared_part(spec)))
    _record_plugins(study, spec)
    # Last: a study that has it was described whole.
    study.set_user_attr(_FINGERPRINT, prepared.images.fingerprint())


def join_study(prepared: PreparedStudy, storage: BaseStorage) -> Study:
    """Open the study that other drivers run, or create it where this driver is the first.

    Raises InputError where theirs is another study of that name. To be called while no other
    driver can: creating takes several writes.
    """
    names = set(optuna.get_all_study_names(storage))
    if prepared.spec.name not in names:
        return create_study(prepared, storage)
    study = _open(prepared, storage, create=False)
    _check_same_study(study, prepared.spec)
    return study


def _shared_part(spec: StudySpec) -> dict[str, Any]:
    data = spec.to_data()
    return {name: data[name] for name in sorted(data) if name not in _OWN_SECTIONS}


def _check_same_study(study: Study, spec: StudySpec) -> None:
    known = json.loads(study.user_attrs.get(_SPEC, "{}"))
    ours = json.loads(json.dumps(_shared_part(spec)))
    differing = [name for name in sorted({*known, *ours}) if known.get(name) != ours.get(name)]
    if differing:
        raise InputError(
            f"is run by others with another {' and another '.join(differing)}",
            where=f"the study {spec.name}",
            remedy="Join with the same study file, or run this one under another name: "
            "--set name=...",
        )


def reopen_study(prepared: PreparedStudy, storage: BaseStorage, *, create: bool) -> Study:
    """Open the study again; ``create`` it where its driver was killed before it did.

    Raises InputError where it is gone, or its images or a plugin have changed. Plugins that it
    did not have before are recorded beside the others; all must be loaded. What else the study
    may have more of now, such as trials, is recorded for those who join it.
    """
    study = _open(prepared, storage, create=create)
    known, found = study.user_attrs.get(_SPEC), json.dumps(_shared_part(prepared.spec))
    if known != found:
        study.set_user_attr(_SPEC, found)
    return study


def _open(prepared: PreparedStudy, storage: BaseStorage, *, create: bool) -> Study:
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
    if is_half_copied(storage, spec.name):
        raise InputError(
            "is half a copy",
            where=f"the study {spec.name}",
            remedy="Copy it once more, which replaces it: searchlab storage copy FROM TO",
        )
    if _FINGERPRINT not in study.user_attrs:
        _describe_study(study, prepared)  # its driver was killed between creating it and this
    _check_images(study, prepared)
    _check_plugins(study, spec)
    _record_plugins(study, spec)
    return study


def _check_images(study: Study, prepared: PreparedStudy) -> None:
    known = study.user_attrs.get(_FINGERPRINT)
    found = prepared.images.fingerprint()
    if known != found:
        raise InputError(
            f"must be the images that the study began with (fingerprint {known})",
            where=f"dataset {prepared.spec.dataset.name}",
            found=found,
            remedy="Point --data-dir at the data that the study began with",
        )


def _check_plugins(study: Study, spec: StudySpec) -> None:
    recorded: dict[str, str] = study.user_attrs.get(_PLUGINS, {})
    for plugin, found in loaded_digests(spec.plugins).items():
        known = recorded.get(plugin, found)
        if known != found:
            raise InputError(
                f"must be as it was when the study first ran with it (digest {known})",
                where=f"plugin {plugin}",
                found=found,
                remedy="Restore it, or run what it is now as another study: --set name=...",
            )


def _record_plugins(study: Study, spec: StudySpec) -> None:
    recorded: dict[str, str] = study.user_attrs.get(_PLUGINS, {})
    digests = {**recorded, **loaded_digests(spec.plugins)}
    if digests != recorded:
        study.set_user_attr(_PLUGINS, digests)

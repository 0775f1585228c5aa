"""All that can be checked before a study begins, so that nothing is half-written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.documents import Location
from searchlab.config.loading import StudyFile
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import ModelConfig
from searchlab.data import ImageData, get_dataset, list_datasets, load_dataset, stratified_folds
from searchlab.data.folds import Indices
from searchlab.errors import InputError, did_you_mean
from searchlab.models import check_model, get_family, list_families
from searchlab.study.callable_space import CallableSpace
from searchlab.study.plan import plan_baselines, plan_search
from searchlab.study.points import reference_point
from searchlab.study.resolve import resolve
from searchlab.study.space_check import check_space
from searchlab.study.spaces import SpecSpace, StudySpace

__all__ = ["PreparedStudy", "prepare_study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStudy:
    """A study that passed every check, with the images and the folds that it needs."""

    spec: StudySpec
    space: StudySpace
    images: ImageData
    folds: tuple[Indices, ...]


def prepare_study(file: StudyFile, *, data_dir: Path) -> PreparedStudy:
    """Check a study against the families and its data set. Raises InputError, writes nothing."""
    spec = file.spec
    _check_dataset_name(file)
    if isinstance(spec.space, SpaceSpec):
        check_space(spec.space, file.document, prefix=("space",))
    _check_baseline_names(file)
    space = _open_space(file)
    with _located(file):
        plan_baselines(spec, space)
        plan_search(spec)
    _check_models_fit(file)
    images = load_dataset(spec.dataset.name, data_dir)
    with _located(file):
        folds = stratified_folds(
            images.train_labels, num_folds=spec.validation.folds, seed=spec.search.seed
        )
    return PreparedStudy(spec=spec, space=space, images=images, folds=folds)


def _open_space(file: StudyFile) -> StudySpace:
    if isinstance(file.spec.space, SpaceSpec):
        return SpecSpace(file.spec)
    return CallableSpace(file.spec)


def _check_dataset_name(file: StudyFile) -> None:
    name = file.spec.dataset.name
    if name not in list_datasets():
        raise InputError(
            "must be a known data set",
            where=_dataset_place(file),
            found=name,
            remedy=did_you_mean(name, list_datasets()),
        )


def _dataset_place(file: StudyFile) -> str:
    nested = isinstance(file.document.data.get("dataset"), dict)
    return file.document.where(("dataset", "name") if nested else ("dataset",))


def _check_baseline_names(file: StudyFile) -> None:
    baselines = file.spec.baselines
    where = file.document.where(("baselines", "architectures"))
    for name in baselines.architectures:
        if name not in list_families():
            remedy = did_you_mean(name, list_families())
            raise InputError("must be a known family", where=where, found=name, remedy=remedy)
        by_hand = [scheme for scheme in baselines.schemes if scheme != "DT"]
        if by_hand and get_family(name).first_conv is None:
            raise InputError(
                f"{name} has no first conv layer to set by hand, so it refuses schemes "
                f"{' and '.join(by_hand)}",
                where=where,
                remedy="Set baselines.schemes to [DT], or choose another architecture",
            )


def _check_models_fit(file: StudyFile) -> None:
    """Build every baseline and every family's reference point for the data set's images."""
    spec = file.spec
    dataset = get_dataset(spec.dataset.name)
    configs: list[tuple[Location, ModelConfig]] = [
        (("baselines", "architectures"), ModelConfig(family=name, scheme=scheme))
        for name in spec.baselines.architectures
        for scheme in spec.baselines.schemes
    ]
    if isinstance(spec.space, SpaceSpec):
        for name, own in spec.space.families.items():
            alone = reference_point(spec.space.with_families({name: own}), {})
            place = ("space", "parameters", "family")
            configs.append((place, resolve(alone, spec.training).model))
    for location, config in configs:
        try:
            check_model(config, image_shape=dataset.image_shape, num_classes=dataset.num_classes)
        except InputError as error:
            raise InputError(
                f"does not suit data set {dataset.name} "
                f"({'x'.join(map(str, dataset.image_shape))}): {error}",
                where=file.document.where(location),
            ) from error


@contextmanager
def _located(file: StudyFile) -> Iterator[None]:
    """Put the file and line before an error that names a field only."""
    try:
        yield
    except InputError as error:
        field, space, rest = str(error).partition(" ")
        location = tuple(field.split("."))
        if location[0] not in StudySpec.model_fields:
            raise
        raise InputError(f"{file.document.where(location)}{space}{rest}") from error

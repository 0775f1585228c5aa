"""Checks a study before it begins, so that a bad one leaves nothing half-written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.dataset import DatasetSpec
from searchlab.config.loading import StudyFile
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.control_characters import escape_line
from searchlab.data import (
    DatasetFacts,
    DatasetRequest,
    ImageData,
    describe_dataset,
    list_datasets,
    load_dataset,
)
from searchlab.data.decoding import Progress
from searchlab.data.folds import Indices, folds_of
from searchlab.errors import InputError, did_you_mean
from searchlab.models import get_family, list_families
from searchlab.search.space.callable_space import CallableSpace
from searchlab.search.space.space_check import check_space
from searchlab.search.space.study_space import SpecSpace, StudySpace
from searchlab.study.plan import StudyPlan, plan_study
from searchlab.study.preparation.budget import budget_warnings
from searchlab.study.preparation.code_check import check_code
from searchlab.study.preparation.compatibility import check_models_fit
from searchlab.study.preparation.image_warnings import image_warnings
from searchlab.study.preparation.verdict_outlook import verdict_warnings

__all__ = [
    "PreparedStudy",
    "check_study",
    "open_space",
    "prepare_study",
    "read_images",
    "request_data",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStudy:
    """A study that passed every check, with the images and the folds that it needs."""

    plan: StudyPlan
    images: ImageData
    folds: tuple[Indices, ...]

    @property
    def spec(self) -> StudySpec:
        """The study as its file says it."""
        return self.plan.spec

    @property
    def space(self) -> StudySpace:
        """The opened space."""
        return self.plan.space


def check_study(file: StudyFile, *, data_dir: Path) -> StudyPlan:
    """Make every check that needs no images, and return the study's plan.

    Raises InputError at the file and line, and writes nothing; warns of trials that cannot teach
    anything, and of folds that allow no verdict. The study's plugins must be loaded. Weights that
    models start from are fetched here, not by every worker.
    """
    spec = file.spec
    _check_dataset_name(file)
    if isinstance(spec.space, SpaceSpec):
        check_space(spec.space, file.document, prefix=("space",))
    _check_baseline_names(file)
    space = open_space(file.spec)
    with _located(file):
        plan = plan_study(spec, space)
        facts = describe_dataset(request_data(spec.dataset), data_dir)
        _check_channels(spec, facts)
        _check_confusions(spec, facts)
        check_code(spec, num_classes=facts.num_classes)
    check_models_fit(file, plan, facts)
    for warning in (*budget_warnings(plan), *verdict_warnings(spec)):
        logger.warning(warning)
    return plan


def prepare_study(
    file: StudyFile, *, data_dir: Path, on_progress: Progress | None = None
) -> PreparedStudy:
    """Check a study as ``check_study`` does, then read its images and split them into folds.

    Warns of rare classes, and of images that are on both sides of a split.

    ``on_progress`` is told how many image files are decoded.
    """
    plan = check_study(file, data_dir=data_dir)
    images, folds = read_images(file, data_dir=data_dir, on_progress=on_progress)
    for warning in image_warnings(file.spec, images, folds):
        logger.warning(escape_line(warning))
    return PreparedStudy(plan=plan, images=images, folds=folds)


def read_images(
    file: StudyFile, *, data_dir: Path, on_progress: Progress | None = None
) -> tuple[ImageData, tuple[Indices, ...]]:
    """Read a study's images and split them into folds. The study's plugins must be loaded."""
    spec = file.spec
    _check_dataset_name(file)
    with _located(file):
        images = load_dataset(request_data(spec.dataset), data_dir, on_progress=on_progress)
        folds = folds_of(images, num_folds=spec.validation.folds, seed=spec.search.seed)
    return images, folds


def request_data(dataset: DatasetSpec) -> DatasetRequest:
    """Return the request for a dataset as the data layer takes it."""
    return DatasetRequest(
        name=dataset.name,
        root=None if dataset.root is None else Path(dataset.root),
        columns=dataset.columns,
        size=dataset.size,
        fit=dataset.fit,
        skip_broken=dataset.skip_broken,
        limit=dataset.limit,
    )


def open_space(spec: StudySpec) -> StudySpace:
    """Return a study's space, whether a file or a Python function defines it."""
    return SpecSpace(spec) if isinstance(spec.space, SpaceSpec) else CallableSpace(spec)


def _check_dataset_name(file: StudyFile) -> None:
    name = file.spec.dataset.name
    if name not in list_datasets():
        raise InputError(
            "must be a known dataset",
            where=_dataset_place(file),
            found=name,
            remedy=did_you_mean(name, list_datasets()),
        )


def _dataset_place(file: StudyFile) -> str:
    nested = isinstance(file.document.data.get("dataset"), dict)
    return file.document.where(("dataset", "name") if nested else ("dataset",))


def _check_baseline_names(file: StudyFile) -> None:
    baselines = file.spec.baselines
    grid = file.document.where(("baselines", "architectures"))
    for name in baselines.architectures:
        by_hand = [scheme for scheme in baselines.schemes if scheme != "DT"]
        _check_baseline(name, by_hand, grid, "Set baselines.schemes to [DT]")
    for index, row in enumerate(baselines.rows):
        where = file.document.where(("baselines", "rows", index, "architecture"))
        by_hand = [row.scheme] if row.scheme != "DT" else []
        _check_baseline(row.architecture, by_hand, where, "Leave its scheme out")


def _check_baseline(name: str, by_hand: Sequence[str], where: str, remedy: str) -> None:
    if name not in list_families():
        hint = did_you_mean(name, list_families())
        raise InputError("must be a known family", where=where, found=name, remedy=hint)
    if by_hand and get_family(name).first_conv is None:
        raise InputError(
            f"{name} has no first conv layer to set by hand, so it cannot have schemes "
            f"{' and '.join(by_hand)}",
            where=where,
            remedy=f"{remedy}, or choose another architecture",
        )


def _check_confusions(spec: StudySpec, facts: DatasetFacts) -> None:
    """Refuse published confusions of classes that the dataset doesn't have."""
    known = facts.class_names or tuple(map(str, range(facts.num_classes)))
    for index, row in enumerate(() if spec.published is None else spec.published.rows):
        for name in row.confusion or ():
            if name not in known:
                raise InputError(
                    f"must be a class of {spec.dataset.name}",
                    where=("published", "rows", index, "confusion"),
                    found=name,
                    remedy=did_you_mean(name, known),
                )


def _check_channels(spec: StudySpec, facts: DatasetFacts) -> None:
    channels = facts.image_shape[0]
    if spec.dataset.normalize == "imagenet" and channels != 3:
        raise InputError(
            "cannot be imagenet, which has means for three colour channels: the images have "
            f"{channels}",
            where=("dataset", "normalize"),
            remedy="Use standard, half or unit",
        )


@contextmanager
def _located(file: StudyFile) -> Iterator[None]:
    """Add the file and line to an error that names a field of the study only."""
    try:
        yield
    except InputError as error:
        if isinstance(error.where, str):
            raise
        raise error.at(file.document.where(error.where)) from error

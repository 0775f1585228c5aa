"""What ``study new`` checks before it writes: all that a run would, short of reading images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.config.documents import Document
    from searchlab.config.study import StudySpec
    from searchlab.data import DatasetFacts

__all__ = ["check_study"]


def check_study(spec: StudySpec, document: Document, *, folder: Path) -> None:
    """Raise InputError for names that are not known, or parts that do not fit one another.

    ``folder`` is the study file's, where its relative paths start. Plugins must be loaded.
    """
    from searchlab.config.space import SpaceSpec
    from searchlab.study.space_check import check_space

    facts = _describe_dataset(spec, document, folder)
    _check_baselines(spec, document)
    if not isinstance(spec.space, SpaceSpec):
        return  # a Python function is called only when the study runs
    check_space(spec.space, document, prefix=("space",))

    from searchlab.config.loading import StudyFile
    from searchlab.study.fit_check import check_models_fit
    from searchlab.study.plan import plan_baselines, plan_search
    from searchlab.study.spaces import SpecSpace

    space = SpecSpace(spec)
    plan_baselines(spec, space)  # raises where one lies outside the space
    plan_search(spec)  # or a grid is too large, or a reference point wrong
    check_models_fit(StudyFile(spec=spec, document=document), space, facts)


def _describe_dataset(spec: StudySpec, document: Document, folder: Path) -> DatasetFacts:
    from searchlab.data import DatasetRequest, describe_dataset, list_datasets, resolve_data_dir
    from searchlab.errors import did_you_mean

    dataset = spec.dataset
    if dataset.name not in list_datasets():
        raise InputError(
            "must be a known dataset",
            where=document.where(("dataset", "name")),
            found=dataset.name,
            remedy=did_you_mean(dataset.name, list_datasets()),
        )
    request = DatasetRequest(
        name=dataset.name,
        # Resolved, for the study's folder may have to be made yet, and below it .. leads nowhere.
        root=None if dataset.root is None else (folder / Path(dataset.root).expanduser()).resolve(),
        size=dataset.size,
        skip_broken=dataset.skip_broken,
        limit=dataset.limit,
    )
    facts = describe_dataset(request, resolve_data_dir(None))
    if dataset.normalize == "imagenet" and facts.image_shape[0] != 3:
        raise InputError(
            "cannot be imagenet for images of one channel, which has no means for them",
            where=document.where(("dataset", "normalize")),
            remedy="Use standard, half or unit",
        )
    return facts


def _check_baselines(spec: StudySpec, document: Document) -> None:
    from searchlab.errors import did_you_mean
    from searchlab.models import get_family, list_families

    where = document.where(("baselines", "architectures"))
    for name in spec.baselines.architectures:
        if name not in list_families():
            raise InputError("must name known families", where=where, found=name,
                             remedy=did_you_mean(name, list_families()))  # fmt: skip
        refused = [scheme for scheme in spec.baselines.schemes if scheme != "DT"]
        if get_family(name).first_conv is None and refused:
            raise InputError(
                f"cannot go with schemes {' and '.join(refused)}: {name} has no first convolution "
                "layer to set by hand",
                where=where,
                found=name,
                remedy="Give --schemes DT, or another family",
            )

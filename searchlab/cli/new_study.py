"""``searchlab study new``: a study file from flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, examples, split_names
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.config.documents import Document
    from searchlab.config.study import StudySpec

__all__ = ["EXAMPLES", "new"]

EXAMPLES = examples(
    "searchlab study new first --dataset digits --space spaces/cnn.yaml --trials 40",
    "searchlab study new fast --dataset usps --space spaces/mlp.yaml --trials 60 \\",
    "    --pruner hyperband --baselines a2 --schemes HF,DT --out studies/fast.yaml",
)


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A slug; the run will land in runs/NAME/.")
    ],
    *,
    dataset: Annotated[str, typer.Option(help="A dataset of `searchlab data list`.")],
    space: Annotated[str, typer.Option(metavar="FILE", help="A space file, or module:function.")],
    trials: Annotated[
        int | None,
        typer.Option(help="Search trials; grid and one_at_a_time may leave it out."),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="tpe, random, grid or one_at_a_time.", show_default="tpe"),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help="none, median, successive_halving or hyperband.", show_default="none"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs.", show_default="10")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Folds of baselines and finalists.", show_default="5")
    ] = None,
    search_folds: Annotated[
        int | None, typer.Option(help="Folds of search trials.", show_default="1")
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Baseline families; '' for none.", show_default="a1,a2"),
    ] = None,
    schemes: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Baseline schemes.", show_default="HF,HT,DT"),
    ] = None,
    top: Annotated[int | None, typer.Option(help="Finalists.", show_default="3")] = None,
    seed: Annotated[int | None, typer.Option(help="Study seed.", show_default="0")] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="studies/NAME.yaml")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Write a study file from flags.

    It is checked as a run would check it, and nothing is written where it is wrong.
    """
    path = out or Path("studies") / f"{name}.yaml"
    search = {"sampler": sampler, "pruner": pruner, "trials": trials, "seed": seed}
    rivals = {
        "architectures": _split(baselines, "--baselines"),
        "schemes": _split(schemes, "--schemes"),
    }
    fields = {
        "dataset": {"name": dataset},
        "space": _space_beside(space, path),
        "search": _given(search),
        "training": _given({"epochs": epochs}),
        "validation": _given({"folds": folds, "search_folds": search_folds}),
        "baselines": _given(rivals),
        "confirm": _given({"top": top}),
    }
    data = {"name": name, **{key: value for key, value in fields.items() if value}}
    _publish(data, space, path, force=force)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _split(text: str | None, option: str) -> list[str] | None:
    if text is None or not text:
        return None if text is None else []
    return split_names(text, option)


def _is_file(space: str) -> bool:
    return space.endswith((".yaml", ".yml"))


def _space_beside(space: str, path: Path) -> str:
    """Return the space as the study file must name it: relative to the study file."""
    return Path(os.path.relpath(space, path.parent)).as_posix() if _is_file(space) else space


def _publish(data: dict[str, Any], space: str, path: Path, *, force: bool) -> None:
    """Check the study as if it were read back, then write it."""
    from searchlab.config.documents import Document, dump_yaml, read_yaml
    from searchlab.config.study import StudySpec
    from searchlab.config.validation import validate_document

    document = Document(source="study new", data=data)
    if _is_file(space):
        document = document.with_embedded("space", read_yaml(Path(space)))
    spec = validate_document(StudySpec, document)  # the name is a slug from here on
    _check_names(spec, document)
    check_writable(path, force=force)
    write_file(path, dump_yaml(data))
    typer.echo(f"wrote {path}", err=True)
    typer.echo(f"run it with: searchlab study run {path}", err=True)


def _check_names(spec: StudySpec, document: Document) -> None:
    """Raise InputError for a dataset, family or scheme that is not known or does not fit."""
    from searchlab.config.space import SpaceSpec
    from searchlab.data import list_datasets
    from searchlab.errors import did_you_mean
    from searchlab.models import get_family, list_families
    from searchlab.study.space_check import check_space

    if spec.dataset.name not in list_datasets():
        raise InputError(
            "must be a known dataset",
            where=document.where(("dataset", "name")),
            found=spec.dataset.name,
            remedy=did_you_mean(spec.dataset.name, list_datasets()),
        )
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
    if isinstance(spec.space, SpaceSpec):
        from searchlab.study.plan import plan_baselines
        from searchlab.study.spaces import SpecSpace

        check_space(spec.space, document, prefix=("space",))
        plan_baselines(spec, SpecSpace(spec))  # raises where one lies outside the space

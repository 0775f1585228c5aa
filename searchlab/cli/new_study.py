"""``searchlab study new``: a study file from flags, made of the study's own fields."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.completion import complete_setting
from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, PluginOption, RunsDirOption, examples
from searchlab.cli.spec_flags import Flag, flag_of_field, read_value
from searchlab.cli.warm_start import WarmStartOption, warm_started

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["EXAMPLES", "make_flags", "new"]

EXAMPLES = examples(
    "searchlab study new toy --dataset digits --space cnn --trials 40",
    "searchlab study new fast --dataset usps --space spaces/mlp.yaml \\",
    "    --trials 60 --pruner hyperband --baselines a2 --schemes HF,DT",
    "searchlab study new small --dataset digits --space spaces/mlp.yaml \\",
    "    --trials 60 --sampler nsga2 --objective accuracy,parameters",
    "searchlab study new photos --dataset folder --root ~/photos --size 64 \\",
    "    --space spaces/cnn.yaml --trials 40 --augment flip+crop",
)

# The fields that have a flag. A flag has its field's name, unless _NAMES gives another.
_PLACES = (
    "dataset.name", "dataset.root", "dataset.size", "dataset.fit", "dataset.normalize", "space",
    "objective", "robustness", "search.trials", "search.sampler", "search.pruner", "search.seed",
    "training.epochs", "training.lr", "training.batch_size", "training.optimizer",
    "training.schedule", "training.augment", "validation.folds", "validation.search_folds",
    "baselines.architectures", "baselines.schemes", "confirm.top",
)  # fmt: skip
_NAMES = {"dataset.name": "dataset", "baselines.architectures": "baselines"}


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A slug; the results go to runs/NAME/.")
    ],
    *,
    plugins: PluginOption = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            show_default=False,
            autocompletion=complete_setting,
            help="Any other field: training.weight_decay=1e-4; may be repeated.",
        ),
    ] = None,
    warm_start: WarmStartOption = None,
    runs_dir: RunsDirOption = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="studies/NAME.yaml")
    ] = None,
    force: ForceOption = False,
    **flags: Any,
) -> None:
    """Write a study file from flags.

    Training flags set what the space does not search, and what baselines use. A space that comes
    with searchlab is given by its name, and copied into the file. The study is checked as a run
    would check it; if it is wrong, nothing is written.
    """
    path = out or Path("studies") / f"{name}.yaml"
    data: dict[str, Any] = {"name": name}
    if plugins:
        data["plugins"] = [_beside(one, path) if one.endswith(".py") else one for one in plugins]
    for place, field in _find_fields():
        flag = _name_flag(place)
        if flags[flag] is not None:
            value = read_value(flags[flag], field, f"--{flag.replace('_', '-')}")
            if place == "dataset.root":
                value = _beside(value, path)
            elif place == "space":
                value = _choose_space(value, path)
            section, _, last = place.rpartition(".")
            (data.setdefault(section, {}) if section else data)[last] = value
    data.setdefault("training", {})["precision"] = "auto"
    _publish(data, fields or [], path, force=force, earlier=(warm_start or [], runs_dir))


def make_flags() -> Iterator[Flag]:
    """Yield a flag for each of the fields that a first study needs."""
    for place, field in _find_fields():
        yield flag_of_field(_name_flag(place), field)


def _find_fields() -> Iterator[tuple[str, FieldInfo]]:
    from searchlab.config.study import StudySpec

    for place in _PLACES:
        *sections, last = place.split(".")
        spec: Any = StudySpec
        for section in sections:
            spec = spec.model_fields[section].annotation
        yield place, spec.model_fields[last]


def _name_flag(place: str) -> str:
    return _NAMES.get(place) or place.rpartition(".")[2]


def _choose_space(given: str, path: Path) -> str | dict[str, Any]:
    """Return a space as the study file must name it, or the whole of one that searchlab brings."""
    from searchlab.config.documents import read_yaml
    from searchlab.config.shipped import find_space

    if ":" in given:
        return given  # a Python function
    found = find_space(given)
    if found == Path(given) or not found.is_absolute():
        return _beside(str(found), path)
    return read_yaml(found).data


def _beside(given: str, path: Path) -> str:
    """Return a path as the study file must name it: relative to the study file."""
    if given.startswith(("~", "${")) or Path(given).is_absolute():
        return given
    return Path(os.path.relpath(given, path.parent)).as_posix()


def _publish(
    data: dict[str, Any],
    fields: list[str],
    path: Path,
    *,
    force: bool,
    earlier: tuple[list[str], Path | None],
) -> None:
    """Check the study as a run would, then write it; ``earlier`` has the runs that warm it."""
    from searchlab.config.documents import Document, dump_yaml
    from searchlab.config.loading import make_study
    from searchlab.config.plugins import load_plugins
    from searchlab.data import resolve_data_dir
    from searchlab.study.preparation.prepared_study import check_study

    document = Document(source="study new", data=data).with_overrides(fields)
    _choose_search(document.data)
    # What --set says goes into the file as it is, so its paths start where the file's do.
    file = make_study(
        document, folder=path.parent, option_folder=path.parent, environment=os.environ
    )
    if earlier[0]:
        spec = warm_started(file.spec, *earlier)
        points = [dict(point) for point in spec.search.warm_start]
        document.data.setdefault("search", {})["warm_start"] = points
        file = replace(file, spec=spec)
    load_plugins(file.spec.plugins)
    check_study(file, data_dir=resolve_data_dir(None))
    check_writable(path, force=force)
    write_file(path, dump_yaml(document.data))
    typer.echo(f"Wrote {path}. Run it with: searchlab study run {path}", err=True)


def _choose_search(data: dict[str, Any]) -> None:
    """Stop trials that fall behind and start from the portfolio, unless the flags say otherwise."""
    from searchlab.config.samplers import SAMPLERS

    objective, search = data.get("objective"), data.setdefault("search", {})
    if (isinstance(objective, list) and len(objective) > 1) or not isinstance(search, dict):
        return  # no pruner weighs several objectives
    sampler = SAMPLERS.get(search.get("sampler", "auto"))
    if sampler is not None and not sampler.planned:
        search.setdefault("pruner", "halving")
        if sampler.has_reference_start:
            search.setdefault("start", "portfolio")

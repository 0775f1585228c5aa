"""``searchlab study new``: a study file from flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, PluginOption, examples, split_names

__all__ = ["EXAMPLES", "new"]

EXAMPLES = examples(
    "searchlab study new first --dataset digits --space spaces/cnn.yaml --trials 40",
    "searchlab study new fast --dataset usps --space spaces/mlp.yaml --trials 60 \\",
    "    --pruner hyperband --baselines a2 --schemes HF,DT --out studies/fast.yaml",
    "searchlab study new small --dataset digits --space spaces/architectures.yaml --trials 60 \\",
    "    --sampler nsga2 --objective accuracy,parameters --baselines a2",
    "searchlab study new photos --dataset folder --root ~/photos --size 64 \\",
    "    --space spaces/cnn.yaml --trials 40 --augment flip+crop --schedule cosine",
)


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A slug; the run will land in runs/NAME/.")
    ],
    *,
    dataset: Annotated[str, typer.Option(help="A dataset of `searchlab data list`.")],
    root: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Dataset folder: where its class folders are.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Side in pixels, for datasets of image files.", show_default="its own"),
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option(help="standard, unit, half or imagenet.", show_default="standard"),
    ] = None,
    space: Annotated[str, typer.Option(metavar="FILE", help="A space file, or module:function.")],
    plugins: PluginOption = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="accuracy or loss; after it robust_accuracy, parameters, multiply_adds, latency.",
            show_default="accuracy",
        ),
    ] = None,
    robustness: Annotated[
        str | None,
        typer.Option(
            metavar="ATTACK[:EPSILON]",
            help="Attack validation images too: fgsm:0.1 or pgd:0.1.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Search trials; grid and one_at_a_time may leave it out."),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="tpe, random, gp, cmaes, nsga2, qmc, evolution, grid or one_at_a_time.",
            show_default="tpe",
        ),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help="none, median, successive_halving or hyperband.", show_default="none"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs.", show_default="10")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default="1e-3")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per training step.", show_default="128")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, adam, adamw or rmsprop.", show_default="adam")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="constant, cosine, step or one_cycle.", show_default="constant"),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="flip, rotate, jitter, crop, cutout, joined by +.", show_default="none"),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Folds of baselines and finalists.", show_default="5")
    ] = None,
    search_folds: Annotated[
        int | None, typer.Option(help="Folds of search trials.", show_default="1")
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Baseline families, of `searchlab space families`; '' for none.",
            show_default="a1,a2",
        ),
    ] = None,
    schemes: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Baseline schemes.", show_default="HF,HT,DT"),
    ] = None,
    top: Annotated[int | None, typer.Option(help="Finalists.", show_default="3")] = None,
    seed: Annotated[int | None, typer.Option(help="Study seed.", show_default="0")] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            show_default=False,
            help="Any other field: training.weight_decay=1e-4; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="studies/NAME.yaml")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Write a study file from flags.

    Training flags say what the space does not search, and what baselines use. The study is checked
    as a run would check it, and nothing is written where it is wrong.
    """
    path = out or Path("studies") / f"{name}.yaml"
    images = {
        "name": dataset,
        "normalize": normalize,
        "root": None if root is None else _beside(root, path),
        "size": size,
    }
    training = {
        "epochs": epochs,
        "optimizer": optimizer,
        "lr": lr,
        "batch_size": batch_size,
        "schedule": schedule,
        "augment": augment,
    }
    rivals = {
        "architectures": _split(baselines, "--baselines"),
        "schemes": _split(schemes, "--schemes"),
    }
    sections = {
        "plugins": [_beside(one, path) if one.endswith(".py") else one for one in plugins or ()],
        "dataset": _given(images),
        "space": _beside(space, path) if _is_file(space) else space,
        "objective": _list_objectives(objective or []),
        "robustness": _parse_attack(robustness),
        "search": _given({"sampler": sampler, "pruner": pruner, "trials": trials, "seed": seed}),
        "training": _given(training),
        "validation": _given({"folds": folds, "search_folds": search_folds}),
        "baselines": _given(rivals),
        "confirm": _given({"top": top}),
    }
    data = {"name": name, **{key: value for key, value in sections.items() if value}}
    _publish(data, fields or [], path, force=force)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _split(text: str | None, option: str) -> list[str] | None:
    if text is None or not text:
        return None if text is None else []
    return split_names(text, option)


def _list_objectives(texts: list[str]) -> Any:
    """Return ``objective`` as a file has it: nothing, one mapping, or a list of them."""
    named = [{"metric": name} for text in texts for name in split_names(text, "--objective")]
    return named[0] if len(named) == 1 else named


def _parse_attack(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    from searchlab.config.documents import parse_scalar_or_tree

    attack, colon, epsilon = text.partition(":")
    if not colon:
        return {"attack": attack}
    return {"attack": attack, "epsilon": parse_scalar_or_tree(epsilon, source="--robustness")}


def _is_file(space: object) -> bool:
    return isinstance(space, str) and space.endswith((".yaml", ".yml"))


def _beside(given: str, path: Path) -> str:
    """Return a path as the study file must name it: relative to the study file."""
    if given.startswith("~") or Path(given).is_absolute():
        return given
    return Path(os.path.relpath(given, path.parent)).as_posix()


def _publish(data: dict[str, Any], fields: list[str], path: Path, *, force: bool) -> None:
    """Check the study as a run would, then write it."""
    from searchlab.config.documents import Document, dump_yaml
    from searchlab.config.loading import make_study
    from searchlab.config.plugins import load_plugins
    from searchlab.data import resolve_data_dir
    from searchlab.study.preparation.prepared_study import check_study

    document = Document(source="study new", data=data).with_overrides(fields)
    # What --set says goes into the file as it is, so its paths start where the file's do.
    file = make_study(document, folder=path.parent, option_folder=path.parent)
    load_plugins(file.spec.plugins)
    check_study(file, data_dir=resolve_data_dir(None))
    check_writable(path, force=force)
    write_file(path, dump_yaml(document.data))
    typer.echo(f"wrote {path}", err=True)
    typer.echo(f"run it with: searchlab study run {path}", err=True)

"""``searchlab train``: one configuration on all training images, exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.export import Format, FormatOption, ToOption, print_model
from searchlab.cli.options import DataDirOption, JsonOption, PluginOption, examples

if TYPE_CHECKING:
    from searchlab.config.configuration import ConfigurationSpec

__all__ = ["EXAMPLES", "train"]

EXAMPLES = examples(
    "searchlab train best.yaml --to digits-model",
    "searchlab train best.yaml --dataset ~/photos --size 64 --to photos-model",
)


def train(
    configuration: Annotated[
        Path,
        typer.Argument(metavar="BEST.yaml", help="Configuration that `study best` printed."),
    ],
    *,
    to: ToOption,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME|PATH",
            help="Dataset, or a folder with a folder of images for each class.",
            show_default="the configuration's",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels, for datasets of image files.", show_default="the configuration's"
        ),
    ] = None,
    model_format: FormatOption = Format.safetensors,
    plugins: PluginOption = None,
    data_dir: DataDirOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train one configuration on all training images, and export it.

    No folds are held out: training ends with the configuration's last_epoch, which its study's
    folds chose, or else with training.epochs. The model meets the test set once, at the end.
    """
    from searchlab.cli.decoding_progress import make_decoding_progress
    from searchlab.cli.epoch_progress import epoch_progress
    from searchlab.config.plugins import load_plugins
    from searchlab.data import resolve_data_dir
    from searchlab.deployment.model_files import check_installed
    from searchlab.deployment.model_folder import check_free
    from searchlab.report.configuration_training import choose_dataset, train_configuration

    check_free(to)
    check_installed(model_format.value, where=f"--format {model_format.value}")
    spec = _read(configuration)
    named = (
        *load_plugins(spec.plugins, base=configuration.parent),
        *load_plugins(plugins or ()),
    )
    spec = spec.model_copy(update={"plugins": tuple(dict.fromkeys(named))})
    chosen = choose_dataset(spec, dataset, size)
    with epoch_progress(f"{spec.model.family} on {chosen.name}", quiet=quiet) as on_epoch:
        written = train_configuration(
            spec,
            chosen,
            to,
            model_format=model_format.value,
            data_dir=resolve_data_dir(data_dir),
            on_decoding=make_decoding_progress(quiet),
            on_epoch=on_epoch,
        )
    print_model(written, to, as_json=as_json)


def _read(path: Path) -> ConfigurationSpec:
    """Read a configuration; its relative paths start at its file. Raises InputError."""
    from searchlab.config.configuration import ConfigurationSpec
    from searchlab.config.documents import read_yaml
    from searchlab.config.relative_paths import absolute_path
    from searchlab.config.validation import validate_document

    document = read_yaml(path)
    data = dict(document.data)
    if isinstance(data.get("weights"), str):
        data["weights"] = absolute_path(data["weights"], path.parent)
    own = data.get("dataset")
    if isinstance(own, dict) and isinstance(own.get("root"), str):
        data["dataset"] = {**own, "root": absolute_path(own["root"], path.parent)}
    return validate_document(ConfigurationSpec, replace(document, data=data))

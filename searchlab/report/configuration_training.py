"""Training one configuration on all training images, outside any study, and exporting it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from searchlab.config.configuration import ConfigurationSpec
from searchlab.config.dataset import DatasetSpec
from searchlab.config.metrics import DEFAULT_METRIC
from searchlab.config.relative_paths import absolute_path
from searchlab.config.trial import TrialConfig
from searchlab.data import ImageData, list_datasets, load_dataset
from searchlab.data.decoding import Progress
from searchlab.data.folder_listing import is_folder
from searchlab.deployment.classifier import build_classifier
from searchlab.deployment.description import ModelDescription, ModelFormat
from searchlab.deployment.model_files import FILE_NAMES
from searchlab.deployment.model_folder import NewModel, check_free, write_model_folder
from searchlab.engine.devices import choose_device
from searchlab.engine.precision import choose_precision
from searchlab.errors import InfrastructureError, InputError, SearchlabError, did_you_mean
from searchlab.report.model_card import describe_trained_model
from searchlab.report.model_export import pack_plugins
from searchlab.report.trained_model import describe_input, name_classes
from searchlab.study.preparation.prepared_study import request_data
from searchlab.training.cohort import Cohort
from searchlab.training.failures import describe_failure
from searchlab.training.images import Normalizer, TrainingData
from searchlab.training.process import repeatable
from searchlab.training.results import EpochResult
from searchlab.version import __version__

__all__ = ["choose_dataset", "train_configuration"]

_FOLDER = "folder"


def choose_dataset(
    configuration: ConfigurationSpec, option: str | None, size: int | None
) -> DatasetSpec:
    """Return the dataset that ``--dataset`` names, or else the configuration does.

    Raises InputError if neither does, or the option is neither a dataset nor a folder.
    """
    own = configuration.dataset
    if option is None:
        if own is None:
            raise InputError(
                "is required: the configuration names no dataset",
                where="--dataset",
                remedy="Give the name of a dataset, or a folder of images",
            )
        return own if size is None else own.model_copy(update={"size": size})
    normalize = "standard" if own is None else own.normalize
    if option in list_datasets():
        known = own if own is not None and own.name == option else DatasetSpec(name=option)
        return DatasetSpec(name=option, size=size or known.size, fit=known.fit, normalize=normalize)
    if not is_folder(Path(option)):
        raise InputError(
            "must be the name of a dataset, or a folder of images",
            where="--dataset",
            found=option,
            remedy=did_you_mean(option, list_datasets()),
        )
    return DatasetSpec(
        name=_FOLDER,
        root=absolute_path(option, Path.cwd()),
        size=size or (None if own is None else own.size),
        fit="crop" if own is None else own.fit,
        normalize=normalize,
    )


def train_configuration(
    configuration: ConfigurationSpec,
    dataset: DatasetSpec,
    to: Path,
    *,
    model_format: ModelFormat,
    data_dir: Path,
    on_decoding: Progress | None = None,
    on_epoch: Callable[[int, int], None] = lambda _done, _total: None,
) -> ModelDescription:
    """Train on all training images of a dataset, test once, and write the model's folder.

    The plugins must be loaded. ``on_epoch`` is told how many epochs are trained, and of how many.
    Raises InputError for bad input, SearchlabError if training diverges, InfrastructureError if
    memory or the GPU fails; then nothing is written.
    """
    check_free(to)
    request = request_data(dataset)
    images = load_dataset(request, data_dir, on_progress=on_decoding)
    if configuration.training.precision == "auto":
        training = configuration.training.changed({"precision": choose_precision()})
        configuration = configuration.model_copy(update={"training": training})
    config = configuration.to_trial(dataset)
    ended, weights = _train(config, images, on_epoch)
    assert ended.test is not None
    taken = describe_input(images, config)
    title = f"{config.model.family} on {dataset.title}"
    classes = name_classes(request, data_dir, images)
    plugins, sources = pack_plugins(configuration.plugins)
    new = NewModel(
        description=ModelDescription(
            title=title,
            format=model_format,
            file=FILE_NAMES[model_format],
            input=taken,
            classes=classes,
            config=config,
            plugins=plugins,
            searchlab=__version__,
        ),
        classifier=build_classifier(
            config,
            weights,
            Normalizer.of(taken.mean, taken.std, device=torch.device("cpu")),
            image_shape=images.image_shape,
            num_classes=images.num_classes,
            where=title,
        ),
        test_images=images.test_images,
        test_labels=images.test_labels,
        recorded_accuracy=ended.test[DEFAULT_METRIC],
        sources=sources,
    )
    used = configuration.model_copy(update={"dataset": dataset})
    figures = ended.test
    return write_model_folder(
        to, new, lambda tested: describe_trained_model(tested, used, images, figures)
    )


def _train(
    config: TrialConfig, images: ImageData, on_epoch: Callable[[int, int], None]
) -> tuple[EpochResult, dict[str, torch.Tensor]]:
    """Train to the last epoch; return its result, and the weights on the CPU."""
    num_epochs = min(config.last_epoch or config.settings.epochs, config.settings.epochs)
    device = choose_device("auto")
    with repeatable(torch.get_num_threads(), device):
        try:
            data = TrainingData.from_images(images, (), device)
            cohort = Cohort(config, data)
            result = _run_to_end(cohort, num_epochs, on_epoch)
        except (RuntimeError, MemoryError) as error:
            failure = describe_failure(error)
            if failure.kind not in ("oom", "device"):
                raise
            raise InfrastructureError(f"training failed: {failure.message}") from error
    assert cohort.best_weights is not None
    return result, {name: tensor.cpu() for name, tensor in cohort.best_weights.items()}


def _run_to_end(
    cohort: Cohort, num_epochs: int, on_epoch: Callable[[int, int], None]
) -> EpochResult:
    while True:
        result = cohort.run_epoch()
        if result.diverged:
            raise SearchlabError(
                f"training diverged in epoch {result.epoch}: the loss is not finite. Nothing was "
                "written; try a smaller training.lr"
            )
        on_epoch(result.epoch, num_epochs)
        if result.done:
            return result

"""Writing a model's folder: complete and checked, or absent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from searchlab.data.folder_listing import exists
from searchlab.data.image_data import Images, Labels
from searchlab.deployment.classifier import Classifier
from searchlab.deployment.description import DESCRIPTION_FILE, ModelDescription, TestFigure
from searchlab.deployment.loaded_models import LoadedModel, Logits, load_exported
from searchlab.deployment.model_files import write_classifier
from searchlab.errors import InputError, SearchlabError
from searchlab.training.durable_files import unique_word, write_bytes

__all__ = ["CARD_FILE", "NewModel", "check_free", "write_model_folder"]

CARD_FILE = "README.md"

_LOGIT_TOLERANCE = 1e-5
# A GPU, another number of threads or TF32 rounds otherwise, and bfloat16 keeps 8 bits: a few images
# that lie between two classes change sides.
_TOLERANCES = {"float32": 0.002, "bfloat16": 0.01, "float16": 0.005}
_MIN_IMAGES_APART = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewModel:
    """A model to write. ``sources`` are those of its plugins, by their file in the folder.

    ``recorded_accuracy`` is what the file must have on the test images; None if none is recorded.
    """

    description: ModelDescription
    classifier: Classifier
    test_images: Images
    test_labels: Labels
    recorded_accuracy: float | None
    sources: Mapping[str, str] = field(default_factory=dict)


def check_free(to: Path) -> None:
    """Raise InputError if a file or folder is at the place of a new folder."""
    if exists(to) or to.is_symlink():
        raise InputError(
            "already exists, and an exported model is never overwritten",
            where=str(to),
            remedy="Choose another folder with --to",
        )


def write_model_folder(
    to: Path, new: NewModel, write_card: Callable[[ModelDescription], str]
) -> ModelDescription:
    """Write a new folder with the model, its description, its card and its plugins' sources.

    The written file is read back and meets the test images before the folder gets its name. Raises
    InputError if ``to`` exists or cannot be written, SearchlabError if the file answers otherwise
    than the network, or is not as accurate as recorded; then nothing is there.
    """
    check_free(to)
    beside = to.with_name(f".{to.name}.{unique_word()}.partial")
    try:
        beside.mkdir(parents=True)
        description = _fill(beside, new, write_card)
        check_free(to)
        beside.rename(to)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror or error}",
            where=str(to),
            remedy="Choose another folder with --to",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return description


def _fill(
    folder: Path, new: NewModel, write_card: Callable[[ModelDescription], str]
) -> ModelDescription:
    description = new.description
    path = folder / description.file
    write_classifier(
        new.classifier,
        description.input.shape,
        path,
        model_format=description.format,
        metadata={DESCRIPTION_FILE: description.to_json()},
    )
    _write_text(folder / DESCRIPTION_FILE, description.to_json())
    tested = replace(description, test=_test(load_exported(folder), new))
    _write_text(folder / DESCRIPTION_FILE, tested.to_json())
    _write_text(folder / CARD_FILE, write_card(tested))
    for name, source in new.sources.items():
        (folder / name).parent.mkdir(exist_ok=True)
        _write_text(folder / name, source)
    return tested


def _write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode(errors="surrogateescape"))


def _test(loaded: LoadedModel, new: NewModel) -> TestFigure:
    """Check the file against the network and the record, in batches of several sizes."""
    images, labels = new.test_images, new.test_labels
    logits = loaded.logits(images)
    _check_same(loaded, loaded.answer(images[:1]), new.classifier, images[:1])
    _check_same(loaded, logits, new.classifier, images)
    num_right = int((logits.argmax(1) == labels).sum())
    figure = TestFigure(
        accuracy=num_right / len(labels),
        recorded_accuracy=new.recorded_accuracy,
        num_images=len(labels),
    )
    _check_as_recorded(loaded.description, figure)
    return figure


@torch.inference_mode()
def _check_same(
    loaded: LoadedModel, logits: Logits, classifier: Classifier, images: Images
) -> None:
    """Raise SearchlabError unless the file's logits are the network's, but for rounding."""
    step = loaded.batch_size
    for start in range(0, len(images), step):
        wanted = classifier(torch.from_numpy(np.array(images[start : start + step]))).numpy()
        apart = float(np.abs(logits[start : start + step] - wanted).max())
        allowed = _LOGIT_TOLERANCE * max(1.0, float(np.abs(wanted).max()))
        if not apart <= allowed:  # NaN is not
            raise SearchlabError(
                f"the {loaded.description.format} file answers otherwise than the network: its "
                f"logits are up to {apart:.2g} apart, and {allowed:.1g} is rounding. Nothing was "
                "written; choose another --format"
            )


def _check_as_recorded(description: ModelDescription, figure: TestFigure) -> None:
    if figure.recorded_accuracy is None:
        return
    apart = abs(figure.accuracy - figure.recorded_accuracy)
    share = _TOLERANCES[description.config.settings.precision]
    if apart > max(share, _MIN_IMAGES_APART / figure.num_images) + 1e-9:
        raise SearchlabError(
            f"{description.title} has {100 * figure.accuracy:.2f} % test accuracy once exported, "
            f"and {100 * figure.recorded_accuracy:.2f} % in the study's record. Nothing was "
            "written: the model file, a plugin or the preprocessing is not what was trained"
        )

"""Classifying image files with an exported model, decoded as its training images were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchlab.data.array_file import read_array_images
from searchlab.data.decoding import Progress
from searchlab.data.image_data import Images
from searchlab.data.single_images import Unreadable, read_images
from searchlab.deployment.description import ImageInput
from searchlab.deployment.loaded_models import LoadedModel, Logits
from searchlab.errors import InputError

__all__ = ["Prediction", "check_takes_files", "classify_array", "classify_files"]

_GREY, _RGB = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A file's likeliest classes with their probabilities, the first the likeliest.

    If it could not be classified there are none, and ``fault`` is the rule that it breaks.
    """

    path: Path
    ranked: tuple[tuple[str, float], ...] = ()
    fault: str | None = None


def check_takes_files(taken: ImageInput, *, where: str) -> None:
    """Raise InputError if a model takes images that no file gives."""
    if taken.channels not in (_GREY, _RGB):
        raise InputError(
            f"takes images of {taken.channels} channels, and image files give 1 (grey) or 3",
            where=where,
            remedy="Give them as an array: a .npy file of shape [N, C, H, W]",
        )
    if taken.height != taken.width:
        raise InputError(
            f"takes images of {taken.height}x{taken.width}, and files are made square",
            where=where,
            remedy="Give them as an array: a .npy file of shape [N, C, H, W]",
        )


def classify_array(model: LoadedModel, file: Path, *, top: int) -> Iterator[Prediction]:
    """Classify the images of a ``.npy`` file; yield the ``top`` classes of each, in order.

    Raises InputError if it does not hold images that the model takes.
    """
    taken, step = model.description.input, model.batch_size
    images = read_array_images(file, shape=taken.shape, value_range=taken.value_range)
    for start in range(0, len(images), step):
        ranked = _rank(model, model.answer(images[start : start + step]), top)
        for number, answer in enumerate(ranked, start=start):
            yield Prediction(path=Path(f"{file}[{number}]"), ranked=answer)


def classify_files(
    model: LoadedModel, paths: Sequence[Path], *, top: int, on_progress: Progress
) -> Iterator[Prediction]:
    """Classify files, a batch at a time; yield the ``top`` classes of each, in order."""
    taken, step = model.description.input, model.batch_size
    for start in range(0, len(paths), step):
        on_progress(start, len(paths))
        batch = paths[start : start + step]
        decoded = read_images(batch, size=taken.height, fit=taken.fit, bits=taken.bits)
        found = [_to_channels(image, taken) for image in decoded]
        readable = [image for image in found if not isinstance(image, Unreadable)]
        answers = iter(_rank(model, model.answer(np.stack(readable)), top) if readable else ())
        for path, image in zip(batch, found, strict=True):
            if isinstance(image, Unreadable):
                yield Prediction(path=path, fault=image.rule)
            else:
                yield Prediction(path=path, ranked=next(answers))
    on_progress(len(paths), len(paths))


def _to_channels(image: Images | Unreadable, taken: ImageInput) -> Images | Unreadable:
    """Return an image's only channel for a model of grey images, which takes no colours."""
    if isinstance(image, Unreadable) or taken.channels == _RGB:
        return image
    if (image == image[:1]).all():
        return image[:1]
    return Unreadable("is a colour image, and this model takes grey ones: make it grey first")


def _rank(model: LoadedModel, logits: Logits, top: int) -> Iterator[tuple[tuple[str, float], ...]]:
    classes = model.description.classes
    probabilities = _softmax(logits)
    for row in probabilities:
        # Stable, so that of equals the first class comes first, as in argmax.
        order = np.argsort(-row, kind="stable")[:top]
        yield tuple((classes[index], float(row[index])) for index in order)


def _softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    powers = np.exp(shifted)
    quotients: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return quotients

"""Held-out predictions: what the models of a trial's folds say of images that they never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from searchlab.data.folds import Indices
from searchlab.errors import InputError
from searchlab.training.durable_files import replace_file
from searchlab.training.metrics import Answers
from searchlab.training.tensor_file import write_tensors
from searchlab.training.trial_files import model_path

__all__ = [
    "HeldOut",
    "held_out_path",
    "is_held_out_kept",
    "read_held_out",
    "to_compact_logits",
    "write_held_out",
]

_FORMAT = "1"
_MOST_BYTES = 64 * 2**20  # of a trial's logits: 3,300,000 images of ten classes
_LEAST = -6e4  # float16 has no number below -65,504


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Log-probabilities [M, C] (float32) of the training images ``indices`` [M], in rising order.

    Each image is answered by the model of the one fold that held it out, as it was at the epoch at
    which the mean over the folds was best: so the choice of the epoch has seen these images, and
    nothing else has. A finalist has no models of the folds that its search trial trained, so their
    images are not among ``indices``. The distances from the greatest are precise to a thousandth.
    """

    indices: npt.NDArray[np.int64]
    log_probabilities: npt.NDArray[np.float32]


def held_out_path(models: Path, number: int) -> Path:
    """Return the path of trial ``number``'s held-out predictions, beside its model."""
    path = model_path(models, number)
    return path.with_name(f"{path.stem}-held-out{path.suffix}")


def is_held_out_kept(num_images: int, num_classes: int) -> bool:
    """Return whether the predictions of so many images are small enough to be kept."""
    return num_images * num_classes * torch.float16.itemsize <= _MOST_BYTES


def to_compact_logits(answers: Answers) -> Tensor:
    """Return the logits [N, C] of a model's answers, less the greatest of each image, as float16.

    So the greatest is exact, and those near it are the most precise.
    """
    logits = answers.logits.float()
    return (logits - logits.amax(1, keepdim=True)).clamp(min=_LEAST).half()


def write_held_out(path: Path, predicted: Mapping[int, Tensor], folds: tuple[Indices, ...]) -> None:
    """Write each fold's compact logits of the images that it holds out. Raises OSError.

    The file is written whole or not at all.
    """
    indices = torch.from_numpy(np.concatenate([folds[fold] for fold in predicted]))
    order = torch.argsort(indices)
    logits = torch.cat([values.cpu() for values in predicted.values()])
    tensors = {"indices": indices[order].int(), "logits": logits[order]}
    replace_file(path, lambda beside: write_tensors(beside, tensors, {"format": _FORMAT}))


def read_held_out(path: Path, *, num_images: int, num_classes: int) -> HeldOut | None:
    """Return what ``write_held_out`` wrote for so many training images and classes.

    None if there is no file: of a trial of an earlier version, of one that was resumed after it, or
    because there was too much to keep. Raises InputError if the file holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            indices = file.get_tensor("indices").long().numpy()
            logits = file.get_tensor("logits").float()
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        raise _refuse(path, str(error)) from error
    if indices.ndim != 1 or logits.shape != (len(indices), num_classes):
        shapes = f"{indices.shape} and {tuple(logits.shape)}"
        raise _refuse(path, f"its arrays have the shapes {shapes}, with {num_classes} classes")
    is_rising = len(indices) > 0 and bool((np.diff(indices) > 0).all())
    if not is_rising or indices[0] < 0 or indices[-1] >= num_images:
        raise _refuse(path, f"its images are not of the {num_images:,} to train on, each once")
    if not torch.isfinite(logits).all():
        raise _refuse(path, "its logits are not finite")
    return HeldOut(indices=indices, log_probabilities=torch.log_softmax(logits, 1).numpy())


def _refuse(path: Path, reason: str) -> InputError:
    return InputError(
        f"does not hold a trial's predictions for this study's images ({reason})", where=str(path)
    )

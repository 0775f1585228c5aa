"""Reading an exported model: each format answers alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from searchlab.data.image_data import Images
from searchlab.deployment.classifier import build_classifier
from searchlab.deployment.description import ModelDescription, read_description
from searchlab.deployment.model_files import INPUT_NAME, check_installed
from searchlab.errors import InputError
from searchlab.training.images import Normalizer
from searchlab.training.inference import evaluation_batch

__all__ = ["Answer", "LoadedModel", "Logits", "load_exported"]

Logits = NDArray[np.float32]
Answer = Callable[[Images], Logits]
"""Returns logits [B, classes] for pixels [B, C, H, W]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """An exported model, ready to answer. ``answer`` takes a batch as large as memory allows."""

    description: ModelDescription
    answer: Answer

    @property
    def batch_size(self) -> int:
        """How many images to answer at a time."""
        return evaluation_batch(self.description.input.shape)

    def logits(self, images: Images) -> Logits:
        """Return logits [N, classes] for pixels uint8 [N, C, H, W], a batch at a time."""
        step = self.batch_size
        batches = [images[start : start + step] for start in range(0, len(images), step)]
        return np.concatenate([self.answer(batch) for batch in batches])


def load_exported(folder: Path) -> LoadedModel:
    """Read the model in a folder. Raises InputError, also if its plugin is not loaded.

    No code of the folder runs: a plugin beside the model is only named.
    """
    description = read_description(folder)
    path = folder / description.file
    if not path.is_file():
        raise InputError("does not exist", where=str(path), remedy="Export the model again")
    read = {"safetensors": _read_safetensors, "onnx": _read_onnx, "torchscript": _read_torchscript}
    return LoadedModel(description=description, answer=read[description.format](path, description))


def _read_safetensors(path: Path, description: ModelDescription) -> Answer:
    try:
        tensors = load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    taken = description.input
    try:
        classifier = build_classifier(
            description.config,
            tensors,
            Normalizer.of(taken.mean, taken.std, device=torch.device("cpu")),
            image_shape=taken.shape,
            num_classes=len(description.classes),
            where=str(path),
        )
    except InputError as error:
        raise _explain_plugins(error, path.parent, description) from error
    return _answer_by(classifier)


def _read_torchscript(path: Path, _: ModelDescription) -> Answer:
    jit: Any = torch.jit
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is deprecated
            return _answer_by(jit.load(str(path), map_location="cpu"))
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error


def _answer_by(module: Callable[[torch.Tensor], torch.Tensor]) -> Answer:
    @torch.inference_mode()
    def answer(images: Images) -> Logits:
        logits: Logits = module(torch.from_numpy(np.array(images))).numpy()
        return logits

    return answer


def _read_onnx(path: Path, _: ModelDescription) -> Answer:
    check_installed("onnx", where=str(path))
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session: Any = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoModel,
        errors.NoSuchFile,
        errors.NotImplemented,
        errors.RuntimeException,
    ) as error:
        raise _unreadable(path, error) from error

    def answer(images: Images) -> Logits:
        logits: Logits = session.run(None, {INPUT_NAME: np.ascontiguousarray(images)})[0]
        return logits

    return answer


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(
        f"is damaged, or is not a model of its format ({reason})",
        where=str(path),
        remedy="Export it again",
    )


def _explain_plugins(error: InputError, folder: Path, description: ModelDescription) -> InputError:
    """Say which plugin to name if the network may be of one."""
    if not description.plugins:
        return error
    named = " ".join(
        f"--plugin {plugin.name if plugin.file is None else folder / plugin.file}"
        for plugin in description.plugins
    )
    return InputError(
        error.rule,
        where=error.where,
        found=error.found,
        remedy=f"The study's plugins registered it. Read their code, which runs, then add {named}",
    )

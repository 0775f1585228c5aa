"""Writing a classifier in each format. Every file takes any number of images."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from searchlab.deployment.classifier import Classifier
from searchlab.deployment.description import ModelFormat
from searchlab.errors import InputError
from searchlab.training.tensor_file import write_tensors

__all__ = ["FILE_NAMES", "INPUT_NAME", "OUTPUT_NAME", "check_installed", "write_classifier"]

FILE_NAMES: dict[ModelFormat, str] = {
    "safetensors": "model.safetensors",
    "onnx": "model.onnx",
    "torchscript": "model.pt",
}

INPUT_NAME, OUTPUT_NAME = "images", "logits"

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_NUM_EXAMPLES = 2  # torch.export takes 1 for a constant


def check_installed(model_format: ModelFormat, *, where: str) -> None:
    """Raise InputError naming the extra if a package that a format needs is missing."""
    wanted = _ONNX_PACKAGES if model_format == "onnx" else ()
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"needs {' and '.join(missing)}, which {'are' if missing[1:] else 'is'} not installed",
            where=where,
            remedy="Install them with: pip install 'searchlab[onnx]'",
        )


def write_classifier(
    classifier: Classifier,
    image_shape: tuple[int, int, int],
    path: Path,
    *,
    model_format: ModelFormat,
    metadata: Mapping[str, str],
) -> None:
    """Write the file. Raises OSError, or InputError if the network does not fit the format."""
    examples = torch.zeros((_NUM_EXAMPLES, *image_shape), dtype=torch.uint8)
    _WRITERS[model_format](classifier, examples, path, metadata)


def _write_safetensors(
    classifier: Classifier, _: Tensor, path: Path, metadata: Mapping[str, str]
) -> None:
    write_tensors(path, classifier.network.state_dict(), metadata)


def _write_torchscript(
    classifier: Classifier, examples: Tensor, path: Path, metadata: Mapping[str, str]
) -> None:
    with _quiet(), torch.no_grad():
        # The module is deprecated, but its files are still read by C++ and by other libraries.
        jit: Any = torch.jit
        traced = jit.trace(classifier, (examples,), check_trace=False)
        jit.save(traced, str(path), _extra_files=dict(metadata))


def _write_onnx(
    classifier: Classifier, examples: Tensor, path: Path, metadata: Mapping[str, str]
) -> None:
    from torch.onnx.errors import OnnxExporterError

    batch = torch.export.Dim("batch")
    try:
        with _quiet():
            program = torch.onnx.export(
                classifier,
                (examples,),
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: batch},),
                external_data=False,
                verbose=False,
            )
    except OnnxExporterError as error:
        raise InputError(
            f"cannot be exported to ONNX: {_last_line(error)}",
            where=f"the network {type(classifier.network).__name__}",
            remedy="Choose --format safetensors or torchscript",
        ) from error
    assert program is not None
    program.model.metadata_props.update(metadata)
    program.save(str(path), external_data=False)


def _last_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(cause).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporters say of themselves; the written file is checked."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_WRITERS: dict[ModelFormat, Callable[[Classifier, Tensor, Path, Mapping[str, str]], None]] = {
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
}

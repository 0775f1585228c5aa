"""Initial weights in a folder that is never overwritten (report 000, section 3.1).

One safetensors file for each architecture, scheme and member; nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.config.trial import ModelConfig, Scheme

__all__ = [
    "FULL",
    "FoldKey",
    "copy_weights",
    "describe_difference",
    "initial_weights_path",
    "load_initial_weights",
    "load_weights",
    "read_initial_weights",
    "save_initial_weights",
]

_FORMAT = "1"
_REMAKE = "Make it with searchlab weights save"

FULL: Final = "full"
"""The member that trains on the whole training set; also its key for what is drawn."""

FoldKey = int | Literal["full"]
"""Which member of a cohort: the number of its fold, or FULL."""


def initial_weights_path(folder: Path, architecture: str, scheme: Scheme, member: FoldKey) -> Path:
    """Return the file of a member's initial weights, say ``a1-HF-fold0.safetensors``."""
    name = member if member == FULL else f"fold{member}"
    return folder / f"{architecture}-{scheme}-{name}.safetensors"


def save_initial_weights(
    model: nn.Module, path: Path, *, config: ModelConfig, key: tuple[str | int, ...]
) -> None:
    """Write a model's weights and buffers to a new file, and make its folder.

    ``config`` and ``key`` (study seed, fold, repeat) are those of ``build_model``; the metadata
    holds them and every shape. The file is complete or absent, even after a kill, which may leave a
    hidden ``.partial`` beside it; only a file system without hard links may keep an empty file if
    the kill comes at the very end. Raises InputError if the file exists or cannot be written.
    """
    weights = copy_weights(model)
    metadata = {
        "format": _FORMAT,
        "config": json.dumps(asdict(config)),
        "key": json.dumps(key),
        "shapes": json.dumps({name: list(value.shape) for name, value in weights.items()}),
    }
    content = save(weights, metadata=metadata)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    try:
        _write_new(content, path)
    except FileExistsError as error:
        raise InputError(
            "already exists, and initial weights are never overwritten",
            where=str(path),
            remedy="Choose another folder",
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def load_initial_weights(model: nn.Module, path: Path) -> None:
    """Set every parameter and buffer of ``model`` in place from a file, on any device.

    Frozen parameters stay frozen. Raises InputError, and leaves the model unchanged, if the file is
    missing, is not a safetensors file, or holds another network's weights.
    """
    own = model.state_dict()
    saved = read_initial_weights(path)
    difference = _find_other_shape(own, saved)
    if difference is not None:
        raise InputError(
            f"holds the weights of another network: {difference}",
            where=str(path),
            remedy="Give the folder saved for this study, or save a new one",
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(saved[name])


def read_initial_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file on the CPU; InputError if it cannot be read."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError("does not exist", where=str(path), remedy=_REMAKE) from error
    except SafetensorError as error:
        raise InputError(
            f"is not a complete safetensors file: {error}",
            where=str(path),
            remedy=f"Delete it. {_REMAKE}",
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of every parameter and buffer, by name, on the CPU."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load what ``copy_weights`` returned. Raises RuntimeError if names or shapes differ."""
    states = model.state_dict()  # with the versions of its layers: MNASNet asks for its own
    for name in set(states) - set(weights):
        del states[name]
    states.update(weights)
    model.load_state_dict(states)


def describe_difference(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> str | None:
    """Name the first tensor that differs in ``saved`` and ``own``; None if all values agree."""
    other_shape = _find_other_shape(own, saved)
    if other_shape is not None:
        return other_shape
    for name, value in own.items():
        if not torch.equal(value, saved[name]):
            norm = torch.linalg.vector_norm(value.double() - saved[name].double()).item()
            return f"{name} differs by a norm of {norm:.6g}"
    return None


def _write_new(content: bytes, path: Path) -> None:
    """Write a file that is complete as soon as it exists; FileExistsError if it already does."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _move_to_new(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _move_to_new(partial: Path, path: Path) -> None:
    """Give a finished file its name; FileExistsError if the name is taken, even just now."""
    try:
        os.link(partial, path)  # unlike a rename, it refuses a name that is taken
    except FileExistsError:
        raise
    except OSError:  # FAT and many network file systems have no links, each with its own error
        path.open("xb").close()
        try:
            partial.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _find_other_shape(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> str | None:
    for name, value in own.items():
        if name not in saved:
            return f"it has no {name} {_describe(value)}"
        if (saved[name].shape, saved[name].dtype) != (value.shape, value.dtype):
            return f"its {name} is {_describe(saved[name])}, must be {_describe(value)}"
    for name, value in saved.items():
        if name not in own:
            return f"it has {name} {_describe(value)}, which this network lacks"
    return None


def _describe(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot be written: {error.strerror}",
        where=str(path),
        remedy="Choose another folder with --to",
    )

"""Trained weights for a network's body: from a file, or torchvision's own of ImageNet."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from searchlab.config.relative_paths import RUN_PREFIX, expand_user
from searchlab.errors import InputError, SearchlabError

__all__ = ["fetch_imagenet_weights", "load_body", "read_weights"]

# What torch.load raises for a file that it did not write or that was cut short.
_UNREADABLE = (
    RuntimeError, pickle.UnpicklingError, struct.error, EOFError, OSError,
    ValueError, TypeError, LookupError, AttributeError, AssertionError,
)  # fmt: skip

_MAX_SHOWN = 3

Tensors = Mapping[str, Tensor]

# A cohort's members and a study's checks read the same file many times, so the process keeps the
# last two: those of resnet18 and resnet50 together take 0.15 GB.
_MAX_KEPT = 2
_kept: dict[tuple[str, int, int], Tensors] = {}


def read_weights(file: str) -> Tensors:
    """Read tensors by name; InputError if the file is missing or holds anything else.

    Only tensors are unpickled, so a file from a stranger is safe. The last two files are kept until
    they change: copy the tensors, do not modify them.
    """
    if file.startswith(RUN_PREFIX):
        raise InputError(
            "names the weights of a run, which only a study finds, when it begins",
            found=file,
            remedy="Give it to searchlab study run",
        )
    path = expand_user(Path(file))
    if not os.path.isfile(path):  # noqa: PTH113 (Path's own raises if the name is too long)
        raise InputError(
            f"must find its weights in a file, but there is none at {file}",
            remedy=f"Looked for {path.absolute()}",
        )
    return _read_once(path, lambda: _read(path, file))


def _read_once(path: Path, read: Callable[[], Tensors]) -> Tensors:
    """Return what ``read`` returns for a file, from memory if the file has not changed."""
    version = _describe_version(path)
    if version is None:
        return read()
    tensors = _kept.pop(version, None)
    if tensors is None:
        tensors = MappingProxyType(read())
    _kept[version] = tensors  # the most recent last
    for oldest in list(_kept)[:-_MAX_KEPT]:
        _kept.pop(oldest, None)
    return tensors


def _describe_version(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except OSError:  # reading it raises the error
        return None
    return str(path.absolute()), status.st_mtime_ns, status.st_size


def _read(path: Path, file: str) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path, device="cpu")
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, *_UNREADABLE) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise InputError(
            f"cannot read weights from {file}: {reason}",
            remedy="Give a file of named tensors, as written by torch.save(model.state_dict()) or "
            "safetensors",
        ) from error
    if isinstance(tensors, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
    ):
        return tensors
    raise InputError(
        f"must find named tensors in {file}",
        found=type(tensors).__name__,
        remedy="Save model.state_dict(), not the model or a checkpoint around it",
    )


def fetch_imagenet_weights(name: str) -> Tensors:
    """Return torchvision's weights of the network ``name``, from torch's cache or a download.

    It uses the first release of every network: all were trained by one recipe, so variants are
    comparable. A download's hash is checked. The weights are kept as by ``read_weights``. Raises
    SearchlabError if they cannot be fetched.
    """
    from torchvision.models import get_model_weights

    releases = get_model_weights(name).__members__
    if "IMAGENET1K_V1" not in releases:
        raise InputError(
            f"must find the imagenet weights of {name}, but torchvision's are of another recipe",
            found=sorted(releases),
            remedy="Give the path of a file as weights",
        )
    weights = releases["IMAGENET1K_V1"]
    folder = Path(torch.hub.get_dir()) / "checkpoints"

    def fetch() -> Tensors:
        with redirect_stdout(sys.stderr):  # torch reports the download, and stdout is for results
            tensors: Tensors = weights.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
        return tensors

    try:
        return _read_once(folder / Path(weights.url).name, fetch)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise SearchlabError(
            f"cannot fetch the imagenet weights of {name} from {weights.url}: {error}. "
            f"Fetch the file elsewhere and give its path as weights, or put it into {folder}"
        ) from error


def load_body(model: nn.Module, tensors: Tensors, *, head: str, origin: str) -> None:
    """Copy ``tensors`` into ``model``, except those under ``head``, whose classes differ.

    Raises InputError with ``origin`` and the first tensors that differ in name or shape.
    """
    wanted = {
        name: value for name, value in model.state_dict().items() if not _is_under(head, name)
    }
    given = {name: value for name, value in tensors.items() if not _is_under(head, name)}
    differences = [*_compare(wanted, given)]
    if differences:
        more = len(differences) - _MAX_SHOWN
        rest = f", and {more} more" if more > 0 else ""
        raise InputError(
            f"does not fit the weights of {origin}: {'; '.join(differences[:_MAX_SHOWN])}{rest}",
            remedy="Give weights of the same variant, stem and number of channels",
        )
    with torch.no_grad():
        for name, value in given.items():
            wanted[name].copy_(value)


def _compare(wanted: Tensors, given: Tensors) -> list[str]:
    differences = []
    for name, value in wanted.items():
        if name not in given:
            if not name.endswith("num_batches_tracked"):  # older files lack it
                differences.append(f"{name} is missing")
        elif given[name].shape != value.shape:
            shapes = f"{list(given[name].shape)}, not {list(value.shape)}"
            differences.append(f"{name} is {shapes}")
    return differences + [f"{name} is not known" for name in given if name not in wanted]


def _is_under(head: str, name: str) -> bool:
    return name.startswith(f"{head}.")

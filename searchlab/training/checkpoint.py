"""Checkpoints of a cohort: one safetensors file a trial, replaced whole, never unpickled.

Random numbers need no place in it: they derive from the epoch (DESIGN 7).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from searchlab.training.cohort import Cohort
from searchlab.training.member import Member
from searchlab.training.results import FoldMetrics

__all__ = ["checkpoint_path", "load_checkpoint", "save_checkpoint", "save_model"]

_FORMAT = "2"


def checkpoint_path(folder: Path, number: int) -> Path:
    """Return the file that holds trial ``number`` while it is unfinished."""
    return folder / f"trial-{number:05d}.safetensors"


def save_checkpoint(cohort: Cohort, folder: Path) -> None:
    """Write the state after the last epoch; the file before stays until the new one is whole."""
    tensors: dict[str, Tensor] = {}
    for key, member in _members(cohort).items():
        for name, value in member.model.state_dict().items():
            tensors[f"{key}/model/{name}"] = value
        for index, state in member.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):  # SGD keeps None before its first step
                    tensors[f"{key}/optimizer/{index}/{name}"] = value
    for name, value in (cohort.best_weights or {}).items():
        tensors[f"best/{name}"] = value
    metadata = {
        "format": _FORMAT,
        "config": cohort.config.to_json(),
        "history": json.dumps([[asdict(fold) for fold in epoch] for epoch in cohort.history]),
        "seconds": json.dumps(cohort.seconds),
    }
    _write(tensors, metadata, checkpoint_path(folder, cohort.config.number))


def load_checkpoint(cohort: Cohort, folder: Path) -> bool:
    """Continue from a checkpoint of this very trial; return whether there was one.

    A file that is damaged, or of another configuration, is left alone: the trial starts afresh.
    """
    path = checkpoint_path(folder, cohort.config.number)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                return False
            if metadata["config"] != cohort.config.to_json():
                return False
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return False
    for key, member in _members(cohort).items():
        _restore(member, _below(tensors, f"{key}/"))
    best = _below(tensors, "best/")
    if best:
        device = cohort.members[0].device
        cohort.best_weights = {name: value.to(device) for name, value in best.items()}
    cohort.history = [
        tuple(FoldMetrics(**fold) for fold in epoch) for epoch in json.loads(metadata["history"])
    ]
    cohort.seconds = json.loads(metadata["seconds"])
    return True


def save_model(cohort: Cohort, folder: Path) -> Path | None:
    """Write the weights of the full member, with the configuration that rebuilds the network.

    Returns the file, or None for a trial without a full member.
    """
    if cohort.best_weights is None:
        return None
    path = checkpoint_path(folder, cohort.config.number)
    metadata = {"format": _FORMAT, "config": cohort.config.to_json()}
    _write(cohort.best_weights, metadata, path)
    return path


def _members(cohort: Cohort) -> dict[str, Member]:
    members = {f"fold{member.fold}": member for member in cohort.members}
    return members if cohort.full is None else {**members, "full": cohort.full}


def _restore(member: Member, tensors: dict[str, Tensor]) -> None:
    member.model.load_state_dict(_below(tensors, "model/"))
    parameters = [parameter for parameter in member.model.parameters() if parameter.requires_grad]
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer/").items():
        index, _, field = name.partition("/")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # Fused optimizers walk the memory of weights and moments side by side, so a moment
            # must have its weight's layout (channels_last), which the file does not keep.
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        states.setdefault(int(index), {})[field] = value
    groups = member.optimizer.state_dict()["param_groups"]
    member.optimizer.load_state_dict({"state": states, "param_groups": groups})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _write(tensors: dict[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        save_file(contiguous, beside, metadata=metadata)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

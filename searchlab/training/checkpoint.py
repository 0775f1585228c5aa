"""Checkpoints of a cohort: weights, optimizer states, and the results so far.

They hold no random states, because draws derive from the epoch (docs/design.md, decision 7).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from searchlab.config.own_code import is_reference
from searchlab.config.trained_folds import FoldMetrics
from searchlab.config.trial import TrialConfig
from searchlab.models.saved_weights import load_weights
from searchlab.training.checkpoint_files import (
    CheckpointFiles,
    forget_checkpoints,
    has_checkpoint,
    model_path,
)
from searchlab.training.cohort import Cohort
from searchlab.training.durable_files import replace_file
from searchlab.training.held_out import held_out_path, write_held_out
from searchlab.training.member import Member
from searchlab.training.optimizer_states import pack_plain_state, pack_tensors, unpack_state
from searchlab.training.own_step import load_step_state
from searchlab.training.tensor_file import write_tensors

__all__ = [
    "CheckpointFiles",
    "forget_checkpoints",
    "has_checkpoint",
    "load_checkpoint",
    "model_path",
    "save_checkpoint",
    "save_held_out",
    "save_model",
]

_FORMAT = "4"


def save_checkpoint(cohort: Cohort, files: CheckpointFiles) -> None:
    """Write the state after the last epoch. Raises OSError; then the previous checkpoint stays."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for key, member in _members(cohort).items():
        for name, value in member.model.state_dict().items():
            tensors[f"{key}/model/{name}"] = value
        for name, value in pack_tensors(member.optimizer).items():
            tensors[f"{key}/optimizer/{name}"] = value
        for name, value in member.updates.tensors().items():
            tensors[f"{key}/updates/{name}"] = value
        if member.average is not None:
            for name, value in member.average.tensors().items():
                tensors[f"{key}/average/{name}"] = value
        if member.step is not None:
            for name, value in member.step.state().items():
                tensors[f"{key}/step/{name}"] = value
        if is_reference(cohort.config.settings.optimizer):
            plain[key] = pack_plain_state(member.optimizer)
    for name, value in (cohort.best_weights or {}).items():
        tensors[f"best/{name}"] = value
    for fold, value in cohort.best_predictions.items():
        tensors[f"held-out/{fold}"] = value
    metadata = {
        **_describe(cohort.config),
        "history": json.dumps([[asdict(fold) for fold in epoch] for epoch in cohort.history]),
        "full_history": json.dumps(cohort.full_history),
        "seconds": json.dumps(cohort.seconds),
        "batch_splits": json.dumps(cohort.batch_splits),
        "optimizers": json.dumps(plain),
    }
    files.save(cohort.epoch, tensors, metadata)


def load_checkpoint(cohort: Cohort, files: CheckpointFiles) -> bool:
    """Load this trial's newest undamaged checkpoint; return whether there was one.

    Damaged files, and those of another configuration, are not touched.
    """
    state = files.load(lambda metadata: _is_of(cohort.config, metadata))
    if state is None:
        return False
    plain = json.loads(state.metadata.get("optimizers", "{}"))
    for key, member in _members(cohort).items():
        kept = _below(state.tensors, f"{key}/")
        load_weights(member.model, _below(kept, "model/"))
        unpack_state(member.optimizer, _below(kept, "optimizer/"), plain.get(key))
        if member.step is not None:
            load_step_state(member.step, _below(kept, "step/"))
        member.updates.load(_below(kept, "updates/"))
        if member.average is not None:
            member.average.load(_below(kept, "average/"))
    best = _below(state.tensors, "best/")
    if best:
        assert cohort.full is not None
        device = cohort.full.device
        cohort.best_weights = {name: value.to(device) for name, value in best.items()}
    predictions = _below(state.tensors, "held-out/")  # none in one of an earlier searchlab
    cohort.best_predictions = {int(fold): value for fold, value in predictions.items()}
    history = json.loads(state.metadata["history"])
    cohort.history = [tuple(FoldMetrics(**fold) for fold in epoch) for epoch in history]
    full_history = json.loads(state.metadata.get("full_history", "[]"))
    cohort.full_history = full_history or [None] * len(history)  # of an earlier searchlab
    cohort.seconds = json.loads(state.metadata["seconds"])
    cohort.batch_splits = json.loads(state.metadata["batch_splits"])
    return True


def save_model(cohort: Cohort, folder: Path) -> Path | None:
    """Write the full member's weights and the configuration that rebuilds its network.

    Returns the file, or None if the trial has no full member.
    """
    weights = cohort.best_weights
    if weights is None:
        return None
    path = model_path(folder, cohort.config.number)
    # Other folds' epochs say nothing of this model.
    metadata = _describe(replace(cohort.config, trained=None))
    replace_file(path, lambda beside: write_tensors(beside, weights, metadata))
    return path


def save_held_out(cohort: Cohort, folder: Path) -> Path | None:
    """Write what the folds' models predicted of the images that they hold out, beside the model.

    Returns the file, or None if the trial has no such predictions.
    """
    if not cohort.best_predictions:
        return None
    path = held_out_path(folder, cohort.config.number)
    write_held_out(path, cohort.best_predictions, cohort.data.folds)
    return path


def _describe(config: TrialConfig) -> dict[str, str]:
    return {"format": _FORMAT, "config": config.to_json()}


def _is_of(config: TrialConfig, metadata: Mapping[str, str]) -> bool:
    """Return whether a checkpoint has this format and exactly this configuration.

    Not compared as text, so that settings which a later version adds may have their defaults.
    """
    try:
        return metadata["format"] == _FORMAT and TrialConfig.from_json(metadata["config"]) == config
    except (KeyError, ValueError):  # ValueError: its configuration is not a TrialConfig
        return False


def _members(cohort: Cohort) -> dict[str, Member]:
    members = {f"fold{member.fold}": member for member in cohort.members}
    return members if cohort.full is None else {**members, "full": cohort.full}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }

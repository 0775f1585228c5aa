"""What ``precision: auto`` stands for: settled once, when a study begins, and recorded with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from searchlab.config.baselines import BaselineRow, BaselineSpec
from searchlab.config.settings import Precision
from searchlab.config.study import StudySpec
from searchlab.engine.devices import choose_device
from searchlab.training.updates import refuse_float16

__all__ = ["choose_precision", "settle_precision"]

_OwnerT = TypeVar("_OwnerT", StudySpec, BaselineSpec, BaselineRow)


def settle_precision(
    spec: StudySpec, *, is_alone: bool, announce: Callable[[str], None] = lambda _: None
) -> StudySpec:
    """Return the study with each ``precision: auto`` replaced by what it stands for here.

    Not each worker decides, because the trials of a study must compare, and one that is taken up
    again must not change. ``is_alone`` says that no other machine trains the study. Raises
    InputError for float16 if this machine, which then is to train alone, has no GPU for it.
    """
    baselines = spec.baselines
    owners: list[StudySpec | BaselineSpec | BaselineRow] = [spec, baselines, *baselines.rows]
    if is_alone and any(owner.training.precision == "float16" for owner in owners):
        refuse_float16("cpu" if spec.resources.gpus == 0 else choose_device("auto").type)
    if all(owner.training.precision != "auto" for owner in owners):
        return spec
    chosen = choose_precision(num_gpus=spec.resources.gpus) if is_alone else "float32"
    if chosen == "bfloat16":
        announce("training.precision: auto is bfloat16, in which this processor computes")
    elif not is_alone:
        announce(
            "training.precision: auto is float32, because other machines may train too; if each "
            "computes in bfloat16, --set training.precision=bfloat16 is faster"
        )

    def settle(owner: _OwnerT) -> _OwnerT:
        if owner.training.precision != "auto":
            return owner  # as it is, because the record names no more than the file did
        training = owner.training.changed({"precision": chosen})
        return owner.model_copy(update={"training": training})

    settled = settle(baselines)
    if any(row.training.precision == "auto" for row in baselines.rows):
        settled = settled.model_copy(update={"rows": tuple(map(settle, baselines.rows))})
    spec = settle(spec)
    return spec if settled is baselines else spec.model_copy(update={"baselines": settled})


def choose_precision(*, num_gpus: float | Literal["auto"] = "auto") -> Precision:
    """Return bfloat16 if training here uses a processor that computes in it, or else float32.

    A processor that only emulates it is up to 12 times slower in it; on a GPU nobody has measured
    what it costs in accuracy.
    """
    if num_gpus != 0 and choose_device("auto").type != "cpu":
        return "float32"
    return "bfloat16" if _computes_in_bfloat16() else "float32"


def _computes_in_bfloat16() -> bool:
    import torch

    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))

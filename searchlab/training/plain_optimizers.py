"""torch's optimizers, and lion, for eager training only, which don't import torch.compile.

torch wraps their methods for torch.compile, and the first call of one imports it. In each worker
that took as long as importing torch itself.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

import torch
from torch.optim import Optimizer

from searchlab.training import lion

__all__ = ["SGD", "Adam", "AdamW", "Lion", "RMSprop"]

_Kind = TypeVar("_Kind", bound=Optimizer)


def _unwrap(kind: type[_Kind]) -> type[_Kind]:
    """Return the optimizer with the same methods, without what is wrapped around them."""
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # which torch's wrapping does too
    return type(kind.__name__, (kind,), {**methods, "step": step})


SGD = _unwrap(torch.optim.SGD)
Adam = _unwrap(torch.optim.Adam)
AdamW = _unwrap(torch.optim.AdamW)
RMSprop = _unwrap(torch.optim.RMSprop)
Lion = _unwrap(lion.Lion)

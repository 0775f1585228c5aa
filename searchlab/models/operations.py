"""Counting the products that a network takes, by torch's own formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["OperationCounter"]


class OperationCounter(TorchDispatchMode):
    """Counts what is computed in its context, as torch's ``FlopCounterMode`` does.

    That one imports torch's compiler at its first operation: 1.5 s in the driver and in each worker
    of a study.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, or torch imports its compiler to leave this class alone."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Compute an operation, in the parts of which it consists, and count it."""
        options = kwargs or {}
        formula: Callable[..., int] | None = flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:
                computed = func.decompose(*args, **options)
            return func(*args, **options) if computed is NotImplemented else computed
        output = func(*args, **options)
        self.flops += formula(*args, **options, out_val=output)
        return output

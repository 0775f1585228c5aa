"""The parameters of a space: a single value, a list of values, or a range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Protocol, TypeGuard, cast

from pydantic import BeforeValidator, RootModel, field_validator, model_validator

from searchlab.config.trial import Scalar
from searchlab.config.validation import Number, Spec, Value, to_tuple
from searchlab.errors import InputError

__all__ = ["Choice", "Fixed", "Range", "Suggester", "at_step", "write_value"]


class Suggester(Protocol):
    """What a parameter needs from an Optuna trial to draw a value."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        ...

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number."""
        ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number."""
        ...


class Fixed(RootModel[Value]):
    """A scalar: not searched."""

    model_config = {"frozen": True}

    def contains(self, value: Scalar) -> bool:
        """Return whether ``value`` is the fixed one."""
        return _same(value, self.root)

    def count(self) -> int:
        """Return 1."""
        return 1

    def values(self) -> tuple[Scalar, ...]:
        """Return the only value."""
        return (self.root,)

    def ends(self) -> tuple[Scalar, ...]:
        """Return the only value."""
        return (self.root,)

    def middle(self) -> Scalar:
        """Return the only value."""
        return self.root

    def spread(self, count: int) -> tuple[Scalar, ...]:
        """Return the only value."""
        return (self.root,)

    def describe(self) -> tuple[str, str]:
        """Return the kind of parameter, and its value as text."""
        return "fixed", write_value(self.root)


class Choice(RootModel[Annotated[tuple[Value, ...], BeforeValidator(to_tuple)]]):
    """A list: one of its values, without order (a categorical)."""

    model_config = {"frozen": True}

    @field_validator("root")
    @classmethod
    def _check(cls, value: tuple[Value, ...]) -> tuple[Value, ...]:
        if not value:
            raise InputError("must name at least one value")
        seen: set[Scalar] = set()
        for item in value:
            # 1, 1.0 and true are equal to Python and to Optuna, so they are one choice.
            if item in seen:
                raise InputError(f"must name each value once, got {item!r} twice")
            seen.add(item)
        return value

    def contains(self, value: Scalar) -> bool:
        """Return whether ``value`` is one of the choices."""
        return any(_same(value, item) for item in self.root)

    def settle(self, value: Scalar) -> Scalar:
        """Return a value that the list contains in the type in which the list has it."""
        return next(item for item in self.root if _same(item, value))

    def nearest(self, value: Scalar) -> Scalar:
        """Return the choice that is nearest to a value; the first if there is no telling."""
        if self.contains(value):
            return self.settle(value)
        numbers = [item for item in self.root if _is_number(item)]
        if not _is_number(value) or len(numbers) < len(self.root):
            return self.root[0]
        return min(numbers, key=lambda item: abs(item - value))

    def count(self) -> int:
        """Count the choices."""
        return len(self.root)

    def values(self) -> tuple[Scalar, ...]:
        """Return the choices, in the order written."""
        return self.root

    def ends(self) -> tuple[Scalar, ...]:
        """Return the values that decide whether the list is admissible: all of them."""
        return self.root

    def middle(self) -> Scalar:
        """Return the value to vary from: the first."""
        return self.root[0]

    def spread(self, count: int) -> tuple[Scalar, ...]:
        """Return all choices, however many, because without an order none can be left out."""
        return self.root

    def suggest(self, trial: Suggester, name: str) -> Scalar:
        """Ask a trial for one of the choices."""
        return cast("Scalar", trial.suggest_categorical(name, self.root))

    def describe(self) -> tuple[str, str]:
        """Return the kind of parameter, and its values as text: ``64, 128``."""
        return "choice", ", ".join(map(write_value, self.root))


class Range(Spec):
    """``{low, high, step?, log?}``, both ends included; whole numbers if both ends are."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise InputError(f"must be < high ({self.high!r})", where=("low",), found=self.low)
        if self.log and self.low <= 0:
            raise InputError("must be > 0 when log is true", where=("low",), found=self.low)
        if self.step is not None:
            self._check_step(self.step)
        return self

    def _check_step(self, step: float) -> None:
        if self.log:
            raise InputError(
                "cannot go with log",
                where=("step",),
                found=step,
                remedy="Give a list instead",
            )
        if step <= 0:
            raise InputError("must be > 0", where=("step",), found=step)
        if self.is_int and not isinstance(step, int):
            raise InputError("must be whole if low and high are", where=("step",), found=step)
        if not self._is_on_step(self.high, step):
            raise InputError(
                f"must be low ({self.low!r}) plus a whole number of steps ({step!r})",
                where=("high",),
                found=self.high,
            )

    @property
    def is_int(self) -> bool:
        """Whether the range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def contains(self, value: Scalar) -> bool:
        """Return whether ``value`` lies in the range and on its steps."""
        if isinstance(value, (bool, str)) or not self.low <= value <= self.high:
            return False
        if self.is_int and value != int(value):
            return False
        return self.step is None or self._is_on_step(value, self.step)

    def settle(self, value: Scalar) -> Scalar:
        """Return a value that the range contains as people write it: 0.3, not 0.1 + 2 * 0.1."""
        assert not isinstance(value, str), value
        if self.is_int:
            return int(value)
        if self.step is None:
            return float(value)
        return at_step(value, low=self.low, high=self.high, step=self.step)

    def nearest(self, value: Scalar) -> Scalar:
        """Return the value of the range that is nearest to a number, or the middle."""
        if not _is_number(value):
            return self.middle()
        inside = min(max(value, self.low), self.high)
        if self.is_int or self.step is not None:
            return self.value_at(round((inside - self.low) / (self.step or 1)))
        return float(inside)

    def _is_on_step(self, value: float, step: float) -> bool:
        steps = (value - self.low) / step
        # Both the division and the ends themselves are rounded.
        slack = 1e-9 * max(1.0, steps) + 2**-50 * max(abs(self.low), abs(self.high)) / step
        return math.isfinite(steps) and abs(steps - round(steps)) <= slack

    def count(self) -> int | None:
        """Count the values without listing them; None if there are infinitely many."""
        if self.is_int:
            return int(self.high - self.low) // int(self.step or 1) + 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def values(self) -> tuple[Scalar, ...] | None:
        """Return every value, or None if there are infinitely many."""
        if self.is_int:
            return tuple(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        count = self.count()
        if count is None or self.step is None:
            return None
        return tuple(self.value_at(index) for index in range(count))

    def value_at(self, index: int) -> Scalar:
        """Return the value that many steps above ``low``, of a range that has steps."""
        step = self.step or 1
        if self.is_int:
            return int(self.low) + index * int(step)
        return at_step(self.low + index * step, low=self.low, high=self.high, step=step)

    def ends(self) -> tuple[Scalar, ...]:
        """Return the values that decide whether the range is admissible."""
        return (self.low, self.high)

    def spread(self, count: int) -> tuple[Scalar, ...]:
        """Return at most ``count`` values, ends included, even in the logarithm if log."""
        size = self.count()
        if size is not None and size <= count:
            return self.values() or ()
        fractions = [index / (count - 1) for index in range(count)] if count > 1 else [0.5]
        return tuple(dict.fromkeys(self._at(fraction) for fraction in fractions))

    def middle(self) -> Scalar:
        """Return the middle value (geometric if log)."""
        return self._at(0.5)

    def suggest(self, trial: Suggester, name: str) -> Scalar:
        """Ask a trial for a value of the range."""
        if self.is_int:
            step = int(self.step or 1)
            return trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        value = trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        return self.settle(value)  # it may have been asked for by another program

    def describe(self) -> tuple[str, str]:
        """Return the kind of parameter, and its ends as text: ``0.0001 to 0.1, log``."""
        step = "" if self.step is None else f", step {write_value(self.step)}"
        ends = f"{write_value(self.low)} to {write_value(self.high)}"
        log = ", log" if self.log else ""
        return "whole range" if self.is_int else "range", ends + step + log

    def _at(self, fraction: float) -> Scalar:
        if fraction in (0.0, 1.0):
            end = self.high if fraction else self.low
            return end if self.is_int else float(end)
        if self.log:
            value = math.exp(_mix(math.log(self.low), math.log(self.high), fraction))
        else:
            value = _mix(self.low, self.high, fraction)
        if self.step is not None:
            return self.value_at(round((value - self.low) / self.step))
        value = min(max(value, self.low), self.high)
        if self.is_int:
            return round(value)
        short = float(f"{value:.6g}")  # exp(log(0.001)) is 0.0010000000000000002
        is_short = math.isclose(short, value, rel_tol=1e-12)
        return short if is_short and self.low <= short <= self.high else float(value)


def at_step(value: float, *, low: float, high: float, step: float) -> float:
    """Return the value of a stepped range that is nearest to ``value``, as people write it.

    The steps are decimal numbers, as in the file: 0.1 and two steps of 0.1 are 0.3, although the
    sum of the floats is 0.30000000000000004.
    """
    index = round((value - low) / step)
    if index == round((high - low) / step):
        return float(high)
    return float(Decimal(repr(low)) + index * Decimal(repr(step)))


def _mix(low: float, high: float, fraction: float) -> float:
    # Not low + (high - low) * fraction: the difference of two finite numbers may be infinite.
    return low * (1 - fraction) + high * fraction


def _is_number(value: Scalar) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(left: Scalar, right: Scalar) -> bool:
    """Compare as a reader of YAML would: 1 is 1.0, and 1 is not true."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def write_value(value: Scalar) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)

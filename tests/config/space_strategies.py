"""Hypothesis strategies for everything that a person can write into a space."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from searchlab.config.nodes import Range
from searchlab.config.settings import Init, OptimizerName
from searchlab.config.space import SpaceSpec

INTS = st.integers(-(10**12), 10**12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# What YAML 1.1, YAML 1.2 or a careless writer would take for something else than text.
TRICKY_TEXTS = st.sampled_from(
    ["1e-4", "on", "no", "null", "~", "", "010", "1:30", "1_000", "2026-11-20", "<<", "=", ".nan"]
    + ["true", "0x10", "+.5", "- a", "#", " a ", "a: b", "*a", "&a", "!a", "%", "@", "a\nb"]
    + ["\x85", "\u2028", "\ufeff", "\r\n", "\t", "'", '"', "\\", "{", "]"]
)
# Without \0, which no text may hold.
TEXTS = TRICKY_TEXTS | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
SCALARS = st.booleans() | INTS | FLOATS | TEXTS
OWN_NAMES = st.sampled_from(["depth", "width", "kernel", "activation", "on", "1", "1e-4"])


def int_ranges(low: int = -1000, high: int = 1000) -> st.SearchStrategy[dict[str, Any]]:
    """Whole-number ranges between two bounds: plain, logarithmic, or with a step."""

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        first = draw(st.integers(low, high - 1))
        kind = draw(st.sampled_from(["plain", "log", "step"] if first > 0 else ["plain", "step"]))
        if kind == "step":
            step = draw(st.integers(1, high - first))
            last = first + step * draw(st.integers(1, (high - first) // step))
            return {"low": first, "high": last, "step": step}
        data: dict[str, Any] = {"low": first, "high": draw(st.integers(first + 1, high))}
        return {**data, "log": True} if kind == "log" else data

    return build()


def float_ranges(
    low: float = -1e6, high: float = 1e6, *, exclude_max: bool = False
) -> st.SearchStrategy[dict[str, Any]]:
    """Ranges of which at least one end is no whole number type."""

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        ends = st.floats(low, high, exclude_max=exclude_max)
        first, last = sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
        kind = draw(st.sampled_from(["plain", "log", "step"] if first > 0 else ["plain", "step"]))
        data: dict[str, Any] = {"low": first, "high": last}
        if kind == "step":
            step = (last - first) / draw(st.integers(1, 50))
            return {**data, "step": step} if step > 0 else data
        return {**data, "log": True} if kind == "log" else data

    return build()


RANGES = int_ranges() | float_ranges()


def choices(values: st.SearchStrategy[Any], max_size: int = 4) -> st.SearchStrategy[list[Any]]:
    """Lists of distinct values; 1, 1.0 and true count as one."""
    return st.lists(values, min_size=1, max_size=max_size, unique=True)


def own_nodes() -> st.SearchStrategy[Any]:
    """Whatever can stand under a family: fixed, list, range, or one of those per layer."""
    searched = choices(SCALARS) | RANGES
    return SCALARS | searched | st.fixed_dictionaries({"each_layer": searched})


_SHARED: dict[str, st.SearchStrategy[Any]] = {
    "lr": st.floats(1e-6, 1000) | choices(st.floats(1e-6, 1000)) | float_ranges(1e-6, 1000),
    "batch_size": st.integers(1, 4096) | choices(st.integers(1, 4096)) | int_ranges(1, 4096),
    "momentum": st.floats(0, 1, exclude_max=True) | float_ranges(0, 1, exclude_max=True),
    "weight_decay": st.just(0) | choices(st.floats(0, 1)) | float_ranges(0, 1),
    "dropout": choices(st.floats(0, 0.9)) | float_ranges(0, 0.9),
    "optimizer": st.sampled_from(get_args(OptimizerName))
    | choices(st.sampled_from(get_args(OptimizerName))),
    "init": st.sampled_from(get_args(Init)) | choices(st.sampled_from(get_args(Init))),
}


def space_data(own: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Plain data of any valid space, as YAML would give it."""
    names = st.sampled_from(["cnn", "fcn", "mine", "on", "1"])
    parameters = st.dictionaries(OWN_NAMES, own_nodes() if own is None else own, max_size=3)
    families = st.dictionaries(names, parameters | st.none(), min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {
            "parameters": st.fixed_dictionaries(
                {"family": names | choices(names) | families}, optional=_SHARED
            )
        },
        optional={"name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)},
    )


def spaces() -> st.SearchStrategy[SpaceSpec]:
    """Any valid space."""
    return space_data().map(SpaceSpec.model_validate)


def ranges() -> st.SearchStrategy[Range]:
    """Any valid range, with ends as far apart as floats allow."""
    return (RANGES | float_ranges(-1e300, 1e300)).map(Range.model_validate)

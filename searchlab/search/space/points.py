"""Points: one value for every parameter that a configuration has, under its Optuna name.

``walk`` is the only place that knows how a space unfolds (family, then depth, then layers);
sampling, grids and reference points differ only in how they choose.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from searchlab.config.nodes import Choice, Fixed, Range, Suggester
from searchlab.config.seeds import derive_seed
from searchlab.config.space import EachLayer, SpaceSpec
from searchlab.config.trial import Scalar
from searchlab.errors import InputError, did_you_mean

__all__ = ["Choose", "Point", "grid", "one_at_a_time", "reference_point", "suggest", "walk"]

# As many as fit in memory and are planned within seconds; nobody trains more.
_MAX_POINTS = 200_000

Point = dict[str, Scalar]
Choose = Callable[[str, Choice | Range], Scalar]


def walk(space: SpaceSpec, choose: Choose) -> Point:
    """Unfold a space into a point, asking ``choose(name, node)`` for every searched parameter.

    Names are places in the tree: ``lr``, ``family``, ``cnn.depth``, ``cnn.layer0.width``.
    Fixed values are in the point but are not asked for.
    """
    point: Point = {}

    def settle(name: str, node: Fixed | Choice | Range) -> None:
        point[name] = node.root if isinstance(node, Fixed) else choose(name, node)

    for name, node in space.shared.items():
        settle(name, node)
    settle("family", space.family)

    family = str(point["family"])
    own = space.families[family]
    layered = {name: node for name, node in own.items() if isinstance(node, EachLayer)}
    for name, plain in own.items():
        if not isinstance(plain, EachLayer):
            settle(f"{family}.{name}", plain)
    for layer in range(_depth(family, point) if layered else 0):
        for name, each in layered.items():
            settle(f"{family}.layer{layer}.{name}", each.each_layer)
    return point


def suggest(trial: Suggester, space: SpaceSpec) -> Point:
    """Ask an Optuna trial for every searched parameter; return them with the fixed ones."""
    return walk(space, lambda name, node: node.suggest(trial, name))


def _depth(family: str, point: Point) -> int:
    depth = point.get(f"{family}.depth")
    if depth is None:
        from searchlab.models import get_family  # torch: needed only if the space leaves depth open

        depth = get_family(family).parameters.default_value("depth")
    return int(depth)


def grid(space: SpaceSpec, *, points: int, seed: int) -> list[Point]:
    """Return every combination of the space, ranges cut to ``points`` values, in a seeded order.

    The order is shuffled so that the first n of it are a fair sample of the whole.
    """
    everything = list(islice(_enumerate(space, points), _MAX_POINTS + 1))
    if len(everything) > _MAX_POINTS:
        raise InputError(
            f"cannot be grid for a space of more than {_MAX_POINTS:,} points",
            where=("search", "sampler"),
            remedy="Use qmc, which covers a large space evenly, or search less at once",
        )
    random.Random(derive_seed(seed, "grid")).shuffle(everything)
    return everything


def _enumerate(space: SpaceSpec, points: int) -> Iterator[Point]:
    """Yield all points by counting through the choices, as an odometer whose wheels may change."""
    wheels: list[int] = []
    spreads: dict[str, Sequence[Scalar]] = {}
    while True:
        sizes: list[int] = []

        def choose(name: str, node: Choice | Range, sizes: list[int] = sizes) -> Scalar:
            values = spreads[name] = spreads.get(name) or node.spread(points)
            place = len(sizes)
            sizes.append(len(values))
            if place == len(wheels):
                wheels.append(0)
            return values[wheels[place]]

        yield walk(space, choose)
        del wheels[len(sizes) :]
        while wheels and wheels[-1] + 1 == sizes[len(wheels) - 1]:
            wheels.pop()
        if not wheels:
            return
        wheels[-1] += 1


def reference_point(space: SpaceSpec, given: Point) -> Point:
    """Return the point to vary from: ``given``, else a list's first value, a range's middle.

    Raises InputError for a given name or value that the point does not have.
    """
    unused = dict(given)

    def choose(name: str, node: Choice | Range) -> Scalar:
        if name in unused:
            value = unused.pop(name)
            if not node.contains(value):
                raise InputError(
                    "must lie in the space", where=("search", "reference", name), found=value
                )
            return node.settle(value)
        return node.middle()

    point = walk(space, choose)
    if unused:
        name = next(iter(unused))
        raise InputError(
            "is not a searched parameter of the reference point",
            where=("search", "reference", name),
            remedy=did_you_mean(name, point),
        )
    return point


def one_at_a_time(space: SpaceSpec, *, given: Point, points: int) -> list[Point]:
    """Return the reference point, then it with each factor varied alone, as the reports did.

    Another family, or a greater depth, brings parameters that the reference point does not have:
    they take their own reference values. Ranges are cut to ``points`` values.
    """
    reference = reference_point(space, given)
    plan = [reference]
    for varied, varied_node in _searched(space, reference):
        for value in varied_node.spread(points):

            def choose(
                name: str, node: Choice | Range, varied: str = varied, value: Scalar = value
            ) -> Scalar:
                if name == varied:
                    return value
                known = reference.get(name)
                if known is not None and node.contains(known):
                    return known
                return node.middle()

            point = walk(space, choose)
            if point not in plan:
                plan.append(point)
    return plan


def _searched(space: SpaceSpec, point: Point) -> list[tuple[str, Choice | Range]]:
    """List the parameters that are asked for on the way to ``point``, with their nodes."""
    asked: list[tuple[str, Choice | Range]] = []

    def choose(name: str, node: Choice | Range) -> Scalar:
        asked.append((name, node))
        return point[name]

    walk(space, choose)
    return asked

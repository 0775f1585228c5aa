"""What a trial is called in tables and sentences: its model, and what sets it apart from others.

A search tries one family many times, so ``cnn`` alone does not tell its trials apart. Names add the
parameters that differ: ``cnn 16-32 lr 0.0078`` has 16 and 32 filters in its two layers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from searchlab.config.relative_paths import WEIGHT_SUFFIXES
from searchlab.config.settings import SHARED_PARAMETERS
from searchlab.config.trial import Scalar

if TYPE_CHECKING:
    from searchlab.records.trial_record import TrialRecord

__all__ = ["name_trials"]

_Value = Scalar | tuple[Scalar, ...]
_Values = Mapping[str, _Value]

_LAYER = re.compile(r"layer(\d+)\.(.+)")
_UNTITLED = "width"  # 16-32 after a family's name is read as the widths of its layers
# The second if two trials are equal by the first; only then is a path written whole.
_DIGITS = (2, 4)


def name_trials(records: Iterable[TrialRecord], shown: Collection[int]) -> dict[int, str]:
    """Return a name for each trial by its number: the label, and the parameters that differ.

    They are as many as tell the ``shown`` trials of a label from each other. A trial that is not
    shown has more if it needs them. Trials of one configuration have one name.
    """
    by_label: dict[str, dict[int, _Values]] = defaultdict(dict)
    for record in records:
        by_label[record.label][record.number] = _gather_layers(record.params)
    names: dict[int, str] = {}
    for label, trials in by_label.items():
        shortest = [values for number, values in trials.items() if number in shown]
        telling = _find_telling(shortest)
        alike: dict[str, list[int]] = defaultdict(list)
        for number, values in trials.items():
            alike[_write(label, values, telling)].append(number)
        for name, numbers in alike.items():
            more = telling | _find_telling([trials[number] for number in numbers])
            for number in numbers:
                values = trials[number]
                names[number] = name if values in shortest else _write(label, values, more)
    return names


def _gather_layers(params: Mapping[str, Scalar]) -> _Values:
    """Return parameters by the names that a space gives them; those of layers are tuples."""
    values: dict[str, _Value] = {}
    layers: dict[str, dict[int, Scalar]] = defaultdict(dict)
    family = f"{params.get('family')}."
    for place, value in params.items():
        name = place.removeprefix(family)
        if match := _LAYER.fullmatch(name):
            layers[match[2]][int(match[1])] = value
        else:
            values[place if name in SHARED_PARAMETERS else name] = value
    for name, by_layer in layers.items():
        values[name] = tuple(by_layer[layer] for layer in sorted(by_layer))
    return values


def _find_telling(trials: Sequence[_Values]) -> dict[str, int]:
    """Return parameters that tell trials apart, with the digits to which they are written.

    Each tells some that those before it do not. The model's sizes come first, then the learning
    rate.
    """
    distinct = list({repr(sorted(values.items())): values for values in trials}.values())
    telling: dict[str, int] = {}
    count = 1
    for digits in _DIGITS:
        for name in _order(distinct):
            if count >= len(distinct):
                return telling
            longer = {**telling, name: digits}
            if (told := len({_write("", values, longer) for values in distinct})) > count:
                telling, count = longer, told
    return telling


def _order(trials: Sequence[_Values]) -> list[str]:
    found = {name: value for values in trials for name, value in values.items()}
    return sorted(found, key=lambda name: _place(name, found[name]))


def _place(name: str, value: _Value) -> int:
    first = value[0] if isinstance(value, tuple) else value
    is_own = name not in SHARED_PARAMETERS
    if is_own and (isinstance(first, bool) or not isinstance(first, int | float)):
        return 4  # what kind of layers
    if is_own:  # how many, and of what size; a tuple also says how many
        return 1 if not isinstance(value, tuple) else 0
    return 2 if name == "lr" else 3


def _write(label: str, values: _Values, telling: Mapping[str, int]) -> str:
    words = [label]
    for name, digits in telling.items():
        if name in values:
            value = values[name]
            is_titled = name != _UNTITLED or not isinstance(value, tuple)
            words += [*([name] if is_titled else []), _write_value(value, digits)]
    return " ".join(words)


def _write_value(value: _Value, digits: int) -> str:
    if isinstance(value, tuple):
        return "-".join(_write_value(one, digits) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{float(f'{value:.{digits}g}'):g}"
    is_path = isinstance(value, str) and value.endswith(WEIGHT_SUFFIXES)
    return PurePath(str(value)).name if is_path and digits == _DIGITS[0] else str(value)

"""What an imported study may hold: checked before it is written, because anybody may have made it.

The schema is that of the record: which attributes searchlab reads, and of which types. Attributes
of other names are the user's own, and only bounded in depth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from searchlab.config.trained_folds import Machine
from searchlab.config.trial import Role, Scalar, Scheme
from searchlab.config.validation import Number, is_finite, to_input_error
from searchlab.errors import InputError
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import CLAIM, CREATED_BY
from searchlab.training.kept_answers import TestAnswers

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.transfer.contents import StudyContents

__all__ = ["check_record"]

_Held = TypeVar("_Held", Machine, TestAnswers)

_MAX_LEVELS = 16  # of lists and mappings in an attribute; curves have three
_MAX_STEPS = 10_000_000
_METRIC_NAMES = "study:metric_names"  # Optuna's


def _check_measured(value: object) -> object:
    """Let a number pass, infinite or none at all: the loss of a diverged trial."""
    if isinstance(value, float) or (isinstance(value, int) and is_finite(value)):
        return value
    raise InputError("must be a number", found=value)


_Count = Annotated[int, Field(ge=0, le=10**15)]
_Measured = Annotated[float | int, BeforeValidator(_check_measured)]
_FOLD_CURVES = TypeAdapter(list[list[_Measured]])
_CURVE = TypeAdapter(list[_Measured | None])


def _check_curves(curves: dict[str, Any]) -> dict[str, Any]:
    for name, curve in curves.items():
        # of the model on all images, of all folds together, else of each fold
        is_single = name == "seconds" or name.startswith("full_")
        (_CURVE if is_single else _FOLD_CURVES).validate_python(curve, strict=True)
    return curves


def _read(kind: type[_Held], data: dict[str, Any]) -> _Held:
    """Return the dataclass that a record holds as a dict, if it has its fields and no others."""
    if other := data.keys() - {field.name for field in fields(kind)}:
        raise InputError("must have no other fields", found=sorted(other))
    return TypeAdapter(kind).validate_json(json.dumps(data), strict=True)


def _check_machine(data: dict[str, Any]) -> dict[str, Any]:
    _read(Machine, data)
    return data


def _check_answers(data: dict[str, Any]) -> dict[str, Any]:
    answers = _read(TestAnswers, data)
    sizes = {len(answers.read_labels()), len(answers.read_guesses())}
    if (losses := answers.read_losses()) is not None:
        sizes.add(len(losses))
    if len(sizes) > 1:
        raise InputError("must have one answer to each image", found=sorted(sizes))
    return data


_Interruption = Literal[
    "taken_up", "worker_lost", "rerun_epochs", "restarts_without_progress", "in_vain", "epoch"
]


class _Progress(BaseModel):
    finished: bool = False
    totals: dict[Role, _Count] = {}


_Schema = Mapping[str, TypeAdapter[Any]]  # by the attribute's name


def _figures(figure: Any) -> _Schema:
    types = {attr.FOLD_VALUES: list[figure], attr.FIGURES: dict[str, figure]}
    types |= dict.fromkeys(attr.OWN_ATTRIBUTES, figure)
    return {key: TypeAdapter(kind) for key, kind in types.items()}


_TRIAL: _Schema = {
    attr.ROLE: TypeAdapter(Role),
    attr.LABEL: TypeAdapter(str),
    attr.SCHEME: TypeAdapter(Scheme),
    attr.PLAN: TypeAdapter(str),
    attr.FINALIST_OF: TypeAdapter(_Count),
    attr.SAME_AS: TypeAdapter(_Count),
    attr.CONFIRMATION_OF: TypeAdapter(_Count),
    attr.CONFIRMED_PLAN: TypeAdapter(str),
    attr.REPEAT: TypeAdapter(_Count),
    attr.LAST_EPOCH: TypeAdapter(_Count),
    attr.FOLD_EPOCH: TypeAdapter(_Count),
    attr.EPOCHS: TypeAdapter(_Count),
    attr.SECONDS: TypeAdapter(Number),
    attr.STOP_REASON: TypeAdapter(str),
    attr.RETRY_OF: TypeAdapter(_Count),
    attr.BATCH_SPLIT: TypeAdapter(_Count),
    attr.NODE: TypeAdapter(str),
    attr.ERROR: TypeAdapter(str | None),
    attr.TRAIN_LOSS: TypeAdapter(_Measured),
}
_ENDED_TRIAL: _Schema = {**_TRIAL, **_figures(_Measured)}
_COMPLETE_TRIAL: _Schema = {**_TRIAL, **_figures(Number)}
_TRIAL_SYSTEM: _Schema = {
    attr.CURVES: TypeAdapter(Annotated[dict[str, Any], AfterValidator(_check_curves)]),
    attr.INDEPENDENTLY_SAMPLED: TypeAdapter(list[str]),
    attr.INTERRUPTIONS: TypeAdapter(dict[_Interruption, _Count]),
    attr.EPOCH: TypeAdapter(_Count),
    attr.MACHINES: TypeAdapter(list[Annotated[dict[str, Any], AfterValidator(_check_machine)]]),
    attr.ANSWERS: TypeAdapter(Annotated[dict[str, Any], AfterValidator(_check_answers)]),
    CREATED_BY: TypeAdapter(str),
    CLAIM: TypeAdapter(str),
    # Optuna's, of a trial that was enqueued
    "fixed_params": TypeAdapter(dict[str, Scalar | None]),
    # Optuna's, as its version 4 wrote them
    "constraints": TypeAdapter(list[Number]),
}
_STUDY: _Schema = {
    attr.PROGRESS: TypeAdapter(_Progress),
    attr.HOSTS_LOST: TypeAdapter(list[str]),
    attr.EVALUATIONS: TypeAdapter(dict[str, dict[str, Number | str | list[str] | list[_Count]]]),
    attr.VERSION: TypeAdapter(str),
    attr.SPEC: TypeAdapter(str),
    attr.DATA_FINGERPRINT: TypeAdapter(str),
    attr.PLUGINS: TypeAdapter(dict[str, str]),
}
_STUDY_SYSTEM: _Schema = {_METRIC_NAMES: TypeAdapter(list[str])}
# By the beginning of their names: what Optuna and its dashboard number, or name by an id.
_PREFIXES: _Schema = {
    "completed_rung_": TypeAdapter(_Measured),
    "constraints:": TypeAdapter(Number),
    "artifacts:": TypeAdapter(str),
    "dashboard:artifacts:": TypeAdapter(str),
    "dashboard:note_str": TypeAdapter(str),
}
_ARTIFACT = TypeAdapter[dict[str, str | None] | None](dict[str, str | None] | None)


def check_record(contents: StudyContents, spec: StudySpec) -> None:
    """Raise InputError, which says where, if a study's contents are not what searchlab records."""
    wanted = [objective.natural_direction.lower() for objective in spec.objective]
    found = [direction.name.lower() for direction in contents.directions]
    if found != wanted:
        raise InputError(
            f"must be those of the study's objectives ({', '.join(wanted)})",
            where="the study's directions",
            found=", ".join(found) or "none",
        )
    _check_attributes(contents.user_attrs, _STUDY, "the study's attribute ")
    _check_attributes(contents.system_attrs, _STUDY_SYSTEM, "the study's attribute ")
    names = contents.system_attrs.get(_METRIC_NAMES)
    if names is not None and len(names) != len(wanted):
        raise InputError("must name each objective", where=_METRIC_NAMES, found=names)
    for trial in contents.trials:
        _check_trial(trial, num_trials=len(contents.trials), num_values=len(wanted))


def _check_trial(trial: FrozenTrial, *, num_trials: int, num_values: int) -> None:
    where = f"trial {trial.number}: "
    is_complete = trial.state == TrialState.COMPLETE
    _check_values(trial, num_values, where)
    _check_times(trial, where)
    _check_attributes(trial.user_attrs, _COMPLETE_TRIAL if is_complete else _ENDED_TRIAL, where)
    _check_attributes(trial.system_attrs, _TRIAL_SYSTEM, where)
    for key in (attr.FINALIST_OF, attr.CONFIRMATION_OF, attr.RETRY_OF, attr.SAME_AS):
        if trial.user_attrs.get(key, 0) >= num_trials:
            raise InputError("must be a trial", where=where + key, found=trial.user_attrs[key])
    for name, value in trial.params.items():
        _check_parameter(trial, name, value, where)
    for step, value in trial.intermediate_values.items():
        if not (isinstance(step, int) and 0 <= step <= _MAX_STEPS and isinstance(value, float)):
            raise InputError("must be a number at an epoch", where=f"{where}step", found=step)


def _check_values(trial: FrozenTrial, num_values: int, where: str) -> None:
    values, is_complete = trial.values or [], trial.state == TrialState.COMPLETE
    if not all(isinstance(value, float) for value in values):
        raise InputError("must be numbers", where=f"{where}values", found=values)
    if is_complete and not all(map(math.isfinite, values)):
        raise InputError("must be finite, because the trial is COMPLETE", where=f"{where}values")
    if len(values) != num_values and (values or is_complete):
        raise InputError(
            f"must be {num_values}, one for each objective", where=f"{where}values", found=values
        )


def _check_times(trial: FrozenTrial, where: str) -> None:
    is_begun = trial.state != TrialState.WAITING
    if is_begun and trial.datetime_start is None:
        raise InputError(f"must have begun: it is {trial.state.name}", where=where.rstrip(": "))
    if trial.state.is_finished() != (trial.datetime_complete is not None):
        rule = f"must have an end only if it has ended: it is {trial.state.name}"
        raise InputError(rule, where=where.rstrip(": "))


def _check_parameter(trial: FrozenTrial, name: str, value: Any, where: str) -> None:
    distribution = trial.distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        is_known = all(map(_is_scalar, distribution.choices)) and value in distribution.choices
    elif isinstance(distribution, FloatDistribution | IntDistribution):
        is_number = isinstance(value, int | float) and is_finite(value)
        is_known = is_number and distribution.low <= value <= distribution.high
    else:
        is_known = False
    if not is_known:
        raise InputError(f"is none of {distribution!r}", where=where + name, found=value)


def _is_scalar(value: object) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return is_finite(value)
    return value is None or isinstance(value, bool | str)


def _check_attributes(attributes: Mapping[str, Any], schema: _Schema, where: str) -> None:
    for key, value in attributes.items():
        if not isinstance(key, str):
            raise InputError("must have text for a name", where=where, found=key)
        _check_depth(value, where + key)
        kind = schema.get(key) or next(
            (kind for prefix, kind in _PREFIXES.items() if key.startswith(prefix)), None
        )
        if kind is not None:
            _check_type(kind, value, where + key)
        if key.startswith(("artifacts:", "dashboard:artifacts:")):
            _check_artifact(value, where + key)


def _check_type(kind: TypeAdapter[Any], value: Any, where: str) -> None:
    try:
        kind.validate_python(value, strict=True)
    except ValidationError as failure:
        error = to_input_error(failure.errors(include_url=False)[0])
        raise error.at(where) from None


def _check_artifact(text: str, where: str) -> None:
    """Raise InputError if the dashboard would fall over an artifact's description."""
    try:
        artifact = _ARTIFACT.validate_json(text, strict=True)
    except ValidationError:
        artifact = {}
    if artifact is not None and not all(
        artifact.get(name) for name in ("artifact_id", "filename", "mimetype")
    ):
        raise InputError("must describe an artifact", where=where, found=text)


def _check_depth(value: Any, where: str) -> None:
    """Go through a value level by level, because its own depth may exceed Python's stack."""
    level = [value]
    for _ in range(_MAX_LEVELS):
        level = [part for item in level for part in _parts_of(item)]
    if level:
        raise InputError(f"is nested too deeply: {_MAX_LEVELS} levels at most", where=where)


def _parts_of(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()

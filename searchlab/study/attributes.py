"""The user attributes that a trial carries in Optuna's storage: names, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.trial import Role

__all__ = [
    "CURVES",
    "EPOCHS",
    "ERROR",
    "FINALIST_OF",
    "FOLD_VALUES",
    "LABEL",
    "NUM_PARAMETERS",
    "PLAN",
    "PROGRESS",
    "ROLE",
    "SCHEME",
    "SECONDS",
    "STOP_REASON",
    "TEST_ACCURACY",
    "TEST_LOSS",
    "TrialRecord",
]

ROLE = (
    "role"  # baseline | search | finalist; absent on a trial that was cut off while asked: search
)
LABEL = "label"  # a2/DT, cnn
SCHEME = "scheme"  # HF | HT | DT
PLAN = "plan"  # which entry of a fixed list this trial is, so that none runs twice
FINALIST_OF = "finalist_of"  # the search trial that a finalist repeats on every fold
FOLD_VALUES = "fold_values"  # the objective's metric of each fold, at the folds' best epoch
EPOCHS = "epochs"  # epochs trained
NUM_PARAMETERS = "num_parameters"
SECONDS = "seconds"  # training time on the worker
STOP_REASON = "stop_reason"  # pruned | diverged | error; absent on COMPLETE
ERROR = "error"  # last line of what went wrong
TEST_ACCURACY = "test_accuracy"  # baselines and finalists only
TEST_LOSS = "test_loss"

# A system attribute, since the dashboard would print the whole of it in its tables:
# {train_loss | train_accuracy | validation_loss | validation_accuracy: [fold][epoch],
# seconds: [epoch]}.
CURVES = "searchlab:curves"

# Of the study, not of a trial: {"finished": bool, "totals": {role: trials asked for}}.
PROGRESS = "searchlab.progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial of the storage, read back: what reports need, with the defaults filled in."""

    number: int
    state: str
    role: Role
    label: str
    scheme: str
    value: float | None
    params: dict[str, object]
    fold_values: tuple[float, ...]
    finalist_of: int | None
    epochs: int
    num_parameters: int | None
    seconds: float
    stop_reason: str | None
    error: str | None
    test_accuracy: float | None
    test_loss: float | None

    @classmethod
    def from_trial(cls, trial: FrozenTrial) -> TrialRecord:
        """Read a trial as Optuna returns it, finished or not."""
        attrs = trial.user_attrs
        value = trial.values[0] if trial.values else None
        return cls(
            number=trial.number,
            state=trial.state.name,
            role=attrs.get(ROLE, "search"),
            label=attrs.get(LABEL, str(trial.params.get("family", "?"))),
            scheme=attrs.get(SCHEME, "DT"),
            value=value,
            params=dict(trial.params),
            fold_values=tuple(attrs.get(FOLD_VALUES, ())),
            finalist_of=attrs.get(FINALIST_OF),
            epochs=attrs.get(EPOCHS, len(trial.intermediate_values)),
            num_parameters=attrs.get(NUM_PARAMETERS),
            seconds=attrs.get(SECONDS, 0.0),
            stop_reason=attrs.get(STOP_REASON),
            error=attrs.get(ERROR),
            test_accuracy=attrs.get(TEST_ACCURACY),
            test_loss=attrs.get(TEST_LOSS),
        )

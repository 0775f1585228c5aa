"""The attributes that a study and its trials carry in the storage: names, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from searchlab.config.metrics import Figures, list_metrics
from searchlab.config.trained_folds import Machine
from searchlab.records.recorded_values import params_of
from searchlab.training.kept_answers import TestAnswers

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.trial import Role, Scalar

__all__ = [
    "ANSWERS",
    "BATCH_SPLIT",
    "CLAIM",
    "CONFIRMATION_OF",
    "CONFIRMED_PLAN",
    "CONFUSIONS_OF",
    "CREATED_BY",
    "CURVES",
    "DATA_FINGERPRINT",
    "EPOCH",
    "EPOCHS",
    "ERROR",
    "EVALUATIONS",
    "FIGURES",
    "FINALIST_OF",
    "FOLD_EPOCH",
    "FOLD_VALUES",
    "HOSTS_LOST",
    "INDEPENDENTLY_SAMPLED",
    "INTERRUPTIONS",
    "LABEL",
    "LAST_EPOCH",
    "MACHINES",
    "NODE",
    "OWN_ATTRIBUTES",
    "PLAN",
    "PLUGINS",
    "PROGRESS",
    "REPEAT",
    "REPEATING_ROLES",
    "REPEATS",
    "RETRY_OF",
    "ROLE",
    "SAME_AS",
    "SCHEME",
    "SECONDS",
    "SPEC",
    "STOP_REASON",
    "TRAIN_LOSS",
    "VERSION",
    "Interruptions",
    "TrialRecord",
    "are_rounded",
    "last_epoch_of",
    "owner_of",
]

# baseline | search | finalist | confirmation; absent on a trial that was cut off while it was
# asked for: search
ROLE = "role"
LABEL = "label"  # a2/DT, cnn
SCHEME = "scheme"  # HF | HT | DT
PLAN = "plan"  # which entry of a fixed list this trial is, so that none runs twice
FINALIST_OF = "finalist_of"  # the search trial that a finalist repeats on every fold
SAME_AS = "same_as"  # the search trial of the same configuration whose result a search trial has
CONFIRMATION_OF = "confirmation_of"  # the finalist or baseline that a confirmation trains again
CONFIRMED_PLAN = "confirmed_plan"  # which entry of a fixed list that one is
REPEAT = "repeat"  # of a confirmation: 1, 2, ...
LAST_EPOCH = "last_epoch"  # with which a confirmation ends: the FOLD_EPOCH of what it confirms
FOLD_EPOCH = "fold_epoch"  # the epoch that all folds of the trial chose together
FOLD_VALUES = "fold_values"  # the objective's metric of each fold, at the folds' best epoch
EPOCHS = "epochs"  # epochs trained
SECONDS = "seconds"  # training time on the worker
STOP_REASON = "stop_reason"  # pruned | diverged | error | oom | lost; absent on COMPLETE
RETRY_OF = "retry_of"  # the lost trial whose parameters a trial runs again
BATCH_SPLIT = "batch_split"  # parts in which batches were trained, if memory ran out
NODE = "node"  # address of the host that ended the trial, on a cluster
ERROR = "error"  # last line of what went wrong
TRAIN_LOSS = "train_loss"  # mean over the trial's folds in its last epoch
FIGURES = "figures"  # {a metric's stored_key or test_key: figure}, in one write

# Figures that are attributes of their own too, because the first searchlab wrote them so and users'
# scripts read them. A metric that comes in later needs none.
OWN_ATTRIBUTES = (
    "num_parameters", "multiply_adds", "latency_ms", "robust_accuracy", "test_accuracy",
    "test_loss", "test_robust_accuracy",
)  # fmt: skip

# A system attribute, because the dashboard would print all of it in its tables:
# {train_loss | train_accuracy | a metric's curve_key: [fold][epoch],
# full_train_loss | full_train_accuracy: [epoch] of the model on all training images, absent from
# earlier records and None in epochs of earlier checkpoints, seconds: [epoch]}.
# Figures are exact; searchlab before December 2026 rounded them (``are_rounded``).
CURVES = "searchlab:curves"

# Likewise: the parameters that a sampler drew alone though it could have seen them with others.
INDEPENDENTLY_SAMPLED = "searchlab:alone"

# Likewise: an Interruptions as a dict; absent if there were none.
INTERRUPTIONS = "searchlab:interruptions"

# Likewise: each Machine on which the trial's epochs were trained, as a dict; absent from earlier
# records, and without those of epochs that an earlier driver did not live to record.
MACHINES = "searchlab:machines"

# Likewise: the last recorded epoch of a study with several objectives, because Optuna takes no
# intermediate values for those.
EPOCH = "searchlab:epoch"

# Likewise: the TestAnswers of a confirmation as a dict.
ANSWERS = "searchlab:test_answers"

# Likewise: the driver that a trial belongs to, and a count, ``{driver}/{n}`` (``owner_of``): in the
# first transaction of the trial's row.
CREATED_BY = "searchlab:origin"

# Likewise: who took a waiting trial, in the transaction that took it.
CLAIM = "searchlab:claim"

# The constraint, in Optuna's sense, that a trial of these roles breaks, because it trains another
# one again: Optuna's own best trial is then a search trial or a baseline, never the luckiest folds
# of a finalist or a test figure. No sampler sees these roles. Earlier records have none.
REPEATS = "repeats_another_trial"
REPEATING_ROLES: tuple[Role, ...] = ("finalist", "confirmation")

# User attributes of the study, not of a trial.
SPEC = "searchlab.study"  # the study as it is run, as JSON (recorded_spec.py)
VERSION = "searchlab.version"  # of the searchlab that began it
DATA_FINGERPRINT = "searchlab.data_fingerprint"
PLUGINS = "searchlab.plugins"  # {plugin: digest of its source}
PROGRESS = "searchlab.progress"  # {"finished": bool, "totals": {role: trials asked for}}
HOSTS_LOST = "searchlab.hosts_lost"  # a name for each time that a host was lost
# {ensemble, baseline, or CONFUSIONS_OF and a baseline: its figures}
EVALUATIONS = "searchlab.evaluations"
CONFUSIONS_OF = "confusions of "


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """How often a later driver took a trial up or its worker died, and what that cost.

    ``restarts_without_progress`` counts those in a row with no epoch recorded after ``epoch``.
    """

    taken_up: int = 0
    worker_lost: int = 0
    rerun_epochs: int = 0
    restarts_without_progress: int = 0
    epoch: int = 0

    @classmethod
    def from_data(cls, data: dict[str, int]) -> Interruptions:
        """Read what a trial carries; searchlab before November 2026 had another name."""
        if "in_vain" in data:
            data = {**data, "restarts_without_progress": data["in_vain"]}
            del data["in_vain"]
        return cls(**data)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial of the storage, read back: what reports need, with the defaults filled in.

    ``value`` is the first objective's, ``values`` are all of them; a confirmation trains on no
    folds, so it has none: what Optuna keeps as its value is of the test set. ``figures`` are by
    metric: those of folds are means over the search folds at the best epoch; ``test_figures`` are
    of the test set, which search trials never meet. ``train_losses`` are those of each fold's model
    in its last epoch; ``full_train_loss`` is that of the model on all training images, None if the
    trial has no such model or its losses were not kept. ``first_train_losses`` and
    ``first_full_train_loss`` are those of the first epoch. ``fold_epoch`` is the epoch that all its
    folds chose together; ``answers`` are those of a confirmation to the test images. ``same_as`` is
    the trial whose result one has that was not trained.
    """

    number: int
    state: str
    role: Role
    label: str
    scheme: str
    value: float | None
    params: dict[str, Scalar]
    fold_values: tuple[float, ...]
    finalist_of: int | None
    epochs: int
    seconds: float
    stop_reason: str | None
    error: str | None
    figures: Figures
    test_figures: Figures
    values: tuple[float, ...] = ()
    train_losses: tuple[float, ...] = ()
    full_train_loss: float | None = None
    first_train_losses: tuple[float, ...] = ()
    first_full_train_loss: float | None = None
    plan: str | None = None
    fold_epoch: int | None = None
    confirmation_of: int | None = None
    confirmed_plan: str | None = None
    repeat: int = 0
    last_epoch: int | None = None
    answers: TestAnswers | None = None
    retry_of: int | None = None
    interruptions: Interruptions | None = None
    machines: tuple[Machine, ...] = ()
    batch_split: int = 1
    same_as: int | None = None

    @property
    def is_replaced(self) -> bool:
        """Whether this trial was lost, so that another one runs in its place."""
        return self.state == "FAIL" and self.stop_reason == "lost" and self.retry_of is None

    @classmethod
    def from_trial(cls, trial: FrozenTrial) -> TrialRecord:
        """Read a trial as Optuna returns it, finished or not."""
        attrs, known, metrics = trial.user_attrs, _read_figures(trial), list_metrics()
        role: Role = attrs.get(ROLE, "search")
        values = () if role == "confirmation" else tuple(trial.values or ())
        return cls(
            number=trial.number,
            state=trial.state.name,
            role=role,
            label=attrs.get(LABEL, str(trial.params.get("family", "?"))),
            scheme=attrs.get(SCHEME, "DT"),
            value=values[0] if values else None,
            values=values,
            params=params_of(trial),
            fold_values=tuple(attrs.get(FOLD_VALUES, ())),
            finalist_of=attrs.get(FINALIST_OF),
            epochs=attrs.get(EPOCHS, len(trial.intermediate_values)),
            seconds=attrs.get(SECONDS, 0.0),
            stop_reason=attrs.get(STOP_REASON),
            error=attrs.get(ERROR),
            figures={m.name: known[m.stored_key] for m in metrics if m.stored_key in known},
            test_figures={m.name: known[m.test_key] for m in metrics if m.test_key in known},
            train_losses=_train_losses_at(-1, trial),
            full_train_loss=_full_train_loss_at(-1, trial),
            first_train_losses=_train_losses_at(0, trial),
            first_full_train_loss=_full_train_loss_at(0, trial),
            plan=attrs.get(PLAN),
            fold_epoch=attrs.get(FOLD_EPOCH),
            confirmation_of=attrs.get(CONFIRMATION_OF),
            confirmed_plan=attrs.get(CONFIRMED_PLAN),
            repeat=attrs.get(REPEAT, 0),
            last_epoch=attrs.get(LAST_EPOCH),
            answers=_read_answers(trial),
            retry_of=attrs.get(RETRY_OF),
            interruptions=_read_interruptions(trial),
            machines=tuple(Machine(**one) for one in trial.system_attrs.get(MACHINES, ())),
            batch_split=attrs.get(BATCH_SPLIT, 1),
            same_as=attrs.get(SAME_AS),
        )


def last_epoch_of(trial: FrozenTrial) -> int:
    """Return the last epoch of a trial that the storage knows, 0 for none."""
    return max([*trial.intermediate_values, int(trial.system_attrs.get(EPOCH, 0))])


def are_rounded(curves: Mapping[str, list[Any]]) -> bool:
    """Return whether learning curves are rounded to 6 digits; exact losses have more."""
    figures = (
        figure
        for name, curve in curves.items()
        if name != "seconds"
        for part in curve
        for figure in (part if isinstance(part, list) else [part])
    )
    return all(figure is None or figure == round(figure, 6) for figure in figures)


def _read_figures(trial: FrozenTrial) -> dict[str, float]:
    attrs = trial.user_attrs
    own = {key: attrs[key] for key in OWN_ATTRIBUTES if key in attrs}
    return {**own, **attrs.get(FIGURES, {})}


def _train_losses_at(place: int, trial: FrozenTrial) -> tuple[float, ...]:
    folds = trial.system_attrs.get(CURVES, {}).get("train_loss", ())
    return tuple(losses[place] for losses in folds if losses)


def _full_train_loss_at(place: int, trial: FrozenTrial) -> float | None:
    losses: list[float | None] = trial.system_attrs.get(CURVES, {}).get("full_train_loss", [])
    return losses[place] if losses else None


def _read_answers(trial: FrozenTrial) -> TestAnswers | None:
    known = trial.system_attrs.get(ANSWERS)
    return None if known is None else TestAnswers(**known)


def _read_interruptions(trial: FrozenTrial) -> Interruptions | None:
    known = trial.system_attrs.get(INTERRUPTIONS)
    return None if known is None else Interruptions.from_data(known)


def owner_of(stamp: str | None) -> str | None:
    """Return the driver that a trial's CREATED_BY stamp names."""
    return None if stamp is None else stamp.rpartition("/")[0]

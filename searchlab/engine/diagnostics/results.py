"""What diagnostics measure: results as their files keep them, and the keys of these.

A report reads them, and torch takes longer to import than a report to make. So it is not imported
here; what is measured, and how, says the file of each diagnostic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.analysis.calibration import Calibration
from searchlab.analysis.duplicates import CopyCounts
from searchlab.analysis.measured_layers import LayerProbe, MovedFilters, NeuronCorrelations
from searchlab.config.attacks import AttackName
from searchlab.config.seeds import derive_seed
from searchlab.config.trained_folds import Machine
from searchlab.training.kept_answers import TestAnswers

if TYPE_CHECKING:
    from searchlab.records.trial_record import TrialRecord

__all__ = [
    "COPIES_KEY",
    "LAYERS",
    "AttackCurve",
    "CopiedImage",
    "CopiedImages",
    "CorrelatedNeurons",
    "Ensembles",
    "FirstFilters",
    "LayerName",
    "Mistake",
    "ModelErrors",
    "ModelPair",
    "ModelRobustness",
    "Neurons",
    "Part",
    "Place",
    "ProbedEpoch",
    "ProbedTraining",
    "ShownImage",
    "SuspectImage",
    "SuspectLabels",
    "Tempered",
    "Untempered",
    "WeightedEnsemble",
    "choose_compared",
    "ensemble_key",
    "errors_key",
    "filters_key",
    "labels_key",
    "layers_key",
    "list_members",
    "neurons_key",
    "robustness_key",
]

Part = Literal["training", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which image of a dataset it is, and its label.

    ``file`` is relative to the dataset's root, None if the dataset is not made of image files.
    """

    part: Part
    index: int
    file: str | None
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImage:
    """An image to look at: a PNG in base64, at most 56 pixels a side."""

    place: Place
    width: int
    height: int
    png: str


Untempered = Literal["too large", "taken over", "not kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A test image that a model takes for ``answer``, and the probability that it gives to that."""

    image: ShownImage
    answer: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempered:
    """How sure a model is at the temperature that suits so many held-out training images best."""

    temperature: float
    images: int
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelErrors:
    """A trial's kept model on all test images: its answers, how sure it is, and its mistakes.

    Of ``images`` it gets ``wrong`` wrong, ``sure_and_wrong`` of them with a confidence above
    ``surely``. ``surest`` are the mistakes with the greatest confidence; ``confused`` are some of
    each of the pairs of classes that it confuses most often. Without held-out predictions it is not
    ``tempered``; ``untempered`` says why.
    """

    class_names: list[str]
    answers: TestAnswers
    images: int
    wrong: int
    surely: float
    sure_and_wrong: int
    calibration: Calibration
    tempered: Tempered | None
    untempered: Untempered | None
    confused: list[Mistake]
    surest: list[Mistake]


def errors_key(number: int) -> str:
    """Return the key of a trial's errors."""
    return f"errors-{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectImage:
    """An image that so many models, all that were asked, take for ``answer`` instead of its label.

    ``confidence`` is the least of those that are known.
    """

    image: ShownImage
    answer: int
    models: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectLabels:
    """The images of one set whose label looks wrong: how many of those asked about, the first few.

    ``asked`` are the trials whose models were asked. Trials whose models are mostly wrong
    (``mostly_wrong``) are no witnesses, and some have no predictions of held-out images
    (``unknown``). ``images`` are those about which at least two models were asked.
    """

    class_names: list[str]
    asked: list[int]
    mostly_wrong: list[int]
    unknown: list[int]
    images: int
    count: int
    shown: list[SuspectImage]


def labels_key(part: Part, records: Iterable[TrialRecord]) -> str:
    """Return the key of a set's suspect labels: a study that is extended asks more models."""
    kept = (
        record.number
        for record in records
        if record.role != "search" and record.state == "COMPLETE"
    )
    return f"labels-{part}-{derive_seed(*kept):x}"


COPIES_KEY = "copies"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedImage:
    """An image that occurs ``times`` times, at these places among others."""

    image: ShownImage
    times: int
    places: list[Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedImages:
    """The copies among so many images: how many there are, and the first few.

    Those whose labels differ are shown first, then those that are in both sets.
    """

    class_names: list[str]
    training_images: int
    test_images: int
    counts: CopyCounts
    shown: list[CopiedImage]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFilters:
    """The filters of a trial's model on all training images; None if it has no convolution."""

    moved: MovedFilters | None


def filters_key(number: int) -> str:
    """Return the key of a trial's filters."""
    return f"filters-{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedEpoch:
    """The layers after an epoch; epoch 0 is before the first."""

    epoch: int
    layers: list[LayerProbe]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedTraining:
    """The layers of a trial's model on all training images, on ``num_images`` of these.

    The model was trained again to see them, on ``machine``, up to the epoch whose weights are kept;
    ``is_same`` says whether its weights are those to the bit. ``epochs`` has the first, the last,
    and of the others what is needed to be at most 31 at even distances.
    """

    num_images: int
    is_same: bool
    machine: Machine
    epochs: list[ProbedEpoch]


def layers_key(number: int) -> str:
    """Return the key of a trial's layers."""
    return f"layers-{number}"


LayerName = Literal["features", "logits"]

LAYERS: tuple[LayerName, ...] = ("features", "logits")
"""What is correlated: the inputs of the last fully connected layer, and its outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelatedNeurons:
    """The correlations of a layer of a trial's model.

    ``num_all`` is how many neurons the layer has, from which ``figures`` take at most 2,048 and
    the rows of ``matrix`` 64, at even distances.
    """

    number: int
    layer: LayerName
    num_all: int
    figures: NeuronCorrelations
    matrix: list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPair:
    """The similarity (linear CKA) of a layer of two trials' models."""

    one: int
    other: int
    layer: LayerName
    cka: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurons:
    """The layers of all compared models; those are missing that no model has or that are silent."""

    num_images: int
    layers: list[CorrelatedNeurons]
    pairs: list[ModelPair]


def choose_compared(
    subjects: Sequence[TrialRecord], records: Sequence[TrialRecord]
) -> list[TrialRecord]:
    """Return the subjects and, if another kept model is a ResNet-18, that one (report 003)."""
    chosen = [*subjects]
    known = {record.number for record in chosen}
    residual = [
        record
        for record in records
        if record.role in ("baseline", "finalist")
        and record.state == "COMPLETE"
        and record.params.get("family") == "resnet"
        and record.params.get("resnet.variant", 18) == 18
    ]
    if residual and not known & {record.number for record in residual}:
        chosen.append(residual[0])
    return chosen


def neurons_key(compared: Sequence[TrialRecord]) -> str:
    """Return the key of the comparison of these trials."""
    return "-".join(["neurons", *(str(record.number) for record in compared)])


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackCurve:
    """The accuracy under an attack by its largest change of a pixel in [0, 1], from 0 on."""

    attack: AttackName
    steps: int
    epsilons: list[float]
    accuracies: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRobustness:
    """A trial's model under attacks, on so many of the test images, drawn at random."""

    images: int
    curves: list[AttackCurve]


def robustness_key(number: int) -> str:
    """Return the key of a trial's robustness."""
    return f"robustness-{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedEnsemble:
    """The weight of each member, and what the ensemble measures on the test set, by metric."""

    weights: list[float]
    figures: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensembles:
    """The finalists ``members`` (numbers of trials), each alone on the test set, and together.

    ``greedy`` has the weights that do best on ``held_out_images`` images to train on, of which each
    was answered by a model that had not seen it. ``without_greedy`` says why there is none.
    """

    members: list[int]
    alone: list[dict[str, float]]
    average: WeightedEnsemble
    greedy: WeightedEnsemble | None
    held_out_images: int
    without_greedy: str = ""


def list_members(records: Sequence[TrialRecord]) -> list[int]:
    """Return the finalists that have a model."""
    return [
        record.number
        for record in records
        if record.role == "finalist" and record.state == "COMPLETE"
    ]


def ensemble_key(members: Sequence[int]) -> str:
    """Return the key of the ensemble of these trials: short, however many there are."""
    return f"ensemble-{derive_seed(*members):x}"

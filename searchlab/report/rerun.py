"""Training a recorded trial again, in this process, to see whether it is the same to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.config.plugins import load_plugins
from searchlab.config.trained_folds import Machine
from searchlab.engine.devices import choose_device
from searchlab.errors import InfrastructureError, InputError
from searchlab.records.trial_record import VERSION, TrialRecord
from searchlab.report.record_comparison import Difference, TrialComparison
from searchlab.study.preparation.prepared_study import open_space, read_images
from searchlab.study.study_access import check_images, check_plugins
from searchlab.study.trial_config import recorded_config
from searchlab.training.checkpoint import model_path
from searchlab.training.cohort import Cohort
from searchlab.training.failures import describe_failure
from searchlab.training.images import TrainingData
from searchlab.training.machine import describe_machine
from searchlab.training.process import repeatable
from searchlab.training.results import EpochResult
from searchlab.training.saved_models import read_model
from searchlab.version import __version__

if TYPE_CHECKING:
    from searchlab.data.decoding import Progress
    from searchlab.report.reading import StudyReading

__all__ = ["Rerun", "rerun_trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What came of training a trial again: ``difference`` is the first, None if there is none.

    ``rounded`` and ``exact`` say what was compared with the record, and how. ``remarks`` name what
    is not as it was when the trial was recorded, or is not known.
    """

    record: TrialRecord
    num_models: int
    num_epochs: int
    difference: Difference | None
    rounded: tuple[str, ...]
    exact: tuple[str, ...]
    machine: Machine
    remarks: tuple[str, ...]

    def to_data(self) -> dict[str, Any]:
        """Return it as ``trial rerun --json`` prints it."""
        return {
            "number": self.record.number,
            "label": self.record.label,
            "is_same": self.difference is None,
            "num_models": self.num_models,
            "num_epochs": self.num_epochs,
            "difference": self.difference and asdict(self.difference),
            "compared_exactly": list(self.exact),
            "compared_rounded": list(self.rounded),
            "machine": asdict(self.machine),
            "remarks": list(self.remarks),
        }


def rerun_trial(
    reading: StudyReading,
    number: int,
    *,
    data_dir: Path,
    on_decoding: Progress | None = None,
    on_epoch: Callable[[int, int], None] = lambda _done, _total: None,
) -> Rerun:
    """Train a trial that ended again, until it is over or differs from its record.

    Nothing is written. Images and plugins must be those that the study recorded. ``on_epoch`` is
    told how many epochs are trained, and of how many. Raises InputError if the trial cannot be
    compared, InfrastructureError if memory or the GPU fails.
    """
    record = reading.find_trial(number)
    trial = reading.trials[reading.records.index(record)]
    comparison = TrialComparison(trial, search_folds=reading.spec.validation.search_folds)
    _check_comparable(record, comparison)
    file = reading.run.load()
    load_plugins(file.spec.plugins)
    check_plugins(reading.attributes, file.spec)
    config = recorded_config(file.spec, open_space(file.spec), trial)
    images, folds = read_images(file, data_dir=data_dir, on_progress=on_decoding)
    check_images(reading.attributes, images)
    resources = file.spec.resources
    num_threads = max(1, int(resources.cpus))
    if record.machines:
        num_threads = record.machines[-1].num_threads
    device = choose_device("auto" if resources.gpus else 0)
    with repeatable(num_threads, device):
        machine = describe_machine(device)
        data = TrainingData.from_images(images, folds, device)
        batch_split = record.batch_split
        try:
            cohort = Cohort(config, data, batch_split=batch_split)
            difference = _compare(cohort, comparison, record, on_epoch)
        except (RuntimeError, MemoryError) as error:
            failure = describe_failure(error)
            if failure.kind not in ("oom", "device"):
                raise
            raise InfrastructureError(
                f"trial {number} could not be trained here: {failure.message}"
            ) from error
    saved = model_path(reading.run.models, number)
    if difference is None and cohort.best_weights is not None and saved.is_file():
        difference = comparison.compare_weights(read_model(saved)[1], cohort.best_weights)
    return Rerun(
        record=record,
        num_models=config.folds.num_members,
        num_epochs=cohort.epoch,
        difference=difference,
        rounded=tuple(comparison.rounded),
        exact=tuple(comparison.exact),
        machine=machine,
        remarks=tuple(_list_remarks(record, machine, reading.attributes.get(VERSION), batch_split)),
    )


def _check_comparable(record: TrialRecord, comparison: TrialComparison) -> None:
    """Raise InputError unless the trial ended and recorded what it found."""
    where = f"trial {record.number}"
    if record.state in ("RUNNING", "WAITING"):
        raise InputError("has not ended yet", where=where, remedy="Wait, or resume its study")
    if record.state == "FAIL":
        raise InputError(
            f"failed ({record.error or record.stop_reason or 'for an unknown reason'}), so it has "
            "no result to compare",
            where=where,
        )
    if comparison.num_epochs == 0 and record.stop_reason != "diverged":
        raise InputError("has recorded no epoch to compare", where=where)


def _compare(
    cohort: Cohort,
    comparison: TrialComparison,
    record: TrialRecord,
    on_epoch: Callable[[int, int], None],
) -> Difference | None:
    """Train until the trial is over, or differs from its record."""
    num_epochs = max(record.epochs, comparison.num_epochs)
    on_epoch(0, num_epochs)
    result: EpochResult | None = None
    while result is None or (result.epoch < num_epochs and not result.done):
        result = cohort.run_epoch()
        on_epoch(result.epoch, num_epochs)
        if (difference := comparison.compare_epoch(result)) is not None:
            return difference
    is_complete = record.state == "COMPLETE"
    if result.epoch != num_epochs or (is_complete and not result.done):
        return Difference(
            epoch=result.epoch,
            fold=None,
            figure="number of epochs",
            recorded=num_epochs,
            found=result.epoch if result.done else cohort.config.settings.epochs,
        )
    return comparison.compare_end() if is_complete else None


def _list_remarks(
    record: TrialRecord, machine: Machine, version: object, batch_split: int
) -> Iterator[str]:
    if version != __version__:
        yield f"the study began with searchlab {version or 'unknown'}, this is {__version__}"
    if not record.machines:
        yield "the trial did not record with which device and version of torch it was trained"
    elif set(record.machines) != {machine}:
        before = " and on ".join(map(str, record.machines))
        yield f"the trial was trained on {before}, this was on {machine}"
    if batch_split > 1:
        yield (
            "the trial ran out of memory, and its record does not tell from which epoch on its "
            f"batches were split into {batch_split} parts; here all were"
        )

"""Weights of earlier runs as the start of a study: which file, and whether it may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.config.run_weights import RunWeights, name_run_weights
from searchlab.errors import InputError
from searchlab.records.run_folder import find_run

if TYPE_CHECKING:
    from pathlib import Path

    from searchlab.config.loading import StudyFile
    from searchlab.config.study import StudySpec
    from searchlab.report.reading import StudyReading

__all__ = ["with_run_weights"]


def with_run_weights(file: StudyFile, runs_dir: Path) -> tuple[StudyFile, list[str]]:
    """Return a study with a file for each ``run:NAME`` among its weights, and a line on each.

    The winner's model serves, as it does for ``export``, or that of the trial with the number.
    Raises InputError if there is no such model, or if it was trained on images of the study itself:
    then its folds would be validated on images that their models have seen.
    """
    lines: list[str] = []

    def find(weights: RunWeights) -> str:
        # Most studies have no such weights, and these import torch.
        from searchlab.report.model_export import choose_trial
        from searchlab.report.reading import read_study
        from searchlab.report.trained_model import find_weights

        reading = read_study(find_run(weights.run, runs_dir), None)
        _check_images(file.spec, reading)
        record = choose_trial(reading, weights.number)
        path = find_weights(reading, record)
        lines.append(f"weights of {reading.spec.name}: trial #{record.number} {record.label}")
        return str(path.resolve())

    return name_run_weights(file, find), lines


def _check_images(spec: StudySpec, reading: StudyReading) -> None:
    ours, theirs = spec.dataset, reading.spec.dataset
    if (ours.name, ours.root) == (theirs.name, theirs.root):
        raise InputError(
            f"its model was trained on {theirs.name} too, so it has seen the images of this "
            "study's validation folds",
            remedy="Start from a run on other images",
        )

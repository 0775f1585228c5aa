"""What a study's ``trackers`` may say, and what is refused before anything starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from tracked_studies import spec_with

from searchlab.config.validation import Spec
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.study.callbacks import StudyCallback
from searchlab.trackers import make_trackers, register_tracker
from searchlab.trackers import registry as trackers


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tensorbord": {}}, "trackers must be a tracker, got 'tensorbord'. Did you mean tensorb"),
        ({"tensorboard": {"dir": "x"}}, "trackers.tensorboard.dir is not a known field"),
        ({"mlflow": {"uri": 3}}, "trackers.mlflow.uri must be a string, got 3"),
        (
            {"mlflow": {"uri": "http://me:secret@host"}},
            "trackers.mlflow.uri must not hold a password, because study.yaml would keep it. Set "
            "MLFLOW_TRACKING_URI instead",
        ),
        (
            {"mlflow": {"uri": "file:mlruns"}},
            "must not be a folder of files, which MLflow no longer develops, got 'file:mlruns'",
        ),
    ],
)
def test_a_wrong_tracker_or_option_is_named(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        make_trackers(spec_with(**given), RunFolder(tmp_path))
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_names_the_command_that_installs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(InputError) as refused:
        make_trackers(spec_with(**{name: {}}), RunFolder(tmp_path))
    assert str(refused.value) == (
        f"the tracker {name} needs {name}, which is not installed. "
        f"Install with: pip install 'searchlab[{name}]'"
    )


def test_a_tracker_of_a_plugin_gets_its_options_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "_kinds", dict(trackers._kinds))
    made: list[tuple[Any, Path]] = []

    class Options(Spec):
        every: int = 1

    @register_tracker("own", options=Options)
    class Own(StudyCallback):
        def __init__(self, options: Options, folder: Path) -> None:
            made.append((options, folder))

    make_trackers(spec_with(own={"every": 5}), RunFolder(tmp_path))
    assert made == [(Options(every=5), tmp_path / "trackers" / "own")]

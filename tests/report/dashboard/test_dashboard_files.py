"""Files that optuna-dashboard offers of runs: curves, confusions, configurations, the report."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from driven_runs import ask, copy_finished, drive_run, show
from optuna.artifacts.exceptions import ArtifactNotFound

from searchlab.config.configuration import ConfigurationSpec
from searchlab.records.run_folder import RunFolder
from searchlab.report.dashboard.files import RunFiles
from searchlab.report.dashboard.storage import RunsStorage
from searchlab.report.leaderboard import best_row
from searchlab.report.reading import read_study
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.trial_config import recorded_config

WHOLE, CONFIRMATIONS = 5, 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return copy_finished(tmp_path_factory.mktemp("filed"))


@pytest.fixture(scope="module")
def shown(run: RunFolder) -> RunsStorage:
    return show(run)


def list_files(storage: RunsStorage, number: int, study: int = WHOLE) -> dict[str, str]:
    """Return the keys of a trial's files by their names."""
    trials = ask(storage, f"/api/studies/{study}")["trials"]
    [trial] = [one for one in trials if one["number"] == number]
    return {one["filename"]: one["artifact_id"] for one in trial["artifacts"]}


def read(storage: RunsStorage, key: str) -> str:
    with RunFiles(storage).open_reader(key) as file:
        return file.read().decode()


def read_texts(picture: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(picture).iter() if node.tag.endswith("text")]


def test_a_trial_has_its_curves_and_its_configuration(shown: RunsStorage, run: RunFolder) -> None:
    files = list_files(shown, 3)
    assert list(files) == ["curves-3.svg", "configuration-3.yaml"], "no answers are kept of it"
    texts = read_texts(read(shown, files["curves-3.svg"]))
    assert {"accuracy in %", "loss", "training", "validation", "epoch"} <= set(texts)
    reading = read_study(run, None)
    data = yaml.safe_load(read(shown, files["configuration-3.yaml"]))
    config = recorded_config(reading.spec, SpecSpace(reading.spec), reading.trials[3])
    configuration = ConfigurationSpec.model_validate(data)
    assert configuration.training == config.settings
    assert configuration.model.family == config.model.family


def test_a_confirmed_trial_and_its_confirmations_have_the_confusions(
    shown: RunsStorage, run: RunFolder
) -> None:
    reading = read_study(run, None)
    winner = best_row(reading.records, reading.spec)
    assert winner is not None
    repeats = [one.number for one in reading.records if one.confirmation_of == winner.number]
    mean = read_texts(
        read(shown, list_files(shown, winner.number)[f"confusion-{winner.number}.svg"])
    )
    assert mean[0] == f"#{winner.number} {winner.label}: test images, mean of 2 models"
    one = list_files(shown, repeats[0], CONFIRMATIONS)[f"confusion-{repeats[0]}.svg"]
    assert "1 model" in read_texts(read(shown, one))[0]


def test_a_study_has_its_report_its_file_and_those_of_the_rivals(
    shown: RunsStorage, run: RunFolder
) -> None:
    reading = read_study(run, None)
    winner = best_row(reading.records, reading.spec)
    assert winner is not None
    files = {
        one["filename"]: one["artifact_id"]
        for one in ask(shown, f"/api/studies/{WHOLE}")["artifacts"]
    }
    assert {f"curves-{winner.number}.svg", f"confusion-{winner.number}.svg"} <= files.keys()
    assert yaml.safe_load(read(shown, files["study.yaml"])) == yaml.safe_load(
        run.study_file.read_text()
    )
    report = read(shown, files["report.html"])
    assert report.lstrip().lower().startswith("<!doctype html>")
    assert winner.title in report


def test_a_running_trial_has_the_curve_so_far(tmp_path: Path) -> None:
    from ledger_driving import make_result

    from searchlab.config.trial import TrialConfig
    from searchlab.study.ledger import Ledger

    def begin(ledger: Ledger, config: TrialConfig) -> None:
        ledger.report(make_result(config, 1))

    storage = show(drive_run(tmp_path, num_trials=1, train=begin))
    files = list_files(storage, 0)
    assert "accuracy in %" in read_texts(read(storage, files["curves-0.svg"]))


@pytest.mark.parametrize("key", ["0-0-9", "0-7", "9-0", "0-99-0", "abcdef01", "0-0-0-0", "-", "--"])
def test_a_key_of_no_file_is_not_found(shown: RunsStorage, key: str) -> None:
    if key in ("-", "--"):  # a study's first file, a trial's first
        assert read(shown, key)
        return
    with pytest.raises(ArtifactNotFound):
        RunFiles(shown).open_reader(key)


def test_uploads_lie_in_the_runs_folder(tmp_path: Path) -> None:
    run = drive_run(tmp_path, num_trials=1)
    files = RunFiles(show(run))
    key = "6b1f1a52-0b9f-4d3a-8a3e-0123456789ab"
    files.write(key, io.BytesIO(b"mine"))
    assert (run.path / "artifacts" / key).read_bytes() == b"mine"
    assert files.open_reader(key).read() == b"mine"
    files.remove(key)
    with pytest.raises(ArtifactNotFound):
        files.open_reader(key)


def test_what_is_made_of_the_record_cannot_be_removed(shown: RunsStorage) -> None:
    with pytest.raises(ArtifactNotFound):
        RunFiles(shown).remove("0-0")

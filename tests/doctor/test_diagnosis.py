"""Every rule of the diagnosis finds the one fault planted for it, and none on healthy studies."""

from __future__ import annotations

import copy
import dataclasses
import io
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from ledger_driving import make_result, make_spec, open_ledger, open_study, run_to_end
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from small_studies import NO_DATA

from searchlab.config.loading import load_study
from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.data import ImageData
from searchlab.data.folds import folds_of
from searchlab.doctor.diagnosis import RULES, Diagnosis, diagnose
from searchlab.doctor.diagnosis_text import diagnosis_data, print_diagnosis
from searchlab.doctor.findings import Finding, list_trials
from searchlab.doctor.folds_rules import describe_fold_damage
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.records.trial_record import INDEPENDENTLY_SAMPLED, TrialRecord
from searchlab.report.reading import StudyReading, read_study
from searchlab.study.ledger import Ledger
from searchlab.training.checkpoint import model_path

Plant = Callable[[list[FrozenTrial]], None]


@pytest.fixture(scope="module")
def trained(serial_run: RunFolder) -> StudyReading:
    """A study that the serial engine trained from its first trial to its end."""
    return read_study(serial_run, None)


@pytest.fixture
def healthy(trained: StudyReading, tmp_path: Path) -> StudyReading:
    """The same in a folder of its own, so that files can be planted in it."""
    folder = tmp_path / "tiny"
    shutil.copytree(trained.run.path, folder)
    return read_study(RunFolder(folder), None)


def _examine(reading: StudyReading) -> Diagnosis:
    return diagnose(reading, data_dir=NO_DATA)


def _planted(reading: StudyReading, plant: Plant, **changes: Any) -> StudyReading:
    """Return the reading as it would be, had its trials been recorded with a fault."""
    trials = copy.deepcopy(reading.trials)
    plant(trials)
    records = [TrialRecord.from_trial(trial) for trial in trials]
    return dataclasses.replace(reading, trials=trials, records=records, **changes)


def _find_only(reading: StudyReading, rule: str) -> Finding:
    """Return the one finding, which must be that rule's."""
    findings = _examine(reading).findings
    assert [finding.rule for finding in findings] == [rule], findings
    assert findings[0].remedy
    return findings[0]


def _numbers(reading: StudyReading, role: str, state: str = "COMPLETE") -> list[int]:
    return [r.number for r in reading.records if r.role == role and r.state == state]


def _respec(reading: StudyReading, **changes: Any) -> StudySpec:
    """Return the study with some fields of its sections changed, as an override would."""
    data = reading.spec.to_data()
    for section, fields in changes.items():
        data[section] = {**data.get(section, {}), **fields}
    return StudySpec.model_validate(data)


# Healthy studies


def test_a_study_that_was_trained_to_its_end_has_no_damage(trained: StudyReading) -> None:
    diagnosis = _examine(trained)
    assert diagnosis.findings == ()
    assert diagnosis.unchecked == {}
    assert diagnosis.num_trials == len(trained.records) >= 14
    assert {rule.name for rule in RULES} >= {"joint-space-emptied", "stale-files"}


def _train_variously(ledger: Ledger, config: TrialConfig) -> None:
    """Let every fifth search trial diverge, and the others do as the pruner says."""
    for epoch in range(1, config.settings.epochs + 1):
        if config.role == "search" and config.number % 5 == 4 and epoch == 2:
            ledger.report(make_result(config, epoch, math.nan, folds=(), diverged=True, done=True))
            break
        if ledger.report(make_result(config, epoch)):
            break
    ledger.tell(config.number)


def _drive(run: RunFolder, spec: StudySpec) -> StudyReading:
    run.write(spec.to_data())
    ledger = open_ledger(spec, open_study(spec, open_storage(run.storage_url())))
    run_to_end(ledger, _train_variously)
    ledger.note_finished()
    reading = read_study(run, None)
    run.models.mkdir(parents=True)
    for role in ("baseline", "finalist"):
        for number in _numbers(reading, role):
            model_path(run.models, number).touch()
    return reading


@pytest.mark.parametrize(
    "sampler",
    ["tpe", *(pytest.param(n, marks=pytest.mark.slow) for n in ("evolution", "random", "qmc"))],
)
def test_a_study_with_pruned_and_diverged_trials_has_no_damage(
    sampler: str, tmp_path: Path
) -> None:
    search = {"sampler": sampler, "trials": 24, "pruner": "median", "seed": 1}
    reading = _drive(RunFolder(tmp_path / "driven"), make_spec(search=search))
    assert _numbers(reading, "search", "PRUNED")
    assert {"diverged", "pruned"} <= {record.stop_reason for record in reading.records}
    assert _examine(reading).findings == ()


def test_a_study_of_several_objectives_has_no_damage(tmp_path: Path) -> None:
    spec = make_spec(
        objective=[{"metric": "accuracy"}, {"metric": "parameters"}], search={"trials": 12}
    )
    assert _examine(_drive(RunFolder(tmp_path / "driven"), spec)).findings == ()


def test_a_grid_repeats_nothing_and_is_no_random_search(tmp_path: Path) -> None:
    parameters = {"lr": [0.001, 0.01], "family": {"cnn": {"depth": 1, "width": [4, 8]}}}
    search = {"sampler": "grid", "trials": None}
    spec = make_spec(space={"parameters": parameters}, search=search)
    reading = _drive(RunFolder(tmp_path / "driven"), spec)
    assert len(_numbers(reading, "search")) + len(_numbers(reading, "search", "PRUNED")) == 4
    assert _examine(reading).findings == ()


# One planted fault a rule


def test_a_finished_trial_without_parameters_empties_the_joint_space(healthy: StudyReading) -> None:
    number = _numbers(healthy, "search")[0]

    def plant(trials: list[FrozenTrial]) -> None:
        trials[number].params, trials[number].distributions = {}, {}

    finding = _find_only(_planted(healthy, plant), "joint-space-emptied")
    assert (finding.severity, finding.trials) == ("problem", (number,))
    assert f"trial #{number} finished without parameters" in finding.message


def test_a_trial_without_a_shared_parameter_empties_the_joint_space(healthy: StudyReading) -> None:
    number = _numbers(healthy, "search")[0]

    def plant(trials: list[FrozenTrial]) -> None:
        del trials[number]._params["dropout"], trials[number]._distributions["dropout"]

    finding = _find_only(_planted(healthy, plant), "joint-space-emptied")
    assert f"trial #{number} finished without dropout" in finding.message


@pytest.mark.parametrize(("num_alone", "severity"), [(1, "warning"), (4, "problem")])
def test_parameters_drawn_alone_without_need_are_found(
    healthy: StudyReading, num_alone: int, severity: str
) -> None:
    search = [record.number for record in healthy.records if record.role == "search"]

    def plant(trials: list[FrozenTrial]) -> None:
        for number in search[-num_alone:]:
            trials[number].system_attrs[INDEPENDENTLY_SAMPLED] = ["lr"]

    finding = _find_only(_planted(healthy, plant), "independent-sampling")
    assert (finding.severity, finding.trials) == (severity, tuple(search[-num_alone:]))
    assert f"lr independently in {num_alone / 12:.0%} of the search" in finding.message


def test_a_sampler_that_drew_everything_alone_fell_back(healthy: StudyReading) -> None:
    search = [record.number for record in healthy.records if record.role == "search"]

    def plant(trials: list[FrozenTrial]) -> None:
        for number in search[10:]:  # the first ten are TPE's start
            trials[number].system_attrs[INDEPENDENTLY_SAMPLED] = list(trials[number].params)

    finding = _find_only(_planted(healthy, plant), "sampler-fell-back")
    assert (finding.severity, finding.trials) == ("problem", tuple(search[10:]))


@pytest.mark.parametrize(("sampler", "num_trials"), [("tpe", 8), ("gp", 10), ("cmaes", 5)])
def test_a_search_that_ended_before_its_sampler_learnt_fell_back(
    sampler: str, num_trials: int, tmp_path: Path
) -> None:
    spec = make_spec(search={"sampler": sampler, "trials": num_trials})
    reading = _drive(RunFolder(tmp_path / "driven"), spec)
    finding = _find_only(reading, "sampler-fell-back")
    assert finding.severity == "warning"
    assert f"the search has {num_trials}: it was a random search" in finding.message


def test_a_range_changed_in_mid_study_is_found(healthy: StudyReading) -> None:
    last = _numbers(healthy, "search")[-1]

    def plant(trials: list[FrozenTrial]) -> None:
        trials[last].distributions["lr"] = FloatDistribution(1e-3, 0.5, log=True)

    finding = _find_only(_planted(healthy, plant), "changed-distribution")
    assert finding.trials == (last,)
    assert "lr has another range" in finding.message


def _repeat_the_first(reading: StudyReading, **attributes: Any) -> StudyReading:
    first, second = _numbers(reading, "search")[:2]

    def plant(trials: list[FrozenTrial]) -> None:
        trials[second].params = trials[first].params
        trials[second].distributions = trials[first].distributions
        trials[second].user_attrs.update(attributes)

    return _planted(reading, plant)


def test_a_repeated_point_of_the_search_is_found(healthy: StudyReading) -> None:
    finding = _find_only(_repeat_the_first(healthy), "duplicates")
    assert finding.severity == "warning"
    assert finding.trials == (_numbers(healthy, "search")[1],)


def test_a_trial_in_place_of_a_lost_one_is_no_duplicate(healthy: StudyReading) -> None:
    first = _numbers(healthy, "search")[0]
    assert _examine(_repeat_the_first(healthy, retry_of=first)).findings == ()


def _leave_running(trials: list[FrozenTrial]) -> None:
    trials[-1].state, trials[-1].values = TrialState.RUNNING, None


def test_a_running_trial_of_a_run_that_nobody_drives_is_found(healthy: StudyReading) -> None:
    finding = _find_only(_planted(healthy, _leave_running), "running-without-owner")
    assert finding.severity == "problem"
    assert finding.command == f"searchlab study resume {healthy.run.path}"
    driven = _planted(healthy, _leave_running, is_driven=True)
    assert _examine(driven).findings == ()


def test_on_a_shared_storage_a_running_trial_is_only_a_warning(healthy: StudyReading) -> None:
    url = "postgresql+psycopg://me:secret@host/studies"
    shared = _planted(healthy, _leave_running, storage_url=url)
    finding = _find_only(shared, "running-without-owner")
    assert finding.severity == "warning"
    assert "drivers on other machines are not visible here" in finding.message
    assert finding.command is not None
    assert finding.command.endswith(" --storage 'postgresql+psycopg://me:***@host/studies'")


def _end_early(trial: FrozenTrial) -> None:
    trial.user_attrs["epochs"] = 2
    trial.intermediate_values = {1: 0.1, 2: 0.2}


def _lose_a_fold(trial: FrozenTrial) -> None:
    del trial.user_attrs["fold_values"][-1]


def _lose_the_test(trial: FrozenTrial) -> None:
    del trial.user_attrs["test_accuracy"], trial.user_attrs["figures"]["test_accuracy"]


def _lose_an_epoch(trial: FrozenTrial) -> None:
    del trial.intermediate_values[2]


def _claim_epochs(trial: FrozenTrial) -> None:
    trial.user_attrs["epochs"] = 10**15  # an import may: no memory holds a list of as many


@pytest.mark.parametrize(
    ("role", "fault", "said"),
    [
        ("search", _end_early, "after fewer epochs than the study sets (4)"),
        ("baseline", _lose_a_fold, "without values for all folds (2)"),
        ("finalist", _lose_the_test, "without a test accuracy"),
        ("search", _lose_an_epoch, "without a value for every epoch"),
        ("search", _claim_epochs, "without a value for every epoch"),
    ],
)
def test_a_complete_trial_that_was_cut_short_is_found(
    healthy: StudyReading, role: str, fault: Callable[[FrozenTrial], None], said: str
) -> None:
    number = _numbers(healthy, role)[0]
    reading = _planted(healthy, lambda trials: fault(trials[number]))
    finding = _find_only(reading, "complete-but-truncated")
    assert (finding.severity, finding.trials) == ("problem", (number,))
    assert said in finding.message


def test_a_trial_that_ran_out_of_patience_is_not_truncated(healthy: StudyReading) -> None:
    number = _numbers(healthy, "search")[0]
    for patience, rules in ((1, []), (2, ["complete-but-truncated"])):
        reading = _planted(
            healthy,
            lambda trials: _end_early(trials[number]),
            spec=_respec(healthy, training={"patience": patience}),
        )
        assert [finding.rule for finding in _examine(reading).findings] == rules


def test_an_infinite_value_is_found(healthy: StudyReading) -> None:
    number = _numbers(healthy, "search")[0]

    def plant(trials: list[FrozenTrial]) -> None:
        trials[number].values = [-math.inf]

    finding = _find_only(_planted(healthy, plant), "non-finite")
    assert finding.trials == (number,)
    assert "COMPLETE with a value that is not finite" in finding.message


def test_an_epoch_that_is_not_a_number_is_found(healthy: StudyReading) -> None:
    def plant(trials: list[FrozenTrial]) -> None:
        trials[0].intermediate_values[2] = math.nan

    assert _find_only(_planted(healthy, plant), "non-finite").trials == (0,)


def test_folds_that_overlap_are_found(
    healthy: StudyReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deal_wrongly(images: ImageData, **settings: Any) -> tuple[Any, ...]:
        first, *rest = folds_of(images, **settings)
        return (np.concatenate([first, rest[0][:3]]), *rest)

    monkeypatch.setattr("searchlab.doctor.folds_rules.folds_of", deal_wrongly)
    finding = _find_only(healthy, "overlapping-folds")
    assert finding.severity == "problem"
    assert "the folds overlap in 3 of " in finding.message


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ([[0, 1], [2, 3]], []),
        ([[0, 1], [1, 2, 3]], ["the folds overlap in 1 of 4 images"]),
        ([[0, 1], [3]], ["1 of 4 images are in no fold"]),
        ([[0, 1, 2, 3], [4]], ["1 indices of the folds name no training image"]),
    ],
)
def test_damage_of_plain_folds_is_described(folds: list[list[int]], said: list[str]) -> None:
    assert describe_fold_damage([np.array(fold) for fold in folds], 4) == said


def test_trials_of_more_folds_than_the_study_has_are_found(healthy: StudyReading) -> None:
    number = _numbers(healthy, "finalist")[0]

    def plant(trials: list[FrozenTrial]) -> None:
        trials[number].user_attrs["fold_values"].append(0.5)

    assert _find_only(_planted(healthy, plant), "overlapping-folds").trials == (number,)


def test_folds_of_images_that_are_not_there_are_not_checked(
    trained: StudyReading, tmp_path: Path
) -> None:
    elsewhere = dataclasses.replace(trained, spec=_respec(trained, dataset={"name": "mnist"}))
    diagnosis = diagnose(elsewhere, data_dir=tmp_path)
    assert diagnosis.findings == ()
    assert "dataset mnist is not in" in diagnosis.unchecked["overlapping-folds"]
    assert list(tmp_path.iterdir()) == []


def test_more_search_trials_than_asked_for_are_found(healthy: StudyReading) -> None:
    last = [record.number for record in healthy.records if record.role == "search"][-1]
    fewer = dataclasses.replace(healthy, spec=_respec(healthy, search={"trials": 11}))
    finding = _find_only(fewer, "too-many-trials")
    assert "the search has 12 finished trials, but the study sets 11" in finding.message
    assert finding.trials == (last,)

    def run_again(trials: list[FrozenTrial]) -> None:
        trials[last].user_attrs["retry_of"] = last - 1

    assert _examine(_planted(fewer, run_again)).findings == ()


def test_a_baseline_that_ran_twice_is_found(healthy: StudyReading) -> None:
    first, second = _numbers(healthy, "baseline")

    def plant(trials: list[FrozenTrial]) -> None:
        trials[second].user_attrs["plan"] = trials[first].user_attrs["plan"]

    assert _find_only(_planted(healthy, plant), "too-many-trials").trials == (second,)


def test_a_number_that_is_missing_is_found(healthy: StudyReading) -> None:
    number = _numbers(healthy, "search")[0]

    def plant(trials: list[FrozenTrial]) -> None:
        del trials[number]

    finding = _find_only(_planted(healthy, plant), "too-many-trials")
    assert finding.message.endswith(f"trial #{number}")


@pytest.mark.parametrize(("num_failed", "is_found"), [(3, False), (4, True)])
def test_many_failed_trials_are_found_by_cause(
    healthy: StudyReading, num_failed: int, is_found: bool
) -> None:
    assert len(healthy.records) in range(15, 20)  # of which a fifth is 3
    search = [record.number for record in healthy.records if record.role == "search"]

    def plant(trials: list[FrozenTrial]) -> None:
        for index, number in enumerate(search[:num_failed]):
            trials[number].state, trials[number].values = TrialState.FAIL, None
            reason = {"stop_reason": "oom"} if index else {"error": "RuntimeError: boom"}
            trials[number].user_attrs.update(reason)

    reading = _planted(healthy, plant)
    if not is_found:
        assert _examine(reading).findings == ()
        return
    finding = _find_only(reading, "failed-share")
    assert "3 by running out of memory; 1 by RuntimeError: boom" in finding.message
    assert "smaller batches" in finding.remedy


def test_lost_trials_that_ran_again_are_no_failures(healthy: StudyReading) -> None:
    search = [record.number for record in healthy.records if record.role == "search"]

    def plant(trials: list[FrozenTrial]) -> None:
        for number in search[:6]:
            trials[number].state, trials[number].values = TrialState.FAIL, None
            trials[number].user_attrs["stop_reason"] = "lost"

    assert _examine(_planted(healthy, plant)).findings == ()


def test_a_checkpoint_of_a_finished_trial_is_found(healthy: StudyReading) -> None:
    healthy.run.checkpoints.mkdir()
    stem = model_path(healthy.run.checkpoints, 3).stem
    (healthy.run.checkpoints / f"{stem}.json").touch()
    (healthy.run.checkpoints / "trial-00099.json").touch()  # of no trial that ended
    finding = _find_only(healthy, "stale-files")
    assert (finding.severity, finding.trials) == ("warning", (3,))


def test_a_missing_model_is_found(healthy: StudyReading) -> None:
    number = _numbers(healthy, "finalist")[0]
    model_path(healthy.run.models, number).unlink()
    finding = _find_only(healthy, "stale-files")
    assert (finding.severity, finding.trials) == ("problem", (number,))


def test_a_half_written_file_is_found_unless_it_is_being_written(healthy: StudyReading) -> None:
    (healthy.run.models / "trial-00000.99.tmp").touch()
    finding = _find_only(healthy, "stale-files")
    assert finding.severity == "warning"
    assert "trial-00000.99.tmp" in finding.message
    with FileLock(healthy.run.lock_file):
        assert _examine(read_study(healthy.run, None)).findings == ()


# How it is said


def test_many_trials_are_named_in_short() -> None:
    assert list_trials([4]) == "trial #4"
    assert list_trials(range(6)).endswith("#4, #5")
    assert list_trials(range(40)) == "trials #0, #1, #2, #3, #4 and 35 more"


@pytest.mark.parametrize("width", [80, 100])
def test_findings_are_printed_worst_first_within_the_width(
    healthy: StudyReading, width: int
) -> None:
    def plant(trials: list[FrozenTrial]) -> None:
        for trial in trials[4:8]:
            trial.params, trial.distributions = trials[3].params, trials[3].distributions
        trials[3].intermediate_values[1] = math.inf

    console = Console(width=width, record=True, file=io.StringIO())
    diagnosis = _examine(_planted(healthy, plant))
    print_diagnosis(console, diagnosis)
    lines = console.export_text().splitlines()
    assert max(len(line) for line in lines if "searchlab study run" not in line) <= width
    titles = [line.split() for line in lines if line[:1].isalpha()]
    assert titles[:2] == [["problem", "non-finite"], ["warning", "duplicates"]]
    assert f"tiny: 1 problem, 1 warning ({len(healthy.records)} trials, 12 rules)" in lines
    data = diagnosis_data(diagnosis)
    assert [found["rule"] for found in data["findings"]] == ["non-finite", "duplicates"]
    assert data["rules"] == [rule.name for rule in RULES]


def test_the_study_can_be_run_anew_as_the_remedy_says(healthy: StudyReading) -> None:
    fewer = dataclasses.replace(healthy, spec=_respec(healthy, training={"epochs": 5}))
    command = _find_only(fewer, "complete-but-truncated").command
    assert command == f"searchlab study run {healthy.run.study_file} --set name=NAME"
    again = load_study(healthy.run.study_file, ["name=again"]).spec
    assert (again.name, again.space) == ("again", healthy.spec.space)

"""Which missing models are damage, and which lie with another driver of a joined study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledger_driving import NO_CHECKPOINTS, make_plan, make_spec, open_study, train
from small_studies import NO_DATA

from searchlab.doctor.diagnosis import diagnose
from searchlab.doctor.findings import Finding
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.records.trial_record import CREATED_BY, owner_of
from searchlab.report.reading import read_study
from searchlab.study.ledger import Ledger
from searchlab.training.checkpoint import model_path

SPEC = make_spec(search={"sampler": "random", "trials": 3})


class _Lock:
    """A driver's lock, shared with others that are alive."""

    shared = True

    def __init__(self, driver: str) -> None:
        self.driver = driver

    @contextmanager
    def deciding(self) -> Iterator[None]:
        yield

    def is_alive(self, driver: str) -> bool:
        return True

    def check(self) -> None: ...


class Driver:
    """A driver of a study in some storage, with the run folder into which its models go."""

    def __init__(self, name: str, run: RunFolder) -> None:
        self.name = name
        self.run = run
        study = open_study(SPEC, open_storage(run.storage_url()))
        self.ledger = Ledger(
            plan=make_plan(SPEC),
            study=study,
            checkpoints=NO_CHECKPOINTS,
            lock=_Lock(name),
        )

    def train_next(self) -> bool:
        """Run a trial to its end; return whether there was one."""
        config = self.ledger.ask()
        if config is None:
            return False
        train(self.ledger, config)
        if config.role != "search":
            self.run.models.mkdir(parents=True, exist_ok=True)
            model_path(self.run.models, config.number).touch()
        return True


def _make_run(folder: Path, storage: Path | None) -> RunFolder:
    run = RunFolder(folder)
    run.write(SPEC.to_data(), None if storage is None else f"sqlite:///{storage}")
    return run


def _finish(drivers: Sequence[Driver]) -> None:
    """Let each run a trial in its turn, until none has any."""
    while True in {driver.train_next() for driver in drivers}:
        pass
    drivers[0].ledger.note_finished()


def _examine(run: RunFolder) -> list[Finding]:
    return list(diagnose(read_study(run, None), data_dir=NO_DATA).findings)


def _models_of(run: RunFolder, driver: str) -> list[int]:
    """The numbers of a driver's trials whose model is in the folder."""
    return [
        trial.number
        for trial in read_study(run, None).trials
        if owner_of(trial.system_attrs[CREATED_BY]) == driver
        if model_path(run.models, trial.number).exists()
    ]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("joined") / "shared.db"


@pytest.fixture(scope="module")
def joined(storage: Path) -> list[Driver]:
    """Two drivers of one study, each with a folder; both trained some of the models."""
    drivers = [
        Driver(name, _make_run(storage.parent / name / "s", storage)) for name in ("a-1", "b-2")
    ]
    _finish(drivers)
    assert all(_models_of(driver.run, driver.name) for driver in drivers)
    return drivers


def test_models_of_another_driver_are_no_damage(joined: list[Driver]) -> None:
    for one, other in (joined, joined[::-1]):
        [finding] = _examine(one.run)
        assert (finding.severity, finding.command) == ("warning", None)
        assert finding.trials == tuple(_models_of(other.run, other.name))
        assert f"by the driver {other.name}, without a model in" in finding.message
        assert one.name not in finding.message.partition(", without ")[0]
        assert "run anew" not in finding.remedy


def test_a_driver_that_trained_no_model_has_lost_none(
    joined: list[Driver], storage: Path, tmp_path: Path
) -> None:
    idle = _make_run(tmp_path / "s", storage)
    [finding] = _examine(idle)
    assert finding.severity == "warning"
    assert "by the drivers a-1, b-2, without a model in" in finding.message
    assert len(finding.trials) == sum(len(_models_of(one.run, one.name)) for one in joined)


def test_a_lost_model_is_damage_in_the_folder_of_its_driver(joined: list[Driver]) -> None:
    one, other = joined
    number, *rest = _models_of(one.run, one.name)
    assert rest
    model = model_path(one.run.models, number)
    model.unlink()
    problem, warning = _examine(one.run)
    model.touch()
    assert (problem.severity, problem.trials) == ("problem", (number,))
    assert (warning.severity, number in warning.trials) == ("warning", False)
    assert [finding.severity for finding in _examine(other.run)] == ["warning"]


@pytest.mark.parametrize("is_embedded", [True, False])
def test_a_lost_model_of_a_study_resumed_in_its_folder_is_damage(
    is_embedded: bool, tmp_path: Path
) -> None:
    run = _make_run(tmp_path / "s", None if is_embedded else tmp_path / "shared.db")
    first = Driver("a-1", run)
    for _ in range(2):  # of the baselines, which come first
        first.train_next()
    _finish([Driver("a-2", run)])
    assert _examine(run) == []
    for driver in ("a-1", "a-2"):
        number = _models_of(run, driver)[0]
        model_path(run.models, number).unlink()
        [finding] = _examine(run)
        assert (finding.severity, finding.trials) == ("problem", (number,))
        model_path(run.models, number).touch()


def test_all_models_of_a_study_in_its_own_folder_are_lost_whoever_drove(tmp_path: Path) -> None:
    run = _make_run(tmp_path / "s", None)
    Driver("a-1", run).train_next()
    _finish([Driver("a-2", run)])
    for path in run.models.iterdir():
        path.unlink()
    [finding] = _examine(run)
    assert finding.severity == "problem"
    assert finding.command is not None

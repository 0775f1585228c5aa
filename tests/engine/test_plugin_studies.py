"""A user's family and dataset: searched, pruned, resumed and reported like ours."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_studies import NO_DATA, Engine, describe_trials, read_trials, write_study

from searchlab.config import plugins
from searchlab.config.loading import load_study
from searchlab.config.plugins import load_plugins
from searchlab.data import registry as datasets
from searchlab.engine.launch import RunOptions, begin_study, resume_study
from searchlab.errors import InputError
from searchlab.models import list_families
from searchlab.models import registry as families
from searchlab.records.run_folder import RunFolder
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.reading import read_study

EXAMPLES = Path(__file__).parents[2] / "examples"
FAMILY = EXAMPLES / "my_family.py"
DATASET = EXAMPLES / "my_dataset.py"

SPACE: dict[str, Any] = {
    "parameters": {
        "lr": {"low": 1e-3, "high": 1e-1, "log": True},
        "family": {
            "separable": {
                "depth": {"low": 1, "high": 2},
                "width": {"each_layer": [2, 4]},
                "norm": ["none", "batch"],
            }
        },
    }
}

SEARCHED: dict[str, Any] = {
    "search": {"trials": 10},
    "baselines": {"architectures": ["a2"], "schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 0},
}

Forget = Callable[[], None]


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[Forget]:
    """Return what makes this process one that has imported no plugin; done at the end, too."""
    known, kept = dict(families._FAMILIES), dict(datasets._DATASETS)
    with pytest.MonkeyPatch.context() as patch:

        def replace() -> None:
            patch.setattr(families, "_FAMILIES", dict(known))
            patch.setattr(datasets, "_DATASETS", dict(kept))
            patch.setattr(plugins, "_loaded", {})

        replace()
        yield replace


def run_plugin_study(folder: Path, engine: Engine, *files: Path, **changes: Any) -> RunFolder:
    run = RunFolder(folder / "runs" / "tiny")
    path = write_study(folder, **{"space": SPACE, **changes})
    file = load_study(path, plugins=[str(file) for file in files])
    begin_study(file, run, RunOptions(data_dir=NO_DATA, engine=engine))
    return run


@pytest.fixture(scope="module")
def serial_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_plugin_study(tmp_path_factory.mktemp("serial"), "serial", FAMILY, **SEARCHED)


def test_a_users_family_is_searched_and_pruned(serial_run: RunFolder) -> None:
    trials = [t for t in read_trials(serial_run) if t.user_attrs["role"] == "search"]
    own = [trial for trial in trials if trial.params["family"] == "separable"]
    assert {trial.state.name for trial in own} == {"COMPLETE", "PRUNED"}
    for trial in own:
        layers = {name for name in trial.params if name.endswith(".width")}
        depth = trial.params["separable.depth"]
        assert layers == {f"separable.layer{layer}.width" for layer in range(depth)}
    assert {trial.params["separable.depth"] for trial in own} == {1, 2}


def test_a_users_family_is_reported_without_being_imported(
    serial_run: RunFolder, forget: Forget
) -> None:
    forget()
    reading = read_study(serial_run, None)
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    own = [row for row in board.rows if row.params["family"] == "separable"]
    assert any(row.role == "search" and row.value is not None for row in own)
    assert "separable" not in list_families()


@pytest.mark.slow
def test_workers_search_a_users_family_and_need_no_copy_of_its_file(
    tmp_path: Path, serial_run: RunFolder, forget: Forget, local_ray: None
) -> None:
    forget()
    path = Path(shutil.copy(FAMILY, tmp_path / "mine.py"))
    load_plugins([str(path)])
    path.unlink()
    run = run_plugin_study(tmp_path, "tune", path, **SEARCHED)
    assert describe_trials(run) == describe_trials(serial_run)


OWN_RECIPE = """
import torch

class Slow(torch.optim.SGD):
    def __init__(self, groups, lr, pace=1.0):
        super().__init__(groups, lr=pace * lr)

def squares(logits, labels):
    return (logits - torch.nn.functional.one_hot(labels, logits.shape[1])).square().sum(1)
"""


@pytest.mark.slow
def test_workers_train_by_a_users_optimizer_and_loss_and_need_no_copy_of_their_file(
    tmp_path: Path, forget: Forget, local_ray: None
) -> None:
    forget()
    path = tmp_path / "recipe.py"
    path.write_text(OWN_RECIPE)
    load_plugins([str(path)])
    path.unlink()
    runs = []
    for engine in ("serial", "tune"):
        folder = tmp_path / engine
        folder.mkdir()
        training = {
            "epochs": 1,
            "optimizer": "recipe:Slow",
            "optimizer_arguments": {"pace": 0.5},
            "loss": "recipe:squares",
        }
        runs.append(
            run_plugin_study(
                folder,
                engine,
                path,
                **{
                    **SHORT,
                    "training": training,
                    "space": OWN_SPACE,
                    "baselines": {"architectures": []},
                },
            )
        )
    assert describe_trials(runs[0]) == describe_trials(runs[1])


OWN_SPACE: dict[str, Any] = {"parameters": {"lr": [0.01, 0.02], "family": {"fcn": {"width": 8}}}}
SHORT: dict[str, Any] = {
    "search": {"trials": 1},
    "training": {"epochs": 1},
    "baselines": {"architectures": ["a2"], "schemes": ["DT"]},
    "confirm": {"top": 0},
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A finished run, a copy of which each test has to itself, and the plugin it began with."""

    run: RunFolder
    plugin: Path


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory, forget: Forget) -> Recorded:
    forget()
    folder = tmp_path_factory.mktemp("short")
    plugin = Path(shutil.copy(FAMILY, folder / "mine.py"))
    return Recorded(run_plugin_study(folder, "serial", plugin, **SHORT), plugin)


@pytest.fixture
def recorded(short_run: Recorded, tmp_path: Path, forget: Forget) -> Iterator[Recorded]:
    forget()
    run = RunFolder(tmp_path / "runs" / "tiny")
    shutil.copytree(short_run.run.path, run.path)
    yield Recorded(run, short_run.plugin)
    shutil.copy(FAMILY, short_run.plugin)


def resume(run: RunFolder, *overrides: str, plugins: tuple[str, ...] = ()) -> None:
    options = RunOptions(data_dir=NO_DATA, engine="serial")
    resume_study(run, options, overrides=overrides, plugins=plugins)


MORE_TRIALS = "search.trials=2"


def test_a_run_is_resumed_without_naming_its_plugins_again(recorded: Recorded) -> None:
    plugins = (str(recorded.plugin),)
    assert yaml.safe_load(recorded.run.study_file.read_text())["plugins"] == [*plugins]
    resume(recorded.run, MORE_TRIALS)
    assert [trial.state.name for trial in read_trials(recorded.run)] == ["COMPLETE"] * 3
    assert recorded.run.load().spec.plugins == plugins


def test_a_run_whose_plugin_is_gone_is_read_and_refused_to_resume(recorded: Recorded) -> None:
    recorded.plugin.unlink()
    before = describe_trials(recorded.run)
    assert len(read_study(recorded.run, None).records) == 2
    with pytest.raises(InputError, match=r"mine\.py does not exist\. Correct the path"):
        resume(recorded.run, MORE_TRIALS)
    assert describe_trials(recorded.run) == before
    assert recorded.run.load().spec.search.trials == 1


def test_a_plugin_that_was_edited_is_refused_until_it_is_restored(
    recorded: Recorded, forget: Forget
) -> None:
    before = describe_trials(recorded.run)
    recorded.plugin.write_text(FAMILY.read_text() + "# another\n")
    with pytest.raises(InputError) as caught:
        resume(recorded.run, MORE_TRIALS)
    assert str(caught.value).startswith(f"plugin {recorded.plugin} must not change during a study")
    assert "Restore it, or run the changed one as another study" in str(caught.value)
    assert describe_trials(recorded.run) == before
    assert recorded.run.load().spec.search.trials == 1
    shutil.copy(FAMILY, recorded.plugin)
    forget()
    resume(recorded.run, MORE_TRIALS)
    assert len(describe_trials(recorded.run)) == 3


def test_a_plugin_added_on_resume_is_recorded_and_held_to_what_it_was_then(
    recorded: Recorded, tmp_path: Path, forget: Forget
) -> None:
    path = tmp_path / "more.py"
    path.write_text("")
    resume(recorded.run, plugins=(str(path),))
    assert recorded.run.load().spec.plugins == (str(recorded.plugin), str(path))
    path.write_text("edited = True\n")
    forget()
    with pytest.raises(InputError, match=r"more\.py must not change during a study"):
        resume(recorded.run)


def test_a_users_dataset_is_studied(tmp_path: Path, forget: Forget) -> None:
    forget()
    text = f"dataset: shapes\nplugins: [{DATASET}, {FAMILY}]\n"
    path = write_study(tmp_path, space=SPACE, **SHORT)
    data = {**yaml.safe_load(path.read_text()), **yaml.safe_load(text)}
    path.write_text(yaml.safe_dump(data))
    run = RunFolder(tmp_path / "runs" / "tiny")
    begin_study(load_study(path), run, RunOptions(data_dir=NO_DATA, engine="serial"))
    assert [trial.state.name for trial in read_trials(run)] == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", r"mine\.py:1 cannot be imported: SyntaxError"),
        ("\nraise OSError('no luck')\n", r"mine\.py:2 cannot be imported: OSError: no luck"),
        ("import nowhere_at_all\n", r"Install nowhere_at_all"),
        (None, r"mine\.py does not exist"),
    ],
)
def test_a_broken_plugin_leaves_nothing_behind(
    text: str | None, said: str, tmp_path: Path, forget: Forget
) -> None:
    forget()
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=said):
        run_plugin_study(tmp_path, "serial", path)
    assert not (tmp_path / "runs").exists()


def test_without_its_plugin_a_users_family_is_unknown(tmp_path: Path, forget: Forget) -> None:
    forget()
    with pytest.raises(InputError, match="must be a known family, got 'separable'"):
        run_plugin_study(tmp_path, "serial")
    assert not (tmp_path / "runs").exists()

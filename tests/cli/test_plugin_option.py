"""--plugin: the commands know a user's family, and refuse a broken plugin in one message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from command_line import assert_refused, run_searchlab

from searchlab.config import plugins
from searchlab.data import registry as datasets
from searchlab.models import registry as families

EXAMPLES = Path(__file__).parents[2] / "examples"
FAMILY = EXAMPLES / "my_family.py"


@pytest.fixture(autouse=True)
def _fresh_registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    monkeypatch.setattr(datasets, "_DATASETS", dict(datasets._DATASETS))
    monkeypatch.setattr(plugins, "_loaded", {})
    return


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text("parameters: {family: {separable: {depth: 2, width: {each_layer: [4, 8]}}}}\n")
    return path


def test_space_commands_know_a_users_family(space: Path) -> None:
    refused = run_searchlab("space", "check", space)
    assert_refused(refused, "must be a known family, got 'separable'")
    checked = run_searchlab("space", "check", space, "--plugin", FAMILY)
    assert (checked.code, checked.out) == (0, f"{space}: ok, 4 configurations\n")
    shown = run_searchlab("space", "show", space, "--plugin", FAMILY)
    assert "separable.width" in shown.out
    sampled = run_searchlab("space", "sample", space, "-n", 1, "--plugin", FAMILY)
    assert "separable.layer1.width" in sampled.out


def test_the_schemas_know_a_users_family_and_dataset() -> None:
    more = ("--plugin", FAMILY, "--plugin", EXAMPLES / "my_dataset.py")
    schema = json.loads(run_searchlab("schema", "study", *more).out)
    assert "shapes" in schema["$defs"]["DatasetSpec"]["properties"]["name"]["enum"]
    assert "separable" in json.dumps(schema["$defs"]["SpaceSpec"])


def test_data_list_shows_a_users_dataset() -> None:
    plugin = EXAMPLES / "my_dataset.py"
    listed = json.loads(run_searchlab("data", "list", "--json", "--plugin", plugin).out)
    [shapes] = [entry for entry in listed if entry["name"] == "shapes"]
    assert (shapes["classes"], shapes["present"]) == (4, True)


@pytest.mark.parametrize(
    "command", [("space", "show"), ("space", "check"), ("space", "sample"), ("study", "run")]
)
def test_a_broken_plugin_is_one_message(
    command: tuple[str, str], tmp_path: Path, space: Path
) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text("x = 1\nx.y\n")
    study = tmp_path / "study.yaml"
    text = {"name": "s", "dataset": "digits", "space": "mine.yaml", "search": {"trials": 1}}
    study.write_text(yaml.safe_dump(text))
    running = command == ("study", "run")
    more = ("--runs-dir", tmp_path / "runs") if running else ()
    outcome = run_searchlab(*command, study if running else space, "--plugin", plugin, *more)
    assert_refused(outcome, f"error: plugin {plugin}:2 cannot be imported: AttributeError: ")
    assert outcome.err.count("\n") == 1 + running, "one message, after what the run was doing"
    assert not (tmp_path / "runs").exists()


def test_a_broken_plugin_changes_nothing_of_a_run(tmp_path: Path, space: Path) -> None:
    study = tmp_path / "study.yaml"
    text = {
        "name": "s",
        "dataset": "digits",
        "plugins": [str(FAMILY)],
        "space": "mine.yaml",
        "search": {"trials": 1},
        "training": {"epochs": 1},
        "validation": {"folds": 2},
        "baselines": {"architectures": []},
        "confirm": {"top": 0},
    }
    study.write_text(yaml.safe_dump(text))
    runs = ("--runs-dir", tmp_path / "runs")
    ran = run_searchlab("study", "run", study, "--engine", "serial", "--quiet", *runs)
    assert ran.code == 0, ran.err
    before = (tmp_path / "runs" / "s" / "study.yaml").read_text()
    plugin = tmp_path / "broken.py"
    plugin.write_text("import nowhere_at_all\n")
    resumed = run_searchlab("study", "resume", "s", "--plugin", plugin, *runs)
    assert_refused(resumed, f"plugin {plugin}:1 cannot be imported", "Install nowhere_at_all")
    assert (tmp_path / "runs" / "s" / "study.yaml").read_text() == before
    assert run_searchlab("study", "leaderboard", "s", *runs).code == 0

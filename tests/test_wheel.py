"""The wheel, installed alone into an empty environment, does what a newcomer asks of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from searchlab.config.shipped import shipped_files
from searchlab.engine.ray.node_report import read_versions
from searchlab.version import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("searchlab", "studies", "spaces", "examples")
PAPERS = ("pyproject.toml", "setup.py", "README.md", "LICENSE")

pytestmark = pytest.mark.slow


def call(*command: object, cwd: Path) -> str:
    """Run a command that no variable leads to another searchlab; return its output."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a source distribution from a copy of the checkout, and the wheel from that.

    In the checkout itself, the files of an earlier build would get into it.
    """
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns("__pycache__", "runs", "build")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=left_out)
    for name in PAPERS:
        shutil.copy(ROOT / name, folder / "source")
    build = "import setuptools.build_meta, sys; setuptools.build_meta.build_sdist(sys.argv[1])"
    call(sys.executable, "-c", build, folder, cwd=folder / "source")
    [source] = folder.glob("*.tar.gz")
    call(
        sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index",
        "--wheel-dir", folder, source, cwd=folder,
    )  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and sees the packages here but no searchlab of theirs."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    question = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(call(python, "-c", question, cwd=folder).strip())
    # Files like this one are not read in the folders that they name, so no editable install is.
    (packages / "heavy.pth").write_text(sysconfig.get_path("purelib") + "\n")
    call(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
        "--ignore-installed", wheel, cwd=folder,
    )  # fmt: skip
    return python


@pytest.fixture
def searchlab(python: Path) -> Path:
    return python.with_name("searchlab")


def test_it_holds_what_is_shipped(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    prefix = "searchlab/shipped/"
    shipped = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    assert shipped == {file.as_posix() for file in shipped_files()}
    assert "searchlab/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"searchlab"}


def test_its_metadata_has_the_version_and_a_readme_without_dead_links(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nDescription-Content-Type: text/markdown\n" in metadata
    readme = metadata.partition("\n\n")[2]
    assert readme.startswith("# searchlab\n")
    targets = re.findall(r"\]\(([^)]*)\)", readme)
    assert targets
    assert all(target.startswith("https://") for target in targets)


def test_it_is_the_same_searchlab_as_the_checkout_to_a_cluster(
    python: Path, searchlab: Path, tmp_path: Path
) -> None:
    assert call(searchlab, "--version", cwd=tmp_path) == f"searchlab {__version__}\n"
    code = (
        "import json\n"
        "from searchlab.engine.ray.node_report import read_versions\n"
        "print(json.dumps(read_versions()))"
    )
    versions = json.loads(call(python, "-c", code, cwd=tmp_path))
    assert versions["searchlab"] == __version__
    assert versions["source"] == read_versions()["source"]


def test_it_runs_the_quickstart_in_an_empty_folder(searchlab: Path, tmp_path: Path) -> None:
    output = call(
        searchlab, "study", "run", "quickstart", "--quiet", "--json", "--set", "search.trials=2",
        "--set", "training.epochs=2", "--set", "confirm.top=1",
        "--set", "baselines.architectures=[a2]", cwd=tmp_path,
    )  # fmt: skip
    trials = json.loads(output)["trials"]
    assert {trial["role"] for trial in trials} >= {"baseline", "search", "finalist"}
    assert {trial["state"] for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert json.loads(call(searchlab, "study", "best", "quickstart", "--json", cwd=tmp_path))


def test_it_lays_out_an_example_whose_plugin_a_study_then_runs(
    searchlab: Path, tmp_path: Path
) -> None:
    call(searchlab, "init", cwd=tmp_path)
    output = call(
        searchlab, "study", "run", "examples/my_dataset.yaml", "--engine", "serial", "--json",
        "--set", "search.trials=1", "--set", "training.epochs=1", "--set", "confirm.top=0",
        cwd=tmp_path,
    )  # fmt: skip
    assert {trial["state"] for trial in json.loads(output)["trials"]} == {"COMPLETE"}

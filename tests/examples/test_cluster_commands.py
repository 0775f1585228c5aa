"""The commands of the cluster page and of the launcher file do what they are there for.

They are run in folders of the test's own, with stand-ins on a PATH that has nothing else, so that
none of them can reach a process or a machine.
"""

from __future__ import annotations

import re
import shlex
import shutil
import stat
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "cluster"
PAGE = (FOLDER / "README.md").read_text()
LAUNCHER = yaml.safe_load((FOLDER / "ray-cluster.yaml").read_text())
BASH = shutil.which("bash") or "/bin/bash"
NOTE = 'echo "${0##*/} $*" >> "$NOTES"\n'


def read_part(file: str, part: str) -> list[str]:
    """The lines under ``# start``, ``# watch`` or ``# stop`` in the section of a file."""
    [block] = re.findall(rf"^## .*`{re.escape(file)}`$.*?^```bash\n(.*?)^```", PAGE, re.M | re.S)
    _, lines = re.split(rf"^# {part}\n", block, flags=re.M)
    return str(re.split(r"^# ", lines, flags=re.M)[0]).splitlines()


class Shell:
    """A home folder, and a PATH of stand-ins that note their arguments, and of links to tools."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.notes = folder / "notes"
        self.path = folder / "bin"
        self.home.mkdir()
        self.path.mkdir()
        self.notes.touch()

    def replace(self, name: str, script: str = "") -> None:
        (self.path / name).write_text(f"#!{BASH}\n{NOTE}{script}")
        (self.path / name).chmod(0o755)

    def link(self, *names: str) -> None:
        for name in names:
            found = shutil.which(name)
            assert found is not None
            (self.path / name).symlink_to(found)

    def run(self, command: str) -> str:
        """Run a command that must succeed; return what it printed."""
        done = subprocess.run(
            [BASH, "--noprofile", "--norc", "-c", command],
            env={"HOME": str(self.home), "PATH": str(self.path), "NOTES": str(self.notes)},
            cwd=self.home,
            text=True,
            stdout=subprocess.PIPE,
            check=True,
            timeout=180,
        )
        return done.stdout

    @property
    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


# --- The launcher: starting ---


@pytest.mark.parametrize("is_there", [False, True])
def test_the_token_is_its_owners_alone_and_is_not_printed(shell: Shell, is_there: bool) -> None:
    token = shell.home / ".ray" / "auth_token"
    if is_there:
        token.parent.mkdir()
        token.write_text("0123456789abcdef" * 4)
        token.chmod(0o644)
    shell.link("chmod")
    (shell.path / "ray").symlink_to(Path(sys.executable).parent / "ray")
    [command] = [line for line in read_part("ray-cluster.yaml", "start") if "auth-token" in line]
    assert shell.run(f"umask 022; {command}") == ""
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text().strip()) == 64


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder shaped as a checkout in use, which nobody may write into."""
    folder = tmp_path / "checkout"
    for file in (
        "pyproject.toml",
        "constraints.txt",
        "searchlab/data/folds.py",
        "searchlab/study/runs.py",
        ".git/config",
        ".venv/bin/python",
        ".venv-gpu/bin/python",
        "runs/digits/study.db",
        "data/mnist/images",
        "build/lib/searchlab.py",
    ):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & 0o555)
    return folder


def test_each_machine_builds_in_a_copy_of_its_own(shell: Shell, checkout: Path) -> None:
    shell.link("rm", "mkdir", "tar")
    *copying, install = [line for line in LAUNCHER["setup_commands"] if "searchlab-source" in line]
    assert "pip install" in install
    assert "/shared" not in install  # pip builds inside the folder that it is given
    own = shell.home / "searchlab-source"
    for _ in range(2):  # a second `ray up` replaces the copy
        for command in copying:
            shell.run(command.replace("/shared/searchlab", str(checkout)))
        files = {str(path.relative_to(own)) for path in own.rglob("*") if path.is_file()}
        assert files == {
            "pyproject.toml",
            "constraints.txt",
            "searchlab/data/folds.py",
            "searchlab/study/runs.py",
        }
        assert all(path.stat().st_mode & stat.S_IWUSR for path in (own, *own.rglob("*")))
        (own / "left-over").touch()


def test_a_login_finds_ray_after_the_setup(shell: Shell) -> None:
    shell.link("grep")
    (shell.home / ".bashrc").write_text("alias ll='ls -l'\n")
    [command] = [line for line in LAUNCHER["setup_commands"] if ".bashrc" in line]
    for _ in range(2):
        shell.run(command)
    assert (shell.home / ".bashrc").read_text().count("searchlab-env") == 1
    ray = shell.home / "searchlab-env" / "bin" / "ray"
    ray.parent.mkdir(parents=True)
    ray.write_text(f"#!{BASH}\necho found\n")
    ray.chmod(0o755)
    assert shell.run("source ~/.bashrc && ray stop") == "found\n"


# --- The launcher: stopping ---


def read_remote(line: str) -> str:
    """The command that a line of the page has ``ray exec`` run on the head."""
    program, verb, file, command = shlex.split(line)
    assert (program, verb, file) == ("ray", "exec", "examples/cluster/ray-cluster.yaml")
    return command


def test_the_driver_ends_before_ray_does_and_the_head_before_the_workers(shell: Shell) -> None:
    *remote, last = read_part("ray-cluster.yaml", "stop")
    assert last == "ray down -y examples/cluster/ray-cluster.yaml"
    shell.link("seq")
    for name in ("pkill", "sleep", "ray", "ssh"):
        shell.replace(name)
    shell.replace("pgrep", '[ "$(grep -c ^pgrep "$NOTES")" -lt 3 ]\n')  # it takes two seconds
    shell.link("grep")
    for line in remote:
        shell.run(read_remote(line))
    programs = [line.split()[0] for line in shell.noted]
    waiting = ["pgrep", "sleep", "pgrep", "sleep", "pgrep"]
    assert programs == ["pkill", *waiting, "ray", "ssh", "ssh", "ssh"]
    assert shell.noted[0].startswith("pkill -TERM -f ")
    assert shell.noted[6] == "ray stop"
    for line, worker in zip(shell.noted[-3:], LAUNCHER["provider"]["worker_ips"], strict=True):
        assert line.endswith(f" {worker} searchlab-env/bin/ray stop")


def test_stopping_where_no_driver_runs_stops_ray(shell: Shell) -> None:
    shell.link("seq")
    shell.replace("pkill", "exit 1\n")
    shell.replace("pgrep", "exit 1\n")
    shell.replace("ray")
    shell.run(read_remote(read_part("ray-cluster.yaml", "stop")[0]))
    assert [line.split()[0] for line in shell.noted] == ["pkill", "pgrep", "ray"]


def test_the_drivers_pattern_finds_the_driver_and_no_shell_around_it() -> None:
    stopping = read_remote(read_part("ray-cluster.yaml", "stop")[0])
    [pattern] = set(re.findall(r'-f "([^"]*)"', stopping))
    [starting] = [line for line in read_part("ray-cluster.yaml", "start") if "study run" in line]
    inner = shlex.split(starting)[-1]
    python, script = "/opt/searchlab-env/bin/python3", "/opt/searchlab-env/bin/searchlab"
    arguments = inner.partition("&& searchlab ")[2]
    assert arguments.startswith("study run ")
    assert re.search(pattern, f"{python} {script} {arguments}")
    assert re.search(pattern, f"{python} {script} study resume digits --address auto")
    for other in (
        f"tmux new -d bash -c {inner}; exec bash",
        f"bash --login -c -i source ~/.bashrc; ({stopping})",
        f"{python} /opt/searchlab-env/bin/ray start --head",
    ):
        assert not re.search(pattern, other)


# --- Kubernetes ---


def test_the_pod_of_the_head_is_asked_for_once_it_is_there() -> None:
    lines = read_part("kuberay.yaml", "start")
    [asked] = [index for index, line in enumerate(lines) if line.startswith("head=$(")]
    waits = [line for line in lines[:asked] if line.startswith("kubectl wait ")]
    assert all("--for=condition=" in line and "--timeout=" in line for line in waits)
    documents = list(yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()))
    there = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in documents}
    assert {line.split()[-1] for line in waits} <= there
    assert "raycluster/searchlab" in {line.split()[-1] for line in waits}


def read_ignored() -> list[str]:
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def is_ignored(path: str) -> bool:
    """Whether Docker leaves a path out: patterns are anchored, ``**/`` stands for any folder."""
    parts = path.split("/")
    for pattern in read_ignored():
        anywhere = pattern.removeprefix("**/")
        tried = parts if anywhere != pattern else parts[:1]
        if any(fnmatch(part, anywhere) for part in tried):
            return True
    return False


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "runs/quickstart/study.db",
        "data/mnist/images",
        ".mypy_cache/3.11/x",
        "searchlab/data/__pycache__/folds.pyc",
        "searchlab.egg-info/PKG-INFO",
    ],
)
def test_the_image_leaves_out(path: str) -> None:
    assert is_ignored(path)


def test_the_image_holds_every_file_that_is_installed() -> None:
    needed = [ROOT / name for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")]
    needed += (ROOT / "searchlab").rglob("*.py")
    assert len(needed) > 100
    assert all("/" not in one.removeprefix("**/") for one in read_ignored())  # as is_ignored reads
    assert [path for path in needed if is_ignored(str(path.relative_to(ROOT)))] == []


# --- Slurm ---


def test_a_slurm_job_is_watched_from_the_node_on_which_its_driver_runs(shell: Shell) -> None:
    shell.link("head")
    first = "*format=%A*) echo 71; echo 70;;"
    then = "*--jobs=71*format=%B*) echo node7;;"
    shell.replace("squeue", f'case "$*" in\n{first}\n{then}\nesac\n')
    shell.replace("srun")
    shell.run("\n".join(read_part("slurm.sh", "watch")))
    [step] = [line for line in shell.noted if line.startswith("srun ")]
    options, command = step.split(" searchlab ")
    assert command.startswith("study status ")
    wanted = {"--overlap", "--jobid=71", "--nodes=1", "--ntasks=1", "--nodelist=node7"}
    assert wanted == set(options.split()[1:])
    assert "--name=searchlab" in shell.noted[0] + shell.noted[1]
    assert "#SBATCH --job-name=searchlab\n" in (FOLDER / "slurm.sh").read_text()


# --- Jobs ---


@pytest.mark.parametrize("page", ["README.md", "examples/cluster/README.md"])
def test_a_submitted_job_names_its_study_by_an_absolute_path(page: str) -> None:
    text = (ROOT / page).read_text()
    studies = re.findall(r"ray job submit .*-- searchlab study run (\S+)", text)
    assert studies
    assert all(study.startswith("/") for study in studies)

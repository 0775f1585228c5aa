"""The cluster examples are what Ray, Kubernetes and bash take, and agree with the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from packaging.requirements import Requirement

from searchlab.cli.main import app
from searchlab.config.loading import load_study

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "cluster"
README = (FOLDER / "README.md").read_text()
MANIFEST: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()))


def read_ray_version() -> str:
    """The oldest Ray that the project was tested with, with a patch number."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    [ray] = [requirement for requirement in wanted if requirement.name == "ray"]
    [lowest] = [one.version for one in ray.specifier if one.operator == ">="]
    return f"{lowest}.0" if lowest.count(".") == 1 else lowest


def find_all(key: str, node: Any) -> Iterator[Any]:
    """Every value under a key, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from find_all(key, value)
    elif isinstance(node, list):
        for value in node:
            yield from find_all(key, value)


def read_commands() -> list[str]:
    """Each command line of the page, with the commands that are handed to others in quotes."""
    blocks = "".join(re.findall(r"^```bash\n(.*?)^```", README, re.M | re.S))
    return [line for line in blocks.splitlines() if line and not line.startswith("#")]


SEARCHLAB_COMMANDS = [
    match.group(1)
    for line in read_commands()
    for match in re.finditer(
        r"(?<![\w/])searchlab ((?:study|data|dashboard|storage|doctor)\b[^'&]*)", line
    )
]


# --- The launcher file ---


def prepare_launcher() -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config

    prepared: dict[str, Any] = prepare_config(
        yaml.safe_load((FOLDER / "ray-cluster.yaml").read_text())
    )
    return prepared


def test_launcher_file_passes_rays_own_check() -> None:
    from ray.autoscaler._private.util import validate_config

    prepared = prepare_launcher()
    validate_config(prepared)
    [kind] = prepared["available_node_types"].values()
    assert kind["min_workers"] == len(prepared["provider"]["worker_ips"])
    with pytest.raises(Exception, match="unexpected"):  # the check can fail
        validate_config({**prepared, "unknown": 1})


def test_launcher_starts_every_machine_with_the_token() -> None:
    prepared = prepare_launcher()
    for commands in (prepared["head_start_ray_commands"], prepared["worker_start_ray_commands"]):
        [start] = [command for command in commands if "ray start" in command]
        assert start.startswith("RAY_AUTH_MODE=token ")
    assert "~/.ray/auth_token" in prepared["file_mounts"]
    assert "chmod 600 ~/.ray/auth_token" in prepared["setup_commands"]


def test_every_address_is_one_kept_for_examples() -> None:
    provider = prepare_launcher()["provider"]
    for address in (provider["head_ip"], *provider["worker_ips"]):
        assert address.startswith("192.0.2.")
    assert set(re.findall(r"\b192\.0\.2\.\d+", README)) == set(provider["worker_ips"])


# --- The manifest ---


def list_pods() -> list[dict[str, Any]]:
    """The pod templates: PostgreSQL, the head, the workers."""
    pods = [pod for pod in find_all("template", MANIFEST) if "containers" in pod["spec"]]
    assert len(pods) == 3
    return pods


def list_names(kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in MANIFEST if one["kind"] == kind}


def test_every_claim_and_config_map_that_a_pod_names_is_there() -> None:
    assert set(find_all("claimName", MANIFEST)) == list_names("PersistentVolumeClaim")
    assert {one["name"] for one in find_all("configMap", MANIFEST)} == list_names("ConfigMap")


def test_the_secret_is_made_by_a_command_and_is_in_no_file() -> None:
    wanted = {(one["name"], one["key"]) for one in find_all("secretKeyRef", MANIFEST)}
    made = re.findall(r"kubectl create secret generic (\S+) --from-literal=(\w+)=\"\$\(", README)
    assert wanted == set(made)
    assert list_names("Secret") == set()


def test_every_mounted_volume_is_one_of_its_pod() -> None:
    for pod in list_pods():
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_every_selector_finds_its_pods() -> None:
    labels = [pod["metadata"]["labels"] for pod in list_pods()]
    services = [one["spec"]["selector"] for one in MANIFEST if one["kind"] == "Service"]
    for selector in (*services, *find_all("matchLabels", MANIFEST)):
        assert sum(selector.items() <= own.items() for own in labels) == 1


def test_the_storage_url_names_the_service_and_a_variable_defined_before_it() -> None:
    [head] = [pod for pod in list_pods() if pod["spec"]["containers"][0]["name"] == "ray-head"]
    env = head["spec"]["containers"][0]["env"]
    names = [variable["name"] for variable in env]
    assert names.index("POSTGRES_PASSWORD") < names.index("SEARCHLAB_STORAGE")
    url = env[names.index("SEARCHLAB_STORAGE")]["value"]
    [service] = [one for one in MANIFEST if one["kind"] == "Service"]
    host, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert url == f"postgresql+psycopg://searchlab:$(POSTGRES_PASSWORD)@{host}:{port}/searchlab"


def test_workers_get_no_password_and_share_the_runs_with_the_head() -> None:
    by_name = {pod["spec"]["containers"][0]["name"]: pod["spec"] for pod in list_pods()}
    assert set(by_name) == {"postgres", "ray-head", "ray-worker"}
    assert list(find_all("secretKeyRef", by_name["ray-worker"])) == []
    head, worker = by_name["ray-head"], by_name["ray-worker"]
    claims = [set(find_all("claimName", spec)) for spec in (head, worker)]
    assert claims == [{"searchlab-shared"}] * 2
    [shared] = [one for one in MANIFEST if one["metadata"]["name"] == "searchlab-shared"]
    assert shared["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_cluster_asks_for_a_token() -> None:
    [cluster] = [one for one in MANIFEST if one["kind"] == "RayCluster"]
    assert cluster["spec"]["authOptions"] == {"mode": "token"}


def test_images_carry_the_tested_version_of_ray() -> None:
    version = read_ray_version()
    [cluster] = [one for one in MANIFEST if one["kind"] == "RayCluster"]
    assert cluster["spec"]["rayVersion"] == version
    images = set(find_all("image", cluster))
    assert images == {f"registry.example.com/searchlab:ray-{version}"}
    docker = (FOLDER / "Dockerfile").read_text()
    assert f"FROM rayproject/ray:{version}-py311" in docker
    assert images.pop() in docker
    assert version in README


def test_the_studies_in_the_config_map_are_valid(tmp_path: Path) -> None:
    [studies] = [one["data"] for one in MANIFEST if one["kind"] == "ConfigMap"]
    for name, text in studies.items():
        (tmp_path / name).write_text(text)
        assert load_study(tmp_path / name).spec.name in README
        assert f"/studies/{name}" in README


# --- The Slurm script, with Slurm, Ray and searchlab replaced by what notes its arguments ---

_NOTE = '#!/bin/sh\necho "$(basename "$0") $*" >> "$NOTES"\n'
_TOOLS = {
    "srun": _NOTE + 'stat -c "token %a $RAY_AUTH_MODE ${SEARCHLAB_STORAGE:-none}"'
    ' "$RAY_AUTH_TOKEN_PATH" >> "$NOTES"\n',
    "scontrol": _NOTE + "echo localhost\n",
    # Waits for the nodes, or reads the study's name.
    "python": '#!/bin/sh\nif [ "$1" = - ]; then cat > /dev/null; else echo tiny; fi\n',
    "searchlab": _NOTE + 'trap "exit 143" TERM\necho "storage $SEARCHLAB_STORAGE" >> "$NOTES"\n'
    'if [ "$CODE" = wait ]; then echo up >> "$NOTES"; while :; do sleep 0.05; done; fi\n'
    'exit "$CODE"\n',
}


class SlurmJob:
    """Runs ``slurm.sh`` in a folder with stand-ins for the programs that it calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.notes = folder / "notes"
        (folder / "bin").mkdir()
        for name, text in _TOOLS.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)

    def start(self, code: int | str, **settings: str) -> subprocess.Popen[str]:
        own = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "NOTES": str(self.notes),
            "CODE": str(code),
            "SEARCHLAB_RUNS": str(self.runs),
            "SEARCHLAB_STORAGE": "postgresql://secret",
            "SLURM_JOB_ID": "71234",
            "SLURM_JOB_NUM_NODES": "4",
            "SLURM_JOB_NODELIST": "node[1-4]",
            "SLURM_CPUS_PER_TASK": "8",
        }
        return subprocess.Popen(
            ["bash", str(FOLDER / "slurm.sh"), "tiny.yaml"],
            env={**os.environ, **own, **settings},
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: int, **settings: str) -> str:
        """Run it with a driver that ends with this code; return what was noted."""
        with self.start(code, **settings) as job:
            _, errors = job.communicate(timeout=180)
        assert job.returncode == code, errors
        return self.notes.read_text()


@pytest.fixture
def slurm(tmp_path: Path) -> SlurmJob:
    return SlurmJob(tmp_path)


def test_slurm_script_is_a_script() -> None:
    script = FOLDER / "slurm.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def test_slurm_job_starts_a_head_workers_and_the_study(slurm: SlurmJob) -> None:
    notes = slurm.run(0)
    [address] = re.findall(r"searchlab study run tiny\.yaml --address (\S+) --runs-dir", notes)
    assert address.endswith(":21234")
    assert re.search(r"srun .*--nodes=1 .*--nodelist=localhost ray start --head .*--block", notes)
    assert re.search(rf"srun .*--nodes=3 .*--exclude=localhost .* --address={address}", notes)
    assert "requeue" not in notes


def test_slurm_job_keeps_token_and_password_to_itself(slurm: SlurmJob) -> None:
    notes = slurm.run(0)
    assert notes.count("token 600 token none") == 2  # on the head and on the workers
    assert "storage postgresql://secret" in notes
    assert list(slurm.runs.iterdir()) == []  # the token is removed with the job


def test_slurm_job_resumes_a_run_that_is_there(slurm: SlurmJob) -> None:
    (slurm.runs / "tiny").mkdir(parents=True)
    (slurm.runs / "tiny" / "study.yaml").touch()
    notes = slurm.run(0)
    assert f"searchlab study resume {slurm.runs / 'tiny'} --address" in notes
    assert "study run" not in notes


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (2, False), (3, True)])
def test_slurm_job_is_requeued_where_a_machine_failed(
    slurm: SlurmJob, code: int, requeued: bool
) -> None:
    assert ("scontrol requeue 71234" in slurm.run(code)) == requeued


def test_slurm_job_that_always_fails_is_not_requeued_for_ever(slurm: SlurmJob) -> None:
    assert "requeue" not in slurm.run(3, SLURM_RESTART_COUNT="20")


@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_slurm_job_stops_its_driver_and_is_requeued_when_its_time_is_up(
    slurm: SlurmJob, number: signal.Signals, requeued: bool
) -> None:
    with slurm.start("wait") as job:
        deadline = time.monotonic() + 60
        while not slurm.notes.exists() or "up\n" not in slurm.notes.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.2)  # the script takes note of the driver's pid
        job.send_signal(number)
        job.communicate(timeout=180)
    assert job.returncode == 143
    assert ("scontrol requeue 71234" in slurm.notes.read_text()) == requeued


# --- The page ---


@pytest.mark.parametrize("text", SEARCHLAB_COMMANDS)
def test_command_of_the_page_parses(text: str) -> None:
    found: Any = typer.main.get_command(app)
    words = shlex.split(text)
    while hasattr(found, "commands"):
        assert words[0] in found.commands
        found, words = found.commands[words[0]], words[1:]
    found.make_context(text, list(words))  # raises for an option that is not there


def test_the_page_shows_how_to_start_watch_and_stop_each() -> None:
    assert len(SEARCHLAB_COMMANDS) >= 8
    for heading in ("ray-cluster.yaml", "kuberay.yaml", "slurm.sh"):
        [block] = re.findall(rf"^## .*`{heading}`$.*?^```bash\n(.*?)^```", README, re.M | re.S)
        assert re.findall(r"^# (\w+)$", block, re.M) == ["start", "watch", "stop"]


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(r"\b(?:examples/cluster|studies)/[\w-]+\.\w+\b", "\n".join(read_commands()))
    shown = {name for name in named if name != "studies/digits.yaml"}  # the reader's own
    assert len(shown) >= 4
    assert [name for name in sorted(shown) if not (ROOT / name).exists()] == []

"""The check of every node before the first trial: what is missing is said, node by node."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from searchlab.engine.ray import node_questions, node_report, preflight
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts, read_cluster
from searchlab.engine.ray.preflight import check_nodes
from searchlab.errors import InputError

GIGABYTE = 10**9
WORKER = {"cpu": 1.0, "gpu": 0.0}
STRANGER = NodeFacts(
    node_id="ab" * 28,
    address="10.0.0.7",
    hostname="worker-7",
    cpus=4,
    gpus=0,
    memory_bytes=GIGABYTE,
    object_store_bytes=GIGABYTE,
    alive=True,
)


@pytest.fixture
def cluster(local_ray: None) -> ClusterFacts:
    """The tests' own Ray, as if it were somebody else's cluster."""
    return read_cluster(is_ours=False)


def check(cluster: ClusterFacts, folder: Path, **changes: Any) -> list[str]:
    options: dict[str, Any] = {
        "run_path": folder,
        "checkpoints": folder / "checkpoints",
        "images_bytes": 1000,
        "plugins": {},
        "code": {},
        "request": WORKER,
    }
    return check_nodes(cluster, **{**options, **changes})


def report(**changes: Any) -> dict[str, Any]:
    """What a node says that lacks nothing, but for the changes."""
    healthy = {
        "versions": node_report.read_versions(),
        "folder": None,
        "plugins": None,
        "free_bytes": {"/runs": 50 * GIGABYTE},
        "cuda_devices": None,
    }
    return {**healthy, **changes}


def judge(answer: dict[str, Any] | str, node: NodeFacts = STRANGER) -> tuple[list[str], list[str]]:
    findings = preflight._judge(node, answer, Path("/runs/tiny/checkpoints"))
    return findings.faults, findings.warnings


def test_a_node_that_lacks_nothing_passes_and_no_file_stays(
    cluster: ClusterFacts, tmp_path: Path
) -> None:
    plugins = {str(tmp_path / "plugin.py"): "VALUE = 1\n"}
    assert check(cluster, tmp_path, plugins=plugins) == []
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_code_of_a_setting_that_a_node_lacks_is_told_with_the_setting(
    cluster: ClusterFacts, tmp_path: Path
) -> None:
    assert check(cluster, tmp_path, code={"torch.optim:RAdam": "optimizer"}) == []
    with pytest.raises(InputError, match=r"training\.loss names nobody_has_it:hinge, which cannot"):
        check(cluster, tmp_path, code={"nobody_has_it:hinge": "loss"})


def test_a_plugin_that_a_node_cannot_load_is_told_with_node_and_error(
    cluster: ClusterFacts, tmp_path: Path
) -> None:
    plugins = {str(tmp_path / "plugin.py"): "import a_module_that_nobody_has\n"}
    with pytest.raises(InputError) as caught:
        check(cluster, tmp_path, plugins=plugins)
    [node] = cluster.nodes
    [_, line] = str(caught.value).splitlines()
    assert line.startswith(f"  {node.address} ({node.hostname}): plugin {tmp_path / 'plugin.py'}:1")
    assert "No module named 'a_module_that_nobody_has'" in line
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_silent_node_and_a_lost_one_are_both_named(cluster: ClusterFacts, tmp_path: Path) -> None:
    both = dataclasses.replace(cluster, nodes=(*cluster.nodes, STRANGER))
    plugins = {str(tmp_path / "plugin.py"): "import time\ntime.sleep(60)\n"}
    with pytest.raises(InputError) as caught:
        check(both, tmp_path, plugins=plugins, timeout_seconds=4)
    [head, silent, lost] = str(caught.value).splitlines()
    assert "2 of 2 nodes" in head
    assert cluster.nodes[0].name in silent
    assert "does not answer within 4 s" in silent
    assert "10.0.0.7 (worker-7): cannot be checked" in lost
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("change", [{"cpus": 0.5}, {"alive": False}])
def test_a_node_that_gets_no_worker_is_not_asked(
    cluster: ClusterFacts, tmp_path: Path, change: dict[str, Any]
) -> None:
    idle = dataclasses.replace(STRANGER, **change)
    nodes = (*cluster.nodes, idle)
    assert check(dataclasses.replace(cluster, nodes=nodes), tmp_path) == []


def test_where_no_node_has_room_both_sides_are_told(tmp_path: Path) -> None:
    cluster = ClusterFacts(is_ours=False, nodes=(STRANGER,))
    with pytest.raises(InputError) as caught:
        check(cluster, tmp_path, request={"cpu": 2.0, "gpu": 0.5})
    assert "no node with room for a worker of 2 CPUs and 0.5 GPUs" in str(caught.value)
    assert "10.0.0.7 (worker-7) 4 CPUs, 0 GPUs" in str(caught.value)
    assert not (tmp_path / "checkpoints").exists()


def test_a_ray_of_our_own_is_checked_without_a_task(
    cluster: ClusterFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(ray, "remote", None)
    ours = dataclasses.replace(cluster, is_ours=True)
    assert check(ours, tmp_path) == []
    monkeypatch.setattr(node_report, "read_free_bytes", lambda folders: dict.fromkeys(folders, 99))
    with pytest.raises(InputError, match=r"0\.00 GB of disk left"):
        check(ours, tmp_path)


def test_images_larger_than_the_object_store_are_a_warning(
    cluster: ClusterFacts, tmp_path: Path
) -> None:
    [warning] = check(cluster, tmp_path, images_bytes=10**15)
    assert "1000000.00 GB" in warning
    assert "--object-store-memory" in warning


def test_a_healthy_report_has_no_findings() -> None:
    assert judge(report()) == ([], [])


@pytest.mark.parametrize("package", ["python", "ray", "torch", "torchvision", "searchlab"])
def test_another_version_is_a_fault_with_both_versions(package: str) -> None:
    ours = node_report.read_versions()
    [fault], _ = judge(report(versions={**ours, package: "0.0.1"}))
    assert fault == f"{package} is 0.0.1, but {ours[package]} here; install the same version"


def test_other_source_files_of_the_same_version_are_a_fault() -> None:
    [fault], _ = judge(report(versions={**node_report.read_versions(), "source": "0" * 16}))
    assert "has different source files than here" in fault


def test_a_node_without_searchlab_is_told_to_install_it() -> None:
    ours = node_report.read_versions()
    versions = {**ours, "searchlab": None, "source": None}
    [fault], _ = judge(report(versions=versions, plugins="No module named 'searchlab'"))
    assert fault == f"searchlab is not installed; install searchlab {ours['searchlab']}"


@pytest.mark.parametrize(
    ("free", "num_faults", "num_warnings"),
    [(10**7, 1, 0), (5 * 10**8, 0, 1), (2 * 10**9, 0, 0)],
)
def test_little_disk_is_a_warning_and_none_a_fault(
    free: int, num_faults: int, num_warnings: int
) -> None:
    faults, warnings = judge(report(free_bytes={"/runs": free}))
    assert (len(faults), len(warnings)) == (num_faults, num_warnings)


def test_gpus_that_torch_does_not_see_are_a_fault() -> None:
    node = dataclasses.replace(STRANGER, gpus=2)
    assert judge(report(cuda_devices=2), node) == ([], [])
    [fault], _ = judge(report(cuda_devices=1), node)
    assert fault.startswith("Ray assigns 2 GPUs, but torch can use 1")


def test_several_faults_of_a_node_are_all_told() -> None:
    faults, _ = judge(report(folder="does not exist", free_bytes={"/tmp": 0}))
    assert len(faults) == 2


def ask(place: Path, secret: str = "told by the driver") -> str | None:
    answer = node_report.report_node(
        "node-1",
        exchange=str(place),
        secret=secret,
        run_path=str(place),
        plugins={},
        code={},
        wants_gpu=False,
        wait_seconds=0.0,
    )
    folder: str | None = answer["folder"]
    return folder


def test_a_folder_of_the_same_name_on_a_private_disk_is_told_apart(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints" / "preflight-1"
    assert ask(place) == "does not exist"
    place.parent.mkdir()
    assert ask(place) == "is not the driver's"
    place.mkdir()
    (place / "driver").write_text("what another driver told")
    assert ask(place) == "is not the driver's"
    assert list(place.iterdir()) == [place / "driver"]


def test_what_a_node_writes_must_reach_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_questions, "_FILE_WAIT_SECONDS", 0.0)
    secret = "told by the driver"
    (tmp_path / "driver").write_text(secret)
    unseen = node_questions._read_answer(tmp_path, "node-1", secret)
    assert unseen == "does not show the driver what this node writes"
    assert ask(tmp_path, secret) is None
    assert node_questions._read_answer(tmp_path, "node-1", secret) is None


def test_a_folder_that_a_node_cannot_write_is_told(tmp_path: Path) -> None:
    (tmp_path / "driver").write_text("told by the driver")
    (tmp_path / "node-1.tmp").mkdir()  # root may write anywhere, but not to a folder
    assert ask(tmp_path) == "cannot be used: Is a directory"


def test_a_folder_that_the_driver_cannot_write_is_told(
    cluster: ClusterFacts, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        check(cluster, tmp_path, checkpoints=tmp_path / "file" / "checkpoints")


# The question as it reaches a node where `import searchlab` fails.
ANSWER_WITHOUT_SEARCHLAB = """
import importlib.metadata, importlib.util, pickle, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "searchlab":
            raise ModuleNotFoundError("No module named 'searchlab'", name=name)

sys.meta_path.insert(0, Missing())
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "searchlab" else find_spec(name)
probe = pickle.load(sys.stdin.buffer)
place = sys.argv[1]
answer = probe("node-1", exchange=place, secret="", run_path=place,
               plugins={"some_plugin": None}, code={}, wants_gpu=False, wait_seconds=0)
print(answer["versions"]["source"], answer["plugins"], answer["versions"]["ray"])
"""


def test_the_question_can_be_answered_where_searchlab_is_missing(tmp_path: Path) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(node_report)
    try:
        question = cloudpickle.dumps(node_report.report_node)
    finally:
        cloudpickle.unregister_pickle_by_value(node_report)
    done = subprocess.run(
        [sys.executable, "-c", ANSWER_WITHOUT_SEARCHLAB, str(tmp_path)],
        input=question,
        capture_output=True,
        check=True,
    )
    source, *words, ray_version = done.stdout.decode().split()
    assert source == "None"
    assert " ".join(words) == "ModuleNotFoundError: No module named 'searchlab'"
    assert ray_version == node_report.read_versions()["ray"]

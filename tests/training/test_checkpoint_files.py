"""The files of checkpoints, whatever happens while they are written or after."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from searchlab.training import tensor_file
from searchlab.training.checkpoint_files import CheckpointFiles, forget_checkpoints, model_path
from searchlab.training.failures import describe_failure
from searchlab.training.memory import note_killed_for_memory
from searchlab.training.tensor_file import hash_file, write_tensors

METADATA = {"config": "this"}


def state_of(epoch: int) -> dict[str, Tensor]:
    return {"weight": torch.full((1000,), float(epoch)), "step": torch.tensor(float(epoch))}


def save(files: CheckpointFiles, *epochs: int) -> None:
    for epoch in epochs:
        files.save(epoch, state_of(epoch), METADATA)


def load(folder: Path, files: CheckpointFiles | None = None) -> int | None:
    """Return the epoch of the checkpoint that a new process would go on from."""

    def is_wanted(metadata: Mapping[str, str]) -> bool:
        return metadata == METADATA

    state = (files or CheckpointFiles(folder, 7)).load(is_wanted)
    if state is None:
        return None
    epoch = int(state.tensors["step"])
    assert torch.equal(state.tensors["weight"], state_of(epoch)["weight"])
    return epoch


def data_files(folder: Path) -> dict[int, Path]:
    return {
        int(path.name.split(".")[1].split("-")[0]): path
        for path in folder.glob("trial-00007.*-*.safetensors")
    }


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = [truncate, flip_a_bit, Path.unlink, lambda path: path.write_bytes(b"")]


def test_the_newest_and_the_one_before_are_kept(tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path, 7)
    for epoch in range(1, 5):
        save(files, epoch)
        assert load(tmp_path) == epoch
    assert set(data_files(tmp_path)) == {3, 4}
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    save(CheckpointFiles(tmp_path, 7), 1, 2)
    damage(data_files(tmp_path)[2])
    files = CheckpointFiles(tmp_path, 7)
    assert load(tmp_path, files) == 1
    # The one that goes on from there keeps what it knows to be whole, not what is damaged.
    save(files, 3)
    damage(data_files(tmp_path)[3])
    assert load(tmp_path) == 1
    damage(data_files(tmp_path)[1])
    assert load(tmp_path) is None
    save(CheckpointFiles(tmp_path, 7), 1)
    assert load(tmp_path) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_starts_the_trial_afresh(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    save(CheckpointFiles(tmp_path, 7), 1, 2)
    manifest = tmp_path / "trial-00007.json"
    before = json.loads(manifest.read_text())
    damage(manifest)
    found = load(tmp_path)
    assert found is None or (damage is flip_a_bit and found in (1, 2))
    save(CheckpointFiles(tmp_path, 7), 1)
    assert load(tmp_path) in (1, 2)
    assert json.loads(manifest.read_text())["format"] == before["format"]


def test_another_configuration_gives_way_to_the_one_before(tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path, 7)
    save(files, 1)
    files.save(2, state_of(2), {"config": "that"})
    assert load(tmp_path) == 1


def test_a_name_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "out", tmp_path / "in"
    save(CheckpointFiles(outside, 7), 1)
    inside.mkdir()
    content = json.loads((outside / "trial-00007.json").read_text())
    content["checkpoints"][0]["file"] = f"../out/{content['checkpoints'][0]['file']}"
    (inside / "trial-00007.json").write_text(json.dumps(content))
    assert load(outside) == 1
    assert load(inside) is None


def named(folder: Path) -> set[str]:
    content = json.loads((folder / "trial-00007.json").read_text())
    return {entry["file"] for entry in content["checkpoints"]}


def test_a_writer_that_was_replaced_does_no_harm(tmp_path: Path) -> None:
    stale, current = CheckpointFiles(tmp_path, 7), CheckpointFiles(tmp_path, 7)
    save(stale, 1, 2)
    assert load(tmp_path, current) == 2
    furthest = 2
    for writer, epoch in [(current, 5), (stale, 3), (stale, 4), (current, 6), (stale, 5)] + [
        (stale, 6), (stale, 7), (current, 7), (current, 8), (stale, 8),
    ]:  # fmt: skip
        save(writer, epoch)
        furthest = max(furthest, epoch)
        assert load(tmp_path) == furthest
        assert all((tmp_path / name).exists() for name in named(tmp_path))
    assert len(data_files(tmp_path)) <= 4


def test_a_file_that_another_process_is_about_to_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = CheckpointFiles(tmp_path, 7), CheckpointFiles(tmp_path, 7)
    save(first, 1, 2)
    load(tmp_path, second)
    write = write_tensors

    def write_and_be_overtaken(
        path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
    ) -> str:
        digest = write(path, tensors, metadata)
        monkeypatch.undo()
        save(first, 3)
        return digest

    monkeypatch.setattr("searchlab.training.checkpoint_files.write_tensors", write_and_be_overtaken)
    save(second, 3)
    assert all((tmp_path / name).exists() for name in named(tmp_path))
    assert load(tmp_path) == 3


def kill_in_a_fork(folder: Path, count: int) -> int:
    """Save epoch 3 in a fork that is killed at the ``count``-th moment; return its exit status."""
    child = os.fork()
    if child == 0:
        _save_until_killed(folder, count)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _save_until_killed(folder: Path, count: int) -> None:
    left = [count]

    def tick() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            tick()
            result = call(*args, **kwargs)
            tick()
            return result

        return wrapped

    files = CheckpointFiles(folder, 7)
    load(folder, files)
    for owner, name in [
        (os, "fsync"), (os, "open"), (Path, "open"), (Path, "replace"), (Path, "unlink"),
    ]:  # fmt: skip
        setattr(owner, name, deadly(getattr(owner, name)))
    original = tensor_file._bytes_of

    def noting(tensor: Tensor) -> memoryview:
        tick()
        return original(tensor)

    tensor_file._bytes_of = noting
    save(files, 3)


def test_a_process_killed_at_any_moment_of_a_save_leaves_a_whole_checkpoint(
    tmp_path: Path,
) -> None:
    ends = []
    for count in range(1, 60):
        folder = tmp_path / str(count)
        save(CheckpointFiles(folder, 7), 1, 2)
        status = kill_in_a_fork(folder, count)
        ends.append(load(folder))
        assert ends[-1] == (3 if status == 0 else ends[-1])
        # The next process goes on from there, and tidies up behind the one that was killed.
        files = CheckpointFiles(folder, 7)
        load(folder, files)
        save(files, 4, 5, 6)
        assert set(data_files(folder)) == {5, 6}
        if status == 0:
            break
        assert status == -signal.SIGKILL
    else:
        raise AssertionError("the save never ended")
    assert len(ends) > 12, "the case needs many moments"
    turn = ends.index(3)
    assert ends == [2] * turn + [3] * (len(ends) - turn)
    assert turn > 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("step", range(3))
def test_a_disk_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: int
) -> None:
    files = CheckpointFiles(tmp_path, 7)
    save(files, 1, 2)
    before = {path.name for path in tmp_path.iterdir()}
    calls = []
    original = os.fsync

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > step:
            raise OSError(number, os.strerror(number))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(number)) as error:
        save(files, 3)
    monkeypatch.undo()
    assert describe_failure(error.value).kind == "disk"
    assert load(tmp_path) == 2
    if step < 2:
        assert {path.name for path in tmp_path.iterdir()} == before
    save(files, 3)
    assert load(tmp_path) == 3


def test_a_full_disk_is_met_while_writing(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("needs /dev/full")
    link = tmp_path / "trial.safetensors"
    link.symlink_to(full)
    with pytest.raises(OSError, match="No space left") as error:
        write_tensors(link, {"a": torch.zeros(1_000_000)}, {})
    assert describe_failure(error.value).kind == "disk"


def test_forgetting_removes_all_of_one_trial_but_its_model(tmp_path: Path) -> None:
    for number in (7, 8):
        CheckpointFiles(tmp_path, number).save(1, state_of(1), METADATA)
        note_killed_for_memory(tmp_path, number)
    model_path(tmp_path, 7).touch()
    (tmp_path / "trial-00007.json.1-0.tmp").touch()
    others = {path.name for path in tmp_path.glob("trial-00008*")}
    forget_checkpoints(tmp_path, 7)
    forget_checkpoints(tmp_path, 7)
    forget_checkpoints(tmp_path / "nowhere", 7)
    assert len(others) == 3
    assert {path.name for path in tmp_path.iterdir()} == others | {"trial-00007.safetensors"}


def test_tensors_are_written_as_safetensors_reads_them(tmp_path: Path) -> None:
    drawn = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    tensors = {
        "scalar": torch.tensor(3),
        "flags": torch.tensor([True, False, True]),
        "half": drawn[0].bfloat16(),
        "double": drawn.double(),
        "columns": drawn.to(memory_format=torch.channels_last),
        "part": drawn[:, 1:2, ::2],
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(drawn),
    }
    path = tmp_path / "a.safetensors"
    digest = write_tensors(path, tensors, {"text": 'quoted " and \u00e9'})
    assert hash_file(path) == digest
    read = load_file(path)
    assert read.keys() == tensors.keys()
    for name, value in tensors.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value), name
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"text": 'quoted " and \u00e9'}
    write_tensors(path, {}, {})
    assert load_file(path) == {}

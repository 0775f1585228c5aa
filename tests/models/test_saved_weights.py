"""Initial weights in files: exact there and back, never overwritten, never another network's."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import SCHEMES, ModelConfig
from searchlab.errors import InputError
from searchlab.models.build import build_model
from searchlab.models.saved_weights import (
    FULL,
    copy_weights,
    describe_difference,
    initial_weights_path,
    load_initial_weights,
    read_initial_weights,
    save_initial_weights,
)

KEY = (7, 0, 0)


def build(family: str = "a1", scheme: str = "DT", *, side: int = 8, fold: int = 0) -> nn.Module:
    config = ModelConfig(family=family, scheme=scheme)
    return build_model(
        config, TrainingSettings(), image_shape=(1, side, side), num_classes=10, key=(7, fold, 0)
    )


def save(model: nn.Module, path: Path) -> Path:
    save_initial_weights(model, path, config=ModelConfig(family="a1"), key=KEY)
    return path


def test_files_are_named_after_architecture_scheme_and_member(tmp_path: Path) -> None:
    assert initial_weights_path(tmp_path, "a1", "HF", 0) == tmp_path / "a1-HF-fold0.safetensors"
    assert initial_weights_path(tmp_path, "a2", "DT", FULL) == tmp_path / "a2-DT-full.safetensors"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_loaded_weights_are_those_saved_and_frozen_ones_stay_frozen(
    tmp_path: Path, scheme: str
) -> None:
    saved, other = build("a2", scheme), build("a2", scheme, fold=1)
    frozen = [name for name, value in other.named_parameters() if not value.requires_grad]
    assert describe_difference(copy_weights(saved), copy_weights(other)) is not None
    load_initial_weights(other, save(saved, tmp_path / "deep" / "weights" / "a.safetensors"))
    assert describe_difference(copy_weights(saved), copy_weights(other)) is None
    assert [name for name, value in other.named_parameters() if not value.requires_grad] == frozen
    assert bool(frozen) == (scheme == "HF")


def test_buffers_and_memory_layouts_are_kept(tmp_path: Path) -> None:
    def network() -> nn.Sequential:
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        return layers.to(memory_format=torch.channels_last)

    saved, loaded = network(), network()
    assert isinstance(saved[1], nn.BatchNorm2d)
    assert saved[1].running_mean is not None
    saved[1].running_mean.fill_(0.25)
    load_initial_weights(loaded, save(saved, tmp_path / "a.safetensors"))
    assert describe_difference(copy_weights(saved), copy_weights(loaded)) is None
    assert loaded[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_file_says_what_it_is(tmp_path: Path) -> None:
    with safe_open(save(build(), tmp_path / "a.safetensors"), framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["config"])["family"] == "a1"
    assert json.loads(metadata["key"]) == list(KEY)
    assert json.loads(metadata["shapes"])["conv1.weight"] == [5, 1, 3, 3]


def test_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = save(build(), tmp_path / "a.safetensors")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"a\.safetensors already exists"):
        save(build(fold=1), path)
    assert path.read_bytes() == before


def test_nothing_but_the_file_is_left_in_the_folder(tmp_path: Path) -> None:
    path = save(build(), tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="already exists"):
        save(build(fold=1), path)
    assert list(tmp_path.iterdir()) == [path]


class WithoutLinks:
    """What os.link does on a file system that has none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", self)

    def __call__(self, source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(target))


def test_without_links_a_file_is_written_whole_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WithoutLinks(monkeypatch)
    path = save(build(), tmp_path / "a.safetensors")
    assert describe_difference(copy_weights(build()), read_initial_weights(path)) is None
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"a\.safetensors already exists"):
        save(build(fold=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match=r"a\.safetensors cannot be written: No space left"):
            save(build(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []
    save(build(), tmp_path / "a.safetensors")


def _die_in_mid_write(folder: Path) -> None:
    os.fsync = lambda _: os._exit(9)  # type: ignore[assignment]  # written, not in place yet
    save(build(), folder / "a.safetensors")


def test_a_kill_in_mid_write_does_not_take_the_name(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_in_mid_write, args=[tmp_path])
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 9
    path = tmp_path / "a.safetensors"
    assert not path.exists()
    save(build(), path)
    assert describe_difference(copy_weights(build()), read_initial_weights(path)) is None


def test_missing_file_is_an_input_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.safetensors does not exist.*weights save"):
        load_initial_weights(build(), tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a pickle in a zip", b"\xff" * 100])
def test_damaged_or_foreign_file_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.safetensors is not a complete safetensors file"):
        load_initial_weights(build(), path)


def test_truncated_file_is_an_input_error(tmp_path: Path) -> None:
    path = save(build(), tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="is not a complete safetensors file"):
        load_initial_weights(build(), path)


def test_folder_in_place_of_a_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read|is not a complete"):
        read_initial_weights(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="file cannot be written"):
        save(build(), tmp_path / "file" / "a.safetensors")


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (build(side=9), r"its fc1\.weight is \[10, 245\] float32, must be \[10, 180\] float32"),
        (build("a2"), r"its fc1\.weight is \[10, 112\] float32, must be \[10, 180\]"),
        (build().double(), r"its conv1\.weight is \[5, 1, 3, 3\] float64, must be .* float32"),
        (nn.Sequential(), r"it has no conv1\.weight \[5, 1, 3, 3\] float32"),
        (nn.Sequential(*build(), nn.Linear(1, 1)), r"it has no conv1\.weight"),
    ],
    ids=["other images", "other family", "other dtype", "empty", "other names"],
)
def test_other_networks_weights_are_refused_and_nothing_is_changed(
    tmp_path: Path, saved: nn.Module, message: str
) -> None:
    path = save(saved, tmp_path / "a.safetensors")
    model = build()
    with pytest.raises(InputError, match=f"holds the weights of another network: {message}"):
        load_initial_weights(model, path)
    assert describe_difference(copy_weights(build()), copy_weights(model)) is None


def test_more_tensors_than_the_network_has_are_refused(tmp_path: Path) -> None:
    larger = build()
    larger.add_module("fc2", nn.Linear(10, 2))
    path = save(larger, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"it has fc2\.\w+ \[.*\] float32, which"):
        load_initial_weights(build(), path)


def test_difference_names_the_first_tensor_and_its_norm() -> None:
    one, other = copy_weights(build()), copy_weights(build())
    assert describe_difference(one, other) is None
    other["fc1.bias"][0] += 0.5
    assert describe_difference(one, other) == "fc1.bias differs by a norm of 0.5"

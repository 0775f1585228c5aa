"""Transfer from a weights file: what is loaded, what is refused, and that nothing is unpickled."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError, SearchlabError
from searchlab.models import pretrained
from searchlab.models.build import build_model, check_model, count_parameters

SHAPE = (3, 16, 16)


def config_of(weights: object, **more: object) -> ModelConfig:
    return ModelConfig(family="resnet", parameters={"weights": str(weights), **more})


def build(config: ModelConfig, num_classes: int = 4) -> nn.Module:
    return build_model(
        config, TrainingSettings(), image_shape=SHAPE, num_classes=num_classes, key=(0,)
    )


@pytest.fixture(scope="module")
def trained() -> dict[str, Tensor]:
    """As torchvision would save it: seven classes, a head called fc, statistics that moved."""
    from torchvision.models import resnet18

    model = resnet18(num_classes=7)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.01, 0.02, generator=generator)
    return model.state_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, trained: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("weights")
    torch.save(trained, path / "trained.pth")
    old = {name: value for name, value in trained.items() if "num_batches" not in name}
    save_file(old, path / "trained.safetensors")
    return path


@pytest.mark.parametrize("file", ["trained.pth", "trained.safetensors"])
def test_all_but_the_head_is_loaded(folder: Path, file: str, trained: dict[str, Tensor]) -> None:
    config = config_of(folder / file, trainable="head")
    check_model(config, image_shape=SHAPE, num_classes=4)
    model = build(config)
    drawn = build(ModelConfig(family="resnet", parameters={"stem": "large"})).state_dict()
    for name, value in model.state_dict().items():
        reference = drawn if name.startswith("fc.") else trained
        assert torch.equal(value, reference[name]), name
    assert model.fc.fc1.weight.shape == (4, 512)


def test_the_scheme_comes_after_the_loaded_weights(
    folder: Path, trained: dict[str, Tensor]
) -> None:
    config = config_of(folder / "trained.pth")
    by_hand = ModelConfig(family="resnet", parameters=config.parameters, scheme="HF")
    model = build(by_hand)
    assert set(model.conv1.weight.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(model.bn1.weight, trained["bn1.weight"])


def test_a_network_of_this_project_can_be_taken_on(tmp_path: Path) -> None:
    source = build_model(
        ModelConfig(family="resnet", parameters={"stem": "small"}),
        TrainingSettings(),
        image_shape=(1, 16, 16),
        num_classes=9,
        key=(1,),
    )
    save_file(source.state_dict(), tmp_path / "mine.safetensors")
    config = config_of(tmp_path / "mine.safetensors", stem="small")
    model = build_model(
        config, TrainingSettings(), image_shape=(1, 16, 16), num_classes=2, key=(0,)
    )
    assert torch.equal(model.conv1.weight, source.conv1.weight)


def assert_refused(config: ModelConfig, message: str, shape: tuple[int, int, int] = SHAPE) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_model(config, image_shape=shape, num_classes=4)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(InputError, match=message):
        build_model(config, TrainingSettings(), image_shape=shape, num_classes=4, key=(0,))


def test_file_of_another_network_is_refused_by_its_first_differences(folder: Path) -> None:
    file = folder / "trained.pth"
    assert_refused(
        config_of(file, variant=34),
        rf"family resnet does not fit the weights of {file}: layer1\.2\.conv1\.weight is missing; "
        r".*, and \d+ more\. Give weights of the same variant",
    )
    assert_refused(
        config_of(file, variant=50),
        r"layer1\.0\.conv1\.weight is \[64, 64, 3, 3\], not \[64, 64, 1, 1\]",
    )


def test_other_channels_or_stem_are_refused_by_their_shapes(folder: Path) -> None:
    file = folder / "trained.pth"
    assert_refused(
        config_of(file), r"conv1\.weight is \[64, 3, 7, 7\], not \[64, 1, 7, 7\]\.", (1, 16, 16)
    )
    assert_refused(config_of(file, stem="small"), r"\[64, 3, 7, 7\], not \[64, 3, 3, 3\]")


def test_tensors_that_the_network_does_not_know_are_refused(
    tmp_path: Path, trained: dict[str, Tensor]
) -> None:
    torch.save({**trained, "extra.weight": torch.zeros(1)}, tmp_path / "more.pt")
    assert_refused(config_of(tmp_path / "more.pt"), r"extra\.weight is not known\.")


def test_missing_file_is_refused_before_a_study_but_can_be_counted(tmp_path: Path) -> None:
    config = config_of(tmp_path / "none.pth")
    assert_refused(config, rf"must find its weights in a file, but .* none at {tmp_path}/none\.pth")
    assert_refused(config_of(f"{tmp_path}/.pth"), "must find its weights in a file")
    assert count_parameters(config, image_shape=SHAPE, num_classes=4) > 11_000_000


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


BROKEN = {
    "empty": lambda content: b"",
    "text": lambda content: b"not weights at all",
    "cut short": cut,
    "noise": lambda content: bytes(range(256)) * 16,
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", BROKEN)
def test_unreadable_file_is_one_input_error(
    tmp_path: Path, folder: Path, suffix: str, damage: str
) -> None:
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(BROKEN[damage]((folder / f"trained{suffix}").read_bytes()))
    with pytest.raises(InputError, match="cannot read weights from") as caught:
        check_model(config_of(file), image_shape=SHAPE, num_classes=4)
    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The .pth files read so far."""
    files: list[Path] = []
    original = torch.load

    def count(file: str | Path, **options: object) -> object:
        files.append(Path(file))
        return original(file, **options)

    monkeypatch.setattr(torch, "load", count)
    monkeypatch.setattr(pretrained, "_kept", {})
    return files


def write(path: Path, tensors: dict[str, Tensor], *, time: int) -> Path:
    torch.save(tensors, path)
    os.utime(path, ns=(time, time))
    return path


def test_a_file_is_read_once_for_a_check_and_all_members(
    tmp_path: Path, trained: dict[str, Tensor], reads: list[Path]
) -> None:
    file = write(tmp_path / "a.pth", trained, time=1)
    for trainable in ("all", "head"):
        check_model(config_of(file, trainable=trainable), image_shape=SHAPE, num_classes=4)
    models = [build(config_of(file)) for _ in range(3)]
    assert reads == [file]
    with torch.no_grad():
        models[0].conv1.weight.zero_()  # as training may, without a trace in the others
    assert torch.equal(models[1].conv1.weight, trained["conv1.weight"])
    assert torch.equal(build(config_of(file)).conv1.weight, trained["conv1.weight"])


def test_a_file_that_changed_is_read_again(
    tmp_path: Path, trained: dict[str, Tensor], reads: list[Path]
) -> None:
    file = write(tmp_path / "a.pth", trained, time=1)
    build(config_of(file))
    others = {name: value + 1 for name, value in trained.items()}
    write(file, others, time=2)
    assert torch.equal(build(config_of(file)).conv1.weight, others["conv1.weight"])
    file.unlink()
    assert_refused(config_of(file), "must find its weights in a file")


def test_no_more_than_two_files_are_kept(
    tmp_path: Path, trained: dict[str, Tensor], reads: list[Path]
) -> None:
    one, two, three = (write(tmp_path / f"{name}.pth", trained, time=1) for name in "abc")
    for file in (one, two, one, three, one, two):
        pretrained.read_weights(str(file))
        assert len(pretrained._kept) <= 2
    assert reads == [one, two, three, two]


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.target, "sprung")


def test_pickled_code_is_never_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    assert_refused(config_of(tmp_path / "trap.pth"), "cannot read weights from")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "state_dict": {}}])
def test_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    assert_refused(config_of(tmp_path / "other.pt"), "must find named tensors")


def test_imagenet_weights_that_cannot_be_fetched_are_one_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(
        SearchlabError, match=r"cannot fetch the imagenet weights of resnet18 .*no net"
    ):
        check_model(config_of("imagenet"), image_shape=SHAPE, num_classes=4)


def test_imagenet_weights_come_from_torchs_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: dict[str, Tensor]
) -> None:
    from torchvision.models import ResNet18_Weights

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(trained, cache / Path(ResNet18_Weights.IMAGENET1K_V1.url).name)
    model = build(config_of("imagenet"))
    assert torch.equal(model.conv1.weight, trained["conv1.weight"])

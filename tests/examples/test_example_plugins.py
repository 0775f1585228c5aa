"""The examples do what their comments say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from searchlab.config import plugins
from searchlab.config.loading import load_study
from searchlab.config.named_code import list_references
from searchlab.config.plugins import load_plugins
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.data import registry as datasets
from searchlab.models import list_families
from searchlab.models import registry as families
from searchlab.models.build import build_model
from searchlab.search.space.space_check import check_space
from searchlab.study.preparation.code_check import check_code
from searchlab.training.losses import Targets
from searchlab.training.own_step import make_step

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = (0, 0, 0)


@pytest.fixture(autouse=True)
def _fresh_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    monkeypatch.setattr(datasets, "_DATASETS", dict(datasets._DATASETS))
    monkeypatch.setattr(plugins, "_loaded", {})


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_study_names_only_what_its_plugins_register(file: Path) -> None:
    before = set(list_families())
    spec = load_study(file, plugins=[str(EXAMPLES / "my_family.py")]).spec
    load_plugins(spec.plugins)
    own = set(list_families()) - before
    check_space(spec.space, None)  # type: ignore[arg-type]
    assert own & set(spec.space.families) or list_references(spec)  # type: ignore[union-attr]
    check_code(spec, num_classes=10)
    assert set(spec.baselines.architectures) <= set(list_families())
    assert spec.dataset.name in datasets.list_datasets()


def test_the_shapes_are_the_same_at_every_call() -> None:
    load_plugins([str(EXAMPLES / "my_dataset.py")])
    dataset = datasets.get_dataset("shapes")
    assert dataset.load is not None
    first, second = dataset.load(Path()), dataset.load(Path())
    assert first.fingerprint() == second.fingerprint()
    assert first.image_shape == dataset.image_shape
    assert (len(first.train_labels), len(first.test_labels)) == (1_200, 400)
    assert np.unique(first.train_labels).tolist() == [0, 1, 2, 3]


@pytest.fixture
def published() -> Any:
    """The names of the example's module, and its two networks built for 28x28 images."""
    path = EXAMPLES / "report002_as_published.py"
    load_plugins([str(path)])
    nets = {
        name: build_model(
            ModelConfig(family=f"{name}_as_published"),
            TrainingSettings(),
            image_shape=(1, 28, 28),
            num_classes=10,
            key=KEY,
        )
        for name in ("a1", "a2")
    }
    return SimpleNamespace(nets=nets, **nets)


def draw_images(count: int) -> torch.Tensor:
    return torch.rand((count, 1, 28, 28), generator=torch.Generator().manual_seed(0))


def test_published_networks_have_the_reports_layers_and_the_right_ones_weights(
    published: Any,
) -> None:
    assert published.a1.fc1.in_features == 576
    assert published.a2.fc1.in_features == 300
    for name, net in published.nets.items():
        right = build_model(
            ModelConfig(family=f"{name}_report002"),
            TrainingSettings(),
            image_shape=(1, 28, 28),
            num_classes=10,
            key=KEY,
        )
        assert net.state_dict().keys() == right.state_dict().keys()
        for key, value in right.state_dict().items():
            assert torch.equal(net.state_dict()[key], value)


@pytest.mark.parametrize("name", ["a1", "a2"])
def test_a_published_networks_answer_depends_on_the_rest_of_the_batch(
    name: str, published: Any
) -> None:
    images = draw_images(200)
    with torch.no_grad():
        together = published.nets[name](images)
        fewer = published.nets[name](images[:100])
        alone = published.nets[name](images[:1])
    assert not torch.allclose(together[:100], fewer)
    assert torch.equal(alone, torch.ones((1, 10)))
    # Per class and batch of 128; the last batch has the other 72.
    for batch in (together[:128], together[128:]):
        torch.testing.assert_close(batch.sum(0), torch.ones(10))


def test_the_published_loss_has_a_floor_near_that_of_guessing() -> None:
    labels = torch.arange(130) % 10
    perfect = torch.nn.functional.one_hot(labels, 10).float() / 13
    floor = cross_entropy(perfect, labels).item()
    guessing = cross_entropy(torch.full((130, 10), 1 / 130), labels).item()
    assert floor == pytest.approx(2.23, abs=0.005)
    assert guessing == pytest.approx(2.303, abs=0.0005)


def test_a_student_learns_from_its_labels_and_from_a_teacher_that_is_trained_first() -> None:
    load_plugins([str(EXAMPLES / "distillation.py")])
    labels = torch.arange(300) % 3
    images = (80 * labels[:, None, None, None] + torch.arange(16).view(1, 1, 4, 4)).byte()
    student = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    context: Any = SimpleNamespace(
        model=student,
        indices=torch.arange(300),
        fetch=lambda indices: (images[indices], labels[indices]),
        normalize=lambda pixels: pixels.float() / 100 - 1,
        predict=lambda network, inputs: network(inputs),
        loss=lambda logits, targets: cross_entropy(logits, targets.labels),
        num_classes=3,
    )
    settings = TrainingSettings(
        step="distillation:Distillation", step_arguments={"share": 0.25, "temperature": 2.0}
    )
    step: Any = make_step(settings)
    step.begin(context)
    inputs = context.normalize(images)
    assert (step.teacher(inputs).argmax(1) == labels).all()
    loss, logits = step.loss(inputs, Targets(labels))
    assert torch.equal(logits, student(inputs))
    wanted, found = (torch.softmax(one.double() / 2, 1) for one in (step.teacher(inputs), logits))
    taught = 4 * (wanted * (wanted / found).log()).sum(1).mean()
    expected = 0.25 * taught + 0.75 * cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.autograd.backward(loss)
    assert student[1].weight.grad is not None
    assert not any(weight.requires_grad for weight in step.teacher.parameters())

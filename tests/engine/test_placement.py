"""What ``auto`` makes of a cluster and of the largest model's needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_studies import NO_DATA, write_study

from searchlab.config.loading import load_study
from searchlab.config.resources import ResourceSpec
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig
from searchlab.engine.ray.memory_check import describe_probe
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts
from searchlab.engine.ray.placement import least_request, place_workers
from searchlab.study.preparation.largest_model import find_largest_model
from searchlab.study.preparation.prepared_study import prepare_study
from searchlab.training.images import TrainingData
from searchlab.training.memory_check import ProbeResult, probe_training

GIGABYTE = 10**9


def make_node(**changes: Any) -> NodeFacts:
    fields: dict[str, Any] = {
        "node_id": "a",
        "address": "10.0.0.1",
        "hostname": "one",
        "cpus": 8.0,
        "gpus": 0.0,
        "memory_bytes": 64 * GIGABYTE,
        "object_store_bytes": GIGABYTE,
        "alive": True,
    }
    return NodeFacts(**{**fields, **changes})


def make_cluster(*nodes: NodeFacts) -> ClusterFacts:
    return ClusterFacts(is_ours=False, nodes=nodes)


def make_probe(gigabytes: float = 1.0, **changes: Any) -> ProbeResult:
    fields: dict[str, Any] = {
        "peak_bytes": int(gigabytes * GIGABYTE),
        "images_per_second": 1000.0,
        "num_parameters": 5000,
        "bytes_per_member": 0,
    }
    return ProbeResult(**{**fields, **changes})


CONFIG = TrialConfig(
    number=0,
    seed=0,
    role="search",
    dataset="digits",
    model=ModelConfig(family="a2"),
    settings=TrainingSettings(epochs=1, batch_size=64),
    folds=FoldPlan(num_folds=2, folds=(0,), search_folds=1, test=False),
    objective=ObjectiveConfig(),
)


def test_workers_fill_the_cpus_of_all_living_nodes() -> None:
    cluster = make_cluster(make_node(), make_node(cpus=3.0), make_node(alive=False))
    placement = place_workers(ResourceSpec(cpus=2), cluster, CONFIG, make_probe())
    assert placement.workers == 4 + 1
    assert placement.request == {"cpu": 2.0, "gpu": 0.0}


def test_workers_are_as_many_as_memory_allows_and_one_at_the_least() -> None:
    cluster = make_cluster(make_node(memory_bytes=10 * GIGABYTE))
    few = place_workers(ResourceSpec(), cluster, CONFIG, make_probe(3.0))
    assert few.workers == 2
    none = place_workers(ResourceSpec(), cluster, CONFIG, make_probe(30.0))
    assert none.workers == 1
    assert none.is_short_of_memory
    assert "may not fit into memory" in none.describe()


def test_what_is_asked_for_stands() -> None:
    asked = ResourceSpec(cpus=1, gpus=0.5, workers=3)
    cluster = make_cluster(make_node(gpus=1.0))
    placement = place_workers(asked, cluster, CONFIG, make_probe())
    assert placement.workers == 3
    assert placement.request == {"cpu": 1.0, "gpu": 0.5}


@pytest.mark.parametrize(("gigabytes", "gpu"), [(1.0, 0.25), (10.0, 0.5), (30.0, 1.0)])
def test_a_gpu_is_shared_by_as_many_trials_as_fit_into_it(gigabytes: float, gpu: float) -> None:
    cluster = make_cluster(make_node(gpus=2.0))
    probe = make_probe(gigabytes, device_bytes=32 * GIGABYTE)
    placement = place_workers(ResourceSpec(), cluster, CONFIG, probe)
    assert placement.request["gpu"] == gpu
    assert placement.workers == 2 / gpu


def test_the_context_of_every_process_takes_its_part_of_a_gpu() -> None:
    cluster = make_cluster(make_node(gpus=1.0))
    probe = make_probe(1.0, device_bytes=int(5.2 * GIGABYTE))  # four fit without, two with
    assert place_workers(ResourceSpec(), cluster, CONFIG, probe).workers == 2


@pytest.mark.parametrize(("gigabytes", "is_short"), [(20.0, False), (30.0, True)])
def test_a_model_that_does_not_fit_into_a_gpu_is_told_of(gigabytes: float, is_short: bool) -> None:
    cluster = make_cluster(make_node(gpus=1.0))
    probe = make_probe(gigabytes, device_bytes=32 * GIGABYTE)
    placement = place_workers(ResourceSpec(), cluster, CONFIG, probe)
    assert (placement.workers, placement.is_short_of_memory) == (1, is_short)
    assert ("may not fit into memory" in placement.describe()) is is_short


def test_a_model_that_fits_in_parts_only_has_a_gpu_to_itself() -> None:
    cluster = make_cluster(make_node(gpus=1.0))
    probe = make_probe(3.0, device_bytes=32 * GIGABYTE, batch_split=4)
    placement = place_workers(ResourceSpec(), cluster, CONFIG, probe)
    assert (placement.request["gpu"], placement.is_short_of_memory) == (1.0, True)


def test_without_a_probe_workers_go_by_cores_and_have_a_gpu_to_themselves() -> None:
    by_cores = place_workers(ResourceSpec(cpus=2), make_cluster(make_node()), None, None)
    assert (by_cores.workers, by_cores.is_short_of_memory) == (4, False)
    by_gpus = place_workers(ResourceSpec(), make_cluster(make_node(gpus=2.0)), None, None)
    assert (by_gpus.workers, by_gpus.request["gpu"]) == (2, 1.0)
    short = place_workers(
        ResourceSpec(), make_cluster(make_node(gpus=2.0)), None, None, is_short_of_memory=True
    )
    assert short.is_short_of_memory
    assert short.workers == 2


@pytest.mark.parametrize(("gpu", "workers"), [(0.1, 20), (0.2, 10), (0.3, 6), (1, 2)])
def test_fractions_fill_a_gpu(gpu: float, workers: int) -> None:
    cluster = make_cluster(make_node(gpus=2.0, cpus=64.0))
    placement = place_workers(ResourceSpec(gpus=gpu), cluster, CONFIG, make_probe())
    assert placement.workers == workers


def test_fractions_fill_the_cores() -> None:
    cluster = make_cluster(make_node(cpus=1.0))
    assert place_workers(ResourceSpec(cpus=0.1), cluster, CONFIG, make_probe(0.1)).workers == 10


def test_a_gpu_is_not_shared_by_more_trials_than_its_host_has_cores_for() -> None:
    cluster = make_cluster(make_node(gpus=4.0, cpus=8.0))
    probe = make_probe(0.1, device_bytes=32 * GIGABYTE)
    placement = place_workers(ResourceSpec(), cluster, CONFIG, probe)
    assert placement.request["gpu"] == 0.5
    assert placement.workers == 8


def test_the_least_request_takes_a_gpu_where_the_cluster_has_one() -> None:
    assert least_request(ResourceSpec(), make_cluster(make_node()))["gpu"] == 0
    assert least_request(ResourceSpec(), make_cluster(make_node(gpus=1.0)))["gpu"] == 0.25
    assert least_request(ResourceSpec(gpus=0), make_cluster(make_node(gpus=1.0)))["gpu"] == 0


def test_the_line_says_what_workers_get() -> None:
    placement = place_workers(ResourceSpec(), make_cluster(make_node()), CONFIG, make_probe())
    assert placement.describe() == "8 workers of 1 CPU"


def test_the_largest_model_has_the_space_s_greatest_values(tmp_path: Path) -> None:
    file = load_study(write_study(tmp_path, baselines={"architectures": []}))
    prepared = prepare_study(file, data_dir=NO_DATA)
    largest = find_largest_model(prepared)
    assert largest is not None
    assert (largest.model.family, largest.settings.batch_size) == ("cnn", 512)
    assert largest.model.parameters["width"] in (8, (8,))
    data = TrainingData.from_images(prepared.images, prepared.folds, _cpu())
    probe = probe_training(largest, data)
    assert probe.images_per_second > 0
    assert "the model that computes most: cnn" in describe_probe(largest, probe)


def _cpu() -> Any:
    import torch

    return torch.device("cpu")

"""What ``precision: auto`` stands for, and where it is settled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_studies import ONE_TRIAL, STUDY, resume, run_study

from searchlab.config.loading import study_from_data
from searchlab.config.study import StudySpec
from searchlab.engine.precision import choose_precision, settle_precision
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder

PROCESSORS = {
    "neither": ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, "float32"),
    "avx512": ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
    "amx": ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
    "another architecture": ({"architecture": "aarch64"}, "float32"),
}


def _study(**changes: Any) -> StudySpec:
    return study_from_data({**STUDY, **changes}).spec


def _have(monkeypatch: pytest.MonkeyPatch, processor: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: PROCESSORS[processor][0])


@pytest.mark.parametrize("processor", PROCESSORS)
def test_auto_is_bfloat16_only_where_the_processor_computes_in_it(
    processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have(monkeypatch, processor)
    spec = settle_precision(_study(training={"precision": "auto"}), is_alone=True)
    assert spec.training.precision == PROCESSORS[processor][1]


def test_auto_is_float32_if_other_machines_may_train_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _have(monkeypatch, "amx")
    said: list[str] = []
    spec = settle_precision(
        _study(training={"precision": "auto"}), is_alone=False, announce=said.append
    )
    assert spec.training.precision == "float32"
    assert "training.precision=bfloat16" in "".join(said)


def test_float16_needs_a_gpu_unless_other_machines_may_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = _study(training={"precision": "float16"})
    for gpus in (0, "auto"):
        with pytest.raises(InputError, match=r"training\.precision cannot be float16 on the CPU"):
            settle_precision(
                _study(training={"precision": "float16"}, resources={"gpus": gpus}), is_alone=True
            )
    assert settle_precision(study, is_alone=False) == study
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert settle_precision(study, is_alone=True) == study


def test_auto_is_float32_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _have(monkeypatch, "amx")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_precision() == "float32"
    assert choose_precision(num_gpus=0) == "bfloat16"


def test_baselines_have_their_own_auto_and_nothing_else_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _have(monkeypatch, "avx512")
    rows = [
        {"name": "open", "architecture": "a1", "training": {"precision": "auto", "lr": 0.1}},
        {"name": "plain", "architecture": "a1"},
    ]
    before = _study(baselines={"architectures": [], "rows": rows})
    spec = settle_precision(before, is_alone=True)
    opened, plain = spec.baseline_rows
    assert spec.baseline_training(opened).precision == "bfloat16"
    assert spec.baseline_training(opened).lr == 0.1
    assert spec.baseline_training(plain).precision == spec.training.precision == "float32"
    data = before.to_data()
    data["baselines"]["rows"][0]["training"]["precision"] = "bfloat16"
    assert spec.to_data() == data


@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_a_precision_that_is_named_stays(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _have(monkeypatch, "neither" if given == "bfloat16" else "amx")
    spec = _study(training={"precision": given})
    assert settle_precision(spec, is_alone=True) is spec


def test_a_study_records_what_auto_was_and_goes_on_with_it_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have(monkeypatch, "amx")
    changes = {**ONE_TRIAL, "training": {"epochs": 1, "precision": "auto"}}
    run = run_study(tmp_path, "serial", **changes)
    assert _recorded(run) == "bfloat16"
    _have(monkeypatch, "neither")
    resume(run)
    assert _recorded(run) == "bfloat16"


def _recorded(run: RunFolder) -> str:
    return run.load().spec.training.precision

"""Weights & Biases, offline: wandb's own files have each trial with its epochs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked_studies import TrackedStudy

from searchlab.errors import InputError

pytestmark = pytest.mark.slow  # wandb takes 3 s to import, and starts a process


@pytest.fixture(autouse=True)
def _no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield
    import wandb

    wandb.teardown()  # it keeps its settings


def test_each_trial_is_written_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    study = TrackedStudy(tmp_path, wandb={"project": "images"})
    study.cut_off()
    files = list((study.run.trackers / "wandb").rglob("run-*.wandb"))
    assert sorted(path.stem.rpartition("-")[2] for path in files) == ["0", "1", "study"]
    [finished] = [path.read_bytes() for path in files if path.stem.endswith("-0")]
    for piece in (b"images", b"driven", b"#0 a2/HF", b"train/loss", b"test/accuracy", b"COMPLETE"):
        assert piece in finished


def test_a_machine_without_a_key_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no API key.* Run wandb login, or set WANDB_MODE=off"):
        TrackedStudy(tmp_path, wandb={}).open()
    assert not (tmp_path / "runs").exists()

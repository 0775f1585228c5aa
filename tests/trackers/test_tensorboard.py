"""TensorBoard's own reader finds each trial once, with its hyperparameters, and the verdict."""

from __future__ import annotations

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tracked_studies import TrackedStudy


def read(study: TrackedStudy, run: str) -> EventAccumulator:
    events = EventAccumulator(str(study.run.trackers / "tensorboard" / run))
    return events.Reload()


def steps(events: EventAccumulator, tag: str) -> list[int]:
    return [event.step for event in events.Scalars(tag)]


def read_hparams(events: EventAccumulator) -> dict[str, object]:
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    return {name: value.string_value or value.number_value for name, value in start.hparams.items()}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TrackedStudy:
    """A study that was cut off in its second trial, and resumed."""
    study = TrackedStudy(tmp_path_factory.mktemp("tensorboard"), tensorboard={})
    study.cut_off()
    study.finish()
    return study


def test_each_trial_has_a_run_with_a_safe_name(study: TrackedStudy) -> None:
    runs = sorted(path.name for path in (study.run.trackers / "tensorboard").glob("*/"))
    assert runs[:3] == ["0000-baseline-a2-HF", "0001-baseline-a2-DT", runs[2]]
    assert [name.split("-")[1] for name in runs[2:-1]] == [
        "search", "search", "search", "finalist", *["confirmation"] * 4,
    ]  # fmt: skip
    assert runs[-1] == "study"


def test_a_trial_that_went_on_has_every_epoch_once(study: TrackedStudy) -> None:
    events = read(study, "0001-baseline-a2-DT")
    assert steps(events, "train/loss") == steps(events, "validation/accuracy") == [1, 2, 3]
    losses = [event.value for event in events.Scalars("train/loss")]
    assert losses == pytest.approx([1, 1 / 2, 1 / 3])


def test_a_trial_has_its_hyperparameters_role_and_results(study: TrackedStudy) -> None:
    events = read(study, "0000-baseline-a2-HF")
    told = read_hparams(events)
    assert told["family"] == "a2"
    assert told["a2.scheme"] == "HF"
    assert told["lr"] == pytest.approx(1e-3)
    assert (told["role"], told["state"]) == ("baseline", "COMPLETE")
    assert events.Scalars("test/accuracy")[0].value == pytest.approx(0.9)
    assert events.Scalars("result/parameters")[0].value == 123


def test_a_failed_and_a_diverged_trial_say_so(study: TrackedStudy) -> None:
    [failed] = (study.run.trackers / "tensorboard").glob("0002-*")
    [diverged] = (study.run.trackers / "tensorboard").glob("0003-*")
    told = read_hparams(read(study, failed.name))
    assert (told["state"], told["reason"]) == ("FAIL", "no such layer")
    told = read_hparams(read(study, diverged.name))
    assert (told["state"], told["reason"]) == ("PRUNED", "diverged")


def test_the_study_has_its_leaderboard_once(study: TrackedStudy) -> None:
    [text] = read(study, "study").Tensors("leaderboard/text_summary")
    note = text.tensor_proto.string_val[0].decode()
    assert "| trial | model |" in note
    assert "a2/DT" in note

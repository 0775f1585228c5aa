"""TrialActor: the Ray actor that trains one trial after another on images loaded once."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import ray
from ray.tune import Trainable

from searchlab.training.failures import DeviceLostError, describe_failure

__all__ = ["TrialActor"]

logger = logging.getLogger(__name__)


class TrialActor(Trainable):  # type: ignore[misc]  # Ray ships no types
    """A Tune trainable whose step is an epoch.

    Starting it costs nothing: torch is imported and the images are mapped from Ray's object store
    at the first step, so an actor can be stopped at any moment. A reused actor keeps them.
    """

    def setup(self, config: dict[str, Any], *, shared: dict[str, Any]) -> None:
        """Take the first trial.

        ``shared`` holds a reference to the images, the sources of the plugins, and settings.
        """
        self._shared = shared
        self._data: Any = None
        self._run: Any = None
        self._is_device_lost = False
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial; keep the images."""
        self._config_json: str = new_config["trial"]
        self._end_run()
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch. A failure is a result: if raised, Tune takes it for a worker's death.

        Raises DeviceLostError if the GPU cannot be used any more: then Tune stops the actor, whose
        process ends, and the trial continues in another.
        """
        try:
            if self._run is None:
                self._run = self._begin()
            result = self._run.step()
        except Exception as error:
            logger.exception("the trial failed")
            failure = describe_failure(error)
            if failure.kind == "device":
                self._is_device_lost = True
                # Ours, without its cause, whose type the driver may not have.
                raise DeviceLostError(failure.message) from None
            from searchlab.training.memory import release_frames

            release_frames(error)  # which hold the models
            self._end_run()
            return {"error": failure.message, "kind": failure.kind, "done": True}
        if result.done:
            self._end_run()  # not only when the actor gets its next trial
        # One string, because Tune flattens and copies every field of a nested result.
        return {"result": json.dumps(result.to_dict()), "done": result.done}

    def _begin(self) -> Any:
        from searchlab.config.trial import TrialConfig
        from searchlab.training.run import TrialFolders, TrialRun

        if self._data is None:
            self._data = self._load_data()
        config = TrialConfig.from_json(self._config_json)
        return TrialRun(config, self._data, TrialFolders(**self._shared["folders"]))

    def _load_data(self) -> Any:
        from searchlab.config.plugins import load_sources
        from searchlab.data.shared_images import open_shared
        from searchlab.engine.devices import choose_device
        from searchlab.training.images import TrainingData
        from searchlab.training.process import limit_device_memory, prepare_process

        share = self._shared["num_gpus"]
        device = choose_device(share)
        prepare_process(self._shared["num_threads"], device)
        limit_device_memory(device, share)
        load_sources(self._shared["plugins"])
        images, folds = ray.get(self._shared["images"])
        return TrainingData.from_images(open_shared(images), folds, device, share=share)

    def _end_run(self) -> None:
        """Free a trial's models; on a GPU also the memory that torch keeps, for its neighbours."""
        self._run = None
        if self._data is not None and self._data.device.type == "cuda":
            from searchlab.training.memory import free_memory

            free_memory()

    def cleanup(self) -> None:
        """Release everything; also called on a spare actor that never had a trial."""
        if self._is_device_lost:
            _end_process()
        self._run = self._data = None


def _end_process() -> None:
    """End at once: an orderly exit returns memory to the device and may wait for it forever."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)

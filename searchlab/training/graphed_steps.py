"""A member's steps of training as CUDA graphs, which take nothing from the host between two steps.

A small network's step is some forty kernels of a few microseconds, and launching them one by one
takes longer than computing them. A graph launches all at once. So the order of the images, the
learning rates and the position in both are tables and counters on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

from searchlab.config.trial import TrialConfig
from searchlab.training.images import TrainingData
from searchlab.training.optimizers import rate_scales, read_rates_from
from searchlab.training.seeded_draws import seeded_draws
from searchlab.training.trained_batches import Tally, TrainedSums

__all__ = ["GraphedSteps", "RecordingError", "can_graph"]


def can_graph(config: TrialConfig, data: TrainingData) -> bool:
    """Return whether a trial is to be trained by graphs, which need images that are on a GPU."""
    is_there = data.train_images.device == data.device
    return config.settings.cuda_graphs and data.device.type == "cuda" and is_there


class RecordingError(Exception):
    """CUDA cannot record the step, which may do something that only the host can decide.

    What the step draws from is then no longer usable: train again without graphs.
    """


class GraphedSteps:
    """Trains a member on a stream of its own: ``begin`` an epoch, ``step`` by step, ``measure`` it.

    A step is one graph for each size of batch. The first step of a size is not recorded: it trains
    like all others, and prepares what a graph may not, such as the optimizer's state. The second is
    recorded, and from then on it is replayed.

    On the CPU, where there are no graphs, every step is like the first: so tests can compare.
    """

    def __init__(
        self,
        train_on: Callable[[Tensor, Tally], None],
        optimizer: torch.optim.Optimizer,
        generators: Sequence[torch.Generator],
        *,
        num_images: int,
        num_steps: int,
        largest_batch: int,
        device: torch.device,
        number: int,
    ) -> None:
        """Take the step, and all that it draws from. A batch is indices [B] on the device.

        Members of one trial need different numbers, so that each has a stream of its own.
        """
        self._train_on = train_on
        self._optimizer = optimizer
        self._generators = generators
        self._stream = _stream(device, number) if device.type == "cuda" else None
        self._pool = None if self._stream is None else torch.cuda.graph_pool_handle()
        self._graphs: dict[int, torch.cuda.CUDAGraph | None] = {}
        # 64 bits, as a float has, times the layer's scale; a GPU's optimizer reads 32 bits of it,
        # rounded once, as without graphs.
        self._rates = torch.zeros(num_steps, device=device, dtype=torch.float64)
        scales = rate_scales(optimizer)
        self._scales = torch.tensor(scales, device=device, dtype=torch.float64)
        rate_dtype = torch.float64 if self._stream is None else torch.float32
        self._group_rates = torch.zeros(len(scales), device=device, dtype=rate_dtype)
        self._order = torch.zeros(num_images, device=device, dtype=torch.int64)
        self._offsets = torch.arange(largest_batch, device=device)
        self._num_trained = torch.zeros(1, device=device, dtype=torch.int64)
        self._num_steps = torch.zeros(1, device=device, dtype=torch.int64)
        self._sums = TrainedSums(device)
        self._num_images = 0

    def begin(self, order: Tensor, rates: Sequence[float]) -> None:
        """Prepare an epoch's steps: all its images [N] in order, and the learning rate of each."""
        self._num_images = len(order)
        read_rates_from(self._optimizer, self._group_rates)  # again: loading a checkpoint copies it
        self._order[: len(order)].copy_(order)
        self._rates[: len(rates)].copy_(torch.tensor(rates, dtype=self._rates.dtype))
        self._num_trained.zero_()
        self._num_steps.zero_()
        self._sums.clear()
        if self._stream is not None:  # which is to find all this, and the weights
            self._stream.wait_stream(torch.cuda.current_stream())

    def step(self, size: int) -> None:
        """Train on the next ``size`` images. Raises RecordingError."""
        with self._on_stream():
            if size not in self._graphs:
                self._graphs[size] = None
                self._run_first(size)
                return
            if self._stream is None:
                self._run(size)
                return
            graph = self._graphs[size] or self._record(size)
            self._graphs[size] = graph
            graph.replay()

    def end(self) -> None:
        """Let the GPU do nothing else before these steps are done, even if they were broken off.

        Otherwise it could give away memory in which they still write.
        """
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)

    def measure(self) -> dict[str, float]:
        """Return the mean loss and accuracy over the epoch's images, once its steps are done."""
        self.end()
        return self._sums.measure(self._num_images)

    def _run_first(self, size: int) -> None:
        device = self._order.device
        with seeded_draws(device, 0):
            before = _read_states(device)
            self._run(size)
            has_drawn = any(map(_differ, before, _read_states(device)))
        # The host would no longer draw, and members at the same time have one generator of CUDA's.
        if has_drawn:
            raise RecordingError("a layer draws from torch's own generators")

    def _run(self, size: int) -> None:
        rate = self._rates.gather(0, self._num_steps)
        torch.mul(rate, self._scales, out=self._group_rates)
        batch = self._order.index_select(0, self._offsets[:size] + self._num_trained)
        self._train_on(batch, self._sums)
        self._num_trained += size
        self._num_steps += 1

    def _record(self, size: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        self._optimizer.zero_grad(set_to_none=True)  # the graph has gradients of its own
        try:
            for generator in self._generators:
                graph.register_generator_state(generator)
            # Another thread of the process may go on to use the GPU.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                self._run(size)
        except RuntimeError as error:
            graph.reset()  # gives back what it had taken
            raise RecordingError(str(error).partition("\n")[0]) from error
        return graph

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        with torch.cuda.stream(self._stream):  # nothing, if it is None
            yield


def _read_states(device: torch.device) -> list[Tensor]:
    """Return the states of torch's own generators, of the CPU and of a GPU."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(one, other)


@cache
def _stream(device: torch.device, number: int) -> torch.cuda.Stream:
    """Return the same stream for the same number, as cuBLAS keeps 32 MB for each for ever."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

"""Asks every node for its report, and whether it shares the run's folder with the driver."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchlab.engine.ray import node_report
from searchlab.engine.ray.node_facts import NodeFacts
from searchlab.errors import InputError

__all__ = ["ask_nodes"]

# How long a file server may take to show a new file on another node.
_FILE_WAIT_SECONDS = 3.0


def ask_nodes(
    hosts: Sequence[NodeFacts],
    *,
    run_path: Path,
    checkpoints: Path,
    plugins: Mapping[str, str | None],
    code: Mapping[str, str],
    wants_gpu: bool,
    timeout_seconds: float,
) -> list[dict[str, Any] | str]:
    """Return the report of each node, or a sentence that says why there is none."""
    with _exchange_folder(checkpoints) as (exchange, secret):
        questions = {
            node.node_id: {
                "exchange": str(exchange),
                "secret": secret,
                "run_path": str(run_path),
                "plugins": dict(plugins),
                "code": dict(code),
                "wants_gpu": wants_gpu,
                "wait_seconds": _FILE_WAIT_SECONDS,
            }
            for node in hosts
        }
        answers = _run_on_nodes(questions, timeout_seconds)
        for node_id, answer in answers.items():
            if isinstance(answer, dict) and answer["folder"] is None:
                answer["folder"] = _read_answer(exchange, node_id, secret)
    return [answers[node.node_id] for node in hosts]


@contextmanager
def _exchange_folder(checkpoints: Path) -> Iterator[tuple[Path, str]]:
    """Make a folder for the nodes' answers, with a file that holds a secret."""
    secret = secrets.token_hex(16)
    exchange = checkpoints / f"preflight-{secrets.token_hex(8)}"
    try:
        try:
            exchange.mkdir(parents=True)
            (exchange / "driver").write_text(secret)
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}", where=f"the run's folder {checkpoints}"
            ) from error
        yield exchange, secret
    finally:
        shutil.rmtree(exchange, ignore_errors=True)


def _read_answer(exchange: Path, node_id: str, secret: str) -> str | None:
    deadline = time.monotonic() + _FILE_WAIT_SECONDS
    while not (exchange / node_id).is_file():
        if time.monotonic() > deadline:
            return "does not show the driver what this node writes"
        time.sleep(0.1)
    is_answer = json.loads((exchange / node_id).read_text()) == [node_id, secret]
    return None if is_answer else "is not the driver's"


def _run_on_nodes(
    questions: Mapping[str, Mapping[str, Any]], timeout_seconds: float
) -> dict[str, dict[str, Any] | str]:
    """Run ``report_node`` on each node; return its report, or why there is none."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # A node without searchlab could not unpickle the task otherwise.
    cloudpickle.register_pickle_by_value(node_report)
    try:
        task = ray.remote(num_cpus=0, max_retries=0)(node_report.report_node)
        pending = {
            task.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
            ).remote(node_id, **question): node_id
            for node_id, question in questions.items()
        }
    finally:
        cloudpickle.unregister_pickle_by_value(node_report)
    done, late = ray.wait(list(pending), num_returns=len(pending), timeout=timeout_seconds)
    answers: dict[str, dict[str, Any] | str] = {pending[ref]: _get(ref) for ref in done}
    for ref in late:
        ray.cancel(ref, force=True)
        answers[pending[ref]] = (
            f"does not answer within {timeout_seconds:g} s; see its Ray logs, or remove the node"
        )
    return answers


def _get(ref: Any) -> dict[str, Any] | str:
    import ray
    from ray.exceptions import RayError

    try:
        report: dict[str, Any] = ray.get(ref)
    except RayError as error:
        reason = str(getattr(error, "cause", None) or error).strip().splitlines()
        return f"cannot be checked: {(reason or [type(error).__name__])[-1]}"
    return report

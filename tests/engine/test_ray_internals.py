"""Ray's private parts that ray_internals uses are there, and do what it relies on."""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.air.execution._internal.actor_manager
import ray.tune.execution.tune_controller
from ray._private.node import Node

from searchlab.engine.ray import ray_internals


def changed(function: Any, what: str) -> str:
    return f"Ray {ray.__version__}: {what}. Mend {function.__name__} in ray_internals.py"


def find(path: str) -> Any:
    """Return what a dotted path of modules and attributes names. Raises AttributeError."""
    module, *rest = path.split(":")
    found: Any = importlib.import_module(module)
    for name in rest:
        found = getattr(found, name)
    return found


TOKENS = "ray._private.authentication.authentication_token_setup"
MANAGER = "ray.air.execution._internal.actor_manager"


@pytest.mark.parametrize(
    ("path", "arguments", "function"),
    [
        ("ray._private.services:canonicalize_bootstrap_address", ["addr"],
         ray_internals.find_living_nodes),
        (f"{TOKENS}:maybe_enable_token_auth_if_token_available", ["warn_if_disabled"],
         ray_internals.find_living_nodes),
        (f"{TOKENS}:ensure_token_if_auth_enabled", ["system_config", "create_token_if_missing"],
         ray_internals.find_living_nodes),
        ("ray._private.services:find_node_ids", [], ray_internals.find_local_nodes),
        ("ray._private.utils:get_entrypoint_name", [], ray_internals.hidden_command_line),
        (f"{MANAGER}:RayActorManager:_actor_task_failed", ["tracked_actor_task", "exception"],
         ray_internals.task_errors_translated),
    ],
)  # fmt: skip
def test_a_private_function_is_there_and_takes_what_it_is_given(
    path: str, arguments: list[str], function: Any
) -> None:
    try:
        parameters = inspect.signature(find(path)).parameters
    except (ImportError, AttributeError) as error:
        pytest.fail(changed(function, f"{path} is gone ({error})"))
    missing = set(arguments) - set(parameters)
    assert not missing, changed(function, f"{path} does not take {missing}")


@pytest.mark.parametrize(
    ("caller", "call", "function"),
    [
        (ray.init, "ray._private.utils.get_entrypoint_name()", ray_internals.hidden_command_line),
        (ray.init, 'kwargs.pop("_node_ip_address"', ray_internals.init_on_loopback),
        (Node.start_head_processes, "self.start_monitor()",
         ray_internals.unused_processes_left_out),
        (Node.start_head_processes, "self.start_api_server(",
         ray_internals.unused_processes_left_out),
        (Node.start_ray_processes, "self.start_log_monitor()",
         ray_internals.unused_processes_left_out),
        (find(f"{MANAGER}:RayActorManager"), "self._actor_task_failed(",
         ray_internals.task_errors_translated),
        (ray.tune.execution.tune_controller, "RayActorManager(",
         ray_internals.task_errors_translated),
    ],
)  # fmt: skip
def test_what_is_replaced_is_what_ray_calls(caller: Any, call: str, function: Any) -> None:
    source = inspect.getsource(inspect.unwrap(caller))
    assert call in source, changed(function, f"{caller.__name__} has no {call!r} any more")


def test_the_ids_and_states_of_a_clusters_nodes_can_be_read(local_ray: None) -> None:
    address = ray.get_runtime_context().gcs_address
    ours = ray.get_runtime_context().get_node_id()
    living = ray_internals.find_living_nodes(address, timeout_seconds=30)
    assert living == {ours}, changed(ray_internals.find_living_nodes, "it lists other nodes")
    local = ray_internals.find_local_nodes()
    assert ours in local, changed(ray_internals.find_local_nodes, "a node's process hides its id")


def test_ray_listens_on_loopback_if_the_switch_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import ray_constants, services

    function, seen = ray_internals.init_on_loopback, {}

    def init(**settings: Any) -> None:
        seen.update(settings, variable=os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR])
        # As ray.init does with an address; our own Ray is not to answer.
        monkeypatch.setattr(ray._private.worker, "_global_node", None)
        seen["resolved"] = services.resolve_ip_for_localhost(settings["_node_ip_address"])

    monkeypatch.setattr(ray, "init", init)
    before = ray_constants.ENABLE_RAY_CLUSTER, dict(os.environ)
    function(num_cpus=2)
    assert seen == {
        "_node_ip_address": "127.0.0.1", "num_cpus": 2, "variable": "0", "resolved": "127.0.0.1",
    }, changed(function, "a loopback address is replaced all the same")  # fmt: skip
    assert (ray_constants.ENABLE_RAY_CLUSTER, dict(os.environ)) == before


def test_our_own_ray_has_only_the_processes_that_it_needs(local_ray: None) -> None:
    started = set(ray._private.worker._global_node.all_processes) - {"reaper"}
    assert started == {"gcs_server", "raylet"}, changed(
        ray_internals.unused_processes_left_out, "it starts other processes"
    )


def test_a_token_that_is_set_after_ray_was_imported_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._raylet import AuthenticationMode, AuthenticationTokenLoader, get_authentication_mode

    function = ray_internals.reread_token_settings
    token = tmp_path / "token"
    token.write_text("ab" * 32)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("RAY_AUTH_MODE", "token")
            patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
            function()
            assert get_authentication_mode() == AuthenticationMode.TOKEN, changed(
                function, "it does not read RAY_AUTH_MODE again"
            )
            assert AuthenticationTokenLoader.instance().has_token(), changed(
                function, "it does not read RAY_AUTH_TOKEN_PATH again"
            )
    finally:
        function()


def test_workers_search_modules_where_their_python_does(local_ray: None) -> None:
    function = ray_internals.job_without_driver_paths
    job = function(Path("/checkout"))
    job._py_driver_sys_path.extend(["/current/folder"])  # as ray.init does
    assert list(job._py_driver_sys_path) == ["/checkout"]
    assert "job_config._py_driver_sys_path.extend(" in inspect.getsource(
        ray._private.worker.connect
    ), changed(function, "ray.init adds the driver's folders in another way")
    paths = ray.get(ray.remote(lambda: __import__("sys").path).remote())
    assert str(Path.cwd()) not in paths or str(Path.cwd()) in os.environ.get("PYTHONPATH", "")

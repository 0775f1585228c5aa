from __future__ import annotations

import pytest

from searchlab.engine.ray import host_watch
from searchlab.engine.ray.host_watch import HostWatch
from searchlab.engine.ray.node_facts import NodeFacts


def make_node(node_id: str, *, alive: bool = True) -> NodeFacts:
    return NodeFacts(
        node_id=node_id,
        address=f"10.0.0.{node_id}",
        hostname=f"host-{node_id}",
        cpus=1.0,
        gpus=0.0,
        memory_bytes=1,
        object_store_bytes=1,
        alive=alive,
    )


def test_hosts_that_leave_or_join_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [make_node("1"), make_node("2"), make_node("3", alive=False)]
    told: list[str] = []
    now = [0.0]
    monkeypatch.setattr(host_watch.time, "monotonic", lambda: now[0])
    watch = HostWatch(
        lambda: nodes,
        on_lost=lambda host: told.append(f"lost {host}"),
        on_joined=lambda host: told.append(f"joined {host}"),
    )
    nodes = [make_node("1"), make_node("2", alive=False), make_node("4")]
    watch.attend()
    assert told == [], "it looks every few seconds only"
    now[0] += 10
    watch.attend()
    assert told == ["lost 10.0.0.2 (host-2)", "joined 10.0.0.4 (host-4)"]
    now[0] += 10
    watch.attend()
    assert len(told) == 2

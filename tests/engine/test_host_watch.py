from __future__ import annotations

import pytest

from searchlab.engine.ray import host_watch
from searchlab.engine.ray.host_watch import HostWatch
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts


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


class FakeLedger:
    """Notes what it is told about hosts."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note_host_lost(self, host: str) -> None:
        self.told.append(f"host {host} was lost")

    def announce(self, message: str) -> None:
        self.told.append(message)


def test_hosts_that_leave_or_join_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = (make_node("1"), make_node("2"), make_node("3", alive=False))
    now = [0.0]
    monkeypatch.setattr(host_watch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        host_watch, "read_cluster", lambda *, is_ours: ClusterFacts(is_ours=is_ours, nodes=nodes)
    )
    ledger = FakeLedger()
    watch = HostWatch(ledger)  # type: ignore[arg-type]
    nodes = (make_node("1"), make_node("2", alive=False), make_node("4"))
    watch.look()
    assert ledger.told == [], "it looks every few seconds only"
    now[0] += 10
    watch.look()
    lost_and_joined = [
        "host 10.0.0.2 (host-2) was lost",
        "host 10.0.0.4 (host-4) joined the cluster",
    ]
    assert ledger.told == lost_and_joined
    now[0] += 10
    watch.look()
    assert ledger.told == lost_and_joined

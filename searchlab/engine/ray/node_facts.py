"""What Ray reports about a cluster and its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ClusterFacts", "NodeFacts", "read_cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A machine of the cluster, with all resources that Ray manages there, in use or not."""

    node_id: str
    address: str
    hostname: str
    cpus: float
    gpus: float
    memory_bytes: int
    object_store_bytes: int
    alive: bool

    @property
    def name(self) -> str:
        """Its name in messages: ``10.0.0.3 (worker-1)``."""
        return f"{self.address} ({self.hostname})" if self.hostname else self.address

    def can_host(self, request: Mapping[str, float]) -> bool:
        """Return whether a worker that requests ``cpu`` and ``gpu`` fits on the idle node."""
        fits = self.cpus >= request.get("cpu", 0) and self.gpus >= request.get("gpu", 0)
        return self.alive and fits


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """The Ray to which this process is connected; ``is_ours`` if it was started for this study."""

    is_ours: bool
    nodes: tuple[NodeFacts, ...]


def read_cluster(*, is_ours: bool) -> ClusterFacts:
    """Return what Ray reports now; lost nodes are listed with ``alive=False``."""
    import ray

    return ClusterFacts(is_ours=is_ours, nodes=tuple(_read_node(node) for node in ray.nodes()))


def _read_node(node: Mapping[str, Any]) -> NodeFacts:
    resources = node["Resources"]
    return NodeFacts(
        node_id=node["NodeID"],
        address=node["NodeManagerAddress"],
        hostname=node["NodeManagerHostname"],
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        memory_bytes=int(resources.get("memory", 0)),
        object_store_bytes=int(resources.get("object_store_memory", 0)),
        alive=node["Alive"],
    )

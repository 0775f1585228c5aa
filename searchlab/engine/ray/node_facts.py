"""What Ray says of a cluster and its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ClusterFacts", "NodeFacts", "read_cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A machine of the cluster, with all that Ray may give out there, in use or not."""

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
        """How messages call it: ``10.0.0.3 (worker-1)``."""
        return f"{self.address} ({self.hostname})" if self.hostname else self.address

    def can_host(self, request: Mapping[str, float]) -> bool:
        """Whether a worker that asks for ``cpu`` and ``gpu`` fits, were nothing else there."""
        fits = self.cpus >= request.get("cpu", 0) and self.gpus >= request.get("gpu", 0)
        return self.alive and fits


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """The Ray that this process is connected to. ``is_ours``: started here, ends with the study."""

    is_ours: bool
    nodes: tuple[NodeFacts, ...]


def read_cluster(*, is_ours: bool) -> ClusterFacts:
    """Return what Ray says now; nodes that are gone are listed with ``alive=False``."""
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

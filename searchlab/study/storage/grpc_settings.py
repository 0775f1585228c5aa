"""What gRPC reads when it is imported."""

from __future__ import annotations

import os

__all__ = ["prepare_grpc"]


def prepare_grpc() -> None:
    """Make gRPC's settings in this process's environment; call it before grpc is imported.

    Its fork handlers are turned off. With them, about one child in thirty of a process with an
    open channel dies between fork and exec (grpcio 1.85, 20 of 600 seen; without them none), and
    Ray starts its processes by fork and exec. They serve children that go on to use gRPC after a
    fork without exec; there are none here.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

"""Optuna's gRPC proxy in front of a storage: plaintext, without authentication."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from searchlab.errors import InputError
from searchlab.study.storage.grpc_settings import prepare_grpc

if TYPE_CHECKING:
    import grpc

__all__ = ["StorageServer", "start_server"]

_NUM_THREADS = 10  # Optuna's own number
_GRACE_SECONDS = 3.0  # for calls that are being answered when the server ends
_OPTIONS = (
    # Without it a second server on a taken port starts, and gets some of the first one's calls.
    ("grpc.so_reuseport", 0),
    # A trial may carry long curves; the default is 4 MB.
    ("grpc.max_receive_message_length", 64 * 2**20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageServer:
    """A server that answers calls until it is stopped. ``port`` is the one it listens on."""

    port: int
    _server: grpc.Server

    def stop(self) -> None:
        """Take no more calls, answer those under way, and free the port."""
        self._server.stop(_GRACE_SECONDS).wait()


def start_server(storage: BaseStorage, *, host: str, port: int) -> StorageServer:
    """Answer on ``host`` and ``port``, 0 for any free one, with calls to ``storage``.

    Raises InputError where the port is taken or grpcio is not installed.
    """
    if importlib.util.find_spec("grpc") is None:
        raise InputError(
            "needs the package grpc, which is not installed",
            where="searchlab storage serve",
            remedy="Run: pip install 'searchlab[grpc]'",
        )
    prepare_grpc()
    import grpc
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.servicer import OptunaStorageProxyService

    # Optuna's make_server does the same, but does not say which port it got.
    server = grpc.server(ThreadPoolExecutor(max_workers=_NUM_THREADS), options=_OPTIONS)
    add: Any = api_pb2_grpc.add_StorageServiceServicer_to_server  # generated, without types
    add(OptunaStorageProxyService(storage), server)
    address = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{address}:{port}")
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise InputError(
            "cannot be opened: it is taken by another program, or not this machine's",
            where="--host and --port",
            found=f"{address}:{port}",
            remedy="Choose another, or --port 0 for any free one",
        )
    server.start()
    return StorageServer(port=bound, _server=server)

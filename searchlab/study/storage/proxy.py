"""Optuna's gRPC proxy as a storage: ``grpc://host:port``."""

from __future__ import annotations

import warnings
from urllib.parse import urlsplit

import grpc
import optuna.exceptions
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc import client
from optuna.storages._grpc.auto_generated import api_pb2_grpc

__all__ = ["ReconnectingProxy", "connect_proxy"]

_DEFAULT_PORT = 13000
# gRPC's own backoff grows to two minutes, in which a server that is back would not be tried, and
# a peer that vanished without a word is noticed by pings alone.
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 20000),
    ("grpc.keepalive_timeout_ms", 10000),
]


class ReconnectingProxy(GrpcStorageProxy):
    """Optuna's proxy on a channel that is back within seconds of its server.

    What it has cached of finished trials stays valid, for the database behind stays the same.
    """

    def _setup(self) -> None:
        address = f"{self._host}:{self._port}"
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub = api_pb2_grpc.StorageServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._cache = client.GrpcClientCache(self._stub)


def connect_proxy(url: str, *, timeout_seconds: float) -> GrpcStorageProxy:
    """Connect to a running proxy.

    Raises ConnectionError where nothing answers in time, ValueError where the URL is no
    ``grpc://host:port``, grpc.RpcError where what answers is no storage.
    """
    host, port = _parse(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        proxy = ReconnectingProxy(host=host, port=port)
    try:
        grpc.channel_ready_future(proxy._channel).result(timeout=timeout_seconds)
        proxy.get_study_id_from_name("")
    except grpc.FutureTimeoutError:
        proxy.close()
        raise ConnectionError(f"nothing answers at {host}:{port}") from None
    except KeyError:
        pass  # the answer of a storage
    except grpc.RpcError:
        proxy.close()
        raise
    return proxy


def _parse(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise ValueError("a gRPC proxy is named as grpc://host:port, without user or path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host, parts.port or _DEFAULT_PORT

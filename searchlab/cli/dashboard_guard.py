"""What stands between a browser and optuna-dashboard, which trusts all pages and all it serves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.headers import Headers

__all__ = ["HOST", "App", "guard"]

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""

HOST = "127.0.0.1"

_READING = ("GET", "HEAD")
# The dashboard's own files. All else that it serves may come from whoever made the study.
_PAGES = re.compile(r"/?|/dashboard(/.*)?|/static/.*|/favicon\.ico")
_API = "/api/"
_STUDY = re.compile(r"/api/studies(/-?\d+(/rename)?)?/*")
_HARMLESS_TYPE = re.compile(r"(image|audio|video)/[\w.+-]+|text/(csv|plain)(;.*)?", re.IGNORECASE)
# A sandboxed response runs no script, and belongs to no origin that could call the API.
_SANDBOX = "default-src 'none'; sandbox"


def guard(app: App, *, read_only: bool, keeps_studies: bool = False) -> App:
    """Serve this machine's own pages only, and nothing of a study as a page of the dashboard.

    The dashboard has no authentication, and an artifact has whatever type its metadata says. With
    ``read_only`` every request that could change something is refused here; with ``keeps_studies``
    those that make, rename or delete a study, of which its run folder would not know.
    """

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_own(environ):
            return _refuse(start_response, "403 Forbidden", "Only pages of this dashboard may call")
        if read_only and environ["REQUEST_METHOD"] not in _READING:
            return _refuse(
                start_response,
                "405 Method Not Allowed",
                "This dashboard is read-only. Start it with --edit to change studies",
            )

        path = environ["PATH_INFO"]  # before bottle repairs it
        if keeps_studies and environ["REQUEST_METHOD"] not in _READING and _STUDY.fullmatch(path):
            return _refuse(
                start_response,
                "405 Method Not Allowed",
                "Runs are made by searchlab study run and deleted by searchlab study delete",
            )

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, _harden(headers, path), *exc_info)

        return app(environ, start)

    return guarded


def _is_own(environ: dict[str, Any]) -> bool:
    """Return whether a page of this dashboard asks, or a program that is no browser."""
    # Any port, because the browser may come through a tunnel.
    host = environ.get("HTTP_HOST", "")
    is_own_page = environ.get("HTTP_ORIGIN", f"http://{host}") == f"http://{host}"
    return is_own_page and host.partition(":")[0] in (HOST, "localhost")


def _refuse(start_response: Callable[..., Any], status: str, reason: str) -> Iterable[bytes]:
    # As the dashboard's API does it, so that its pages show the reason.
    headers = [("Content-Type", "application/json"), ("Allow", ", ".join(_READING))]
    start_response(status, _harden(headers, _API))
    return [json.dumps({"reason": reason}).encode()]


def _harden(headers: list[tuple[str, str]], path: str) -> list[tuple[str, str]]:
    """Return the headers of a response such that its content can do nothing."""
    kept = Headers([pair for pair in headers if not pair[0].lower().startswith("access-control-")])
    kept["X-Content-Type-Options"] = "nosniff"
    kept["X-Frame-Options"] = "DENY"
    # However bottle lets an artifact's path be spelt, it is none of these.
    if not _PAGES.fullmatch(path):
        kept["Content-Security-Policy"] = _SANDBOX
        if not path.startswith(_API):
            _make_attachment(kept)
    return kept.items()


def _make_attachment(headers: Headers) -> None:
    if not headers.get("Content-Disposition", "").startswith("attachment"):
        headers["Content-Disposition"] = "attachment"
    if not _HARMLESS_TYPE.fullmatch(headers.get("Content-Type", "")):
        headers["Content-Type"] = "application/octet-stream"

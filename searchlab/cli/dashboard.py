"""``searchlab dashboard``: optuna-dashboard on a run's storage, for this machine only."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.chosen_run import LatestRunArgument, choose_run
from searchlab.cli.dashboard_guard import HOST, App, guard
from searchlab.cli.options import RunsDirOption, StorageOption, examples
from searchlab.errors import InputError

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from optuna.storages import BaseStorage

    from searchlab.study.run_folder import RunFolder

__all__ = ["EXAMPLES", "dashboard", "make_app"]

EXAMPLES = examples(
    "searchlab dashboard",
    "searchlab dashboard quickstart --port 8081",
    "searchlab dashboard --storage postgresql+psycopg://me@host/studies",
)


def dashboard(
    run: LatestRunArgument = None,
    *,
    edit: Annotated[
        bool,
        typer.Option(
            "--edit/--read-only",
            help="Let its pages change, rename and delete studies.",
            show_default="read-only",
        ),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8080,
    storage: StorageOption = None,
    runs_dir: RunsDirOption = None,
) -> None:
    """Show a run in optuna-dashboard.

    Its best trial is the leaderboard's first. Its notes have the verdict, and say what each trial
    is. Only this machine can reach it (127.0.0.1), and it changes nothing unless you give --edit.
    Press Ctrl-C to stop it.
    """
    url, folder = _find_storage(run, storage, runs_dir)
    from searchlab.study.storage.opening import open_storage
    from searchlab.study.storage.urls import hide_password

    server = _bind(port)
    with server:
        artifacts = None if folder is None else folder.path / "artifacts"
        opened = _explain(open_storage(url), folder, storage)
        server.set_app(guard(make_app(opened, artifacts), read_only=not edit))
        typer.echo(f"Dashboard: http://{HOST}:{server.server_port}/  (press Ctrl-C to stop)")
        typer.echo(f"Storage: {hide_password(url)}", err=True)
        if not edit:
            typer.echo("It shows, and changes nothing; --edit allows changes", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Dashboard stopped", err=True)


def _find_storage(
    run: str | None, storage: str | None, runs_dir: Path | None
) -> tuple[str, RunFolder | None]:
    """Return the storage's URL, and the run if there is one."""
    if run is None and storage is not None:
        return storage, None
    folder = choose_run(run, runs_dir)
    return folder.storage_url(storage), folder


def _explain(opened: BaseStorage, folder: RunFolder | None, storage: str | None) -> BaseStorage:
    """Let the dashboard say what the leaderboard says, if the storage is a run's."""
    if folder is None:
        return opened
    from searchlab.report.dashboard_storage import ExplainedStorage
    from searchlab.report.reading import read_study

    try:
        read_study(folder, storage)
    except InputError as error:  # optuna-dashboard shows what Optuna can read of it
        typer.echo(f"Without notes and ranks: {error}", err=True)
        return opened
    return ExplainedStorage(opened, lambda: read_study(folder, storage))


def _bind(port: int) -> WSGIServer:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Server(ThreadingMixIn, WSGIServer):
        # Browsers hold spare connections open, which would block a single-threaded server.
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: a line per request would bury the URL."""

    try:
        return Server((HOST, port), Handler)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise InputError(
            "is in use by another program" if taken else f"cannot be opened: {error.strerror}",
            where="--port",
            found=port,
            remedy="Choose another port, or 0 for any free one",
        ) from error


def make_app(storage: Any, artifacts: Path | None) -> App:
    """Return optuna-dashboard on a storage; it is to be guarded."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna_dashboard
        from optuna.artifacts import FileSystemArtifactStore

        store = FileSystemArtifactStore(artifacts) if artifacts and artifacts.is_dir() else None
        app: App = optuna_dashboard.wsgi(storage, artifact_store=store)
    return app

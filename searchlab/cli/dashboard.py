"""``searchlab dashboard``: optuna-dashboard on runs, for this machine only."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.chosen_run import AllRunsArgument, check_any_run
from searchlab.cli.dashboard_guard import HOST, App, guard
from searchlab.cli.options import RunsDirOption, StorageOption, examples
from searchlab.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.simple_server import WSGIServer

    from searchlab.report.dashboard.explained_run import ExplainedRun

__all__ = ["EXAMPLES", "dashboard", "make_app"]

EXAMPLES = examples(
    "searchlab dashboard",
    "searchlab dashboard quickstart --port 8081",
    "searchlab dashboard --storage postgresql+psycopg://me@host/studies",
)


def dashboard(
    run: AllRunsArgument = None,
    *,
    edit: Annotated[
        bool,
        typer.Option(
            "--edit/--read-only",
            help="Let its pages write notes and keep files; with --storage alone, change all.",
            show_default="read-only",
        ),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8080,
    storage: StorageOption = None,
    runs_dir: RunsDirOption = None,
) -> None:
    """Show all runs, or one, in optuna-dashboard.

    The best trial of a run is the leaderboard's first. Notes say the verdict and what each trial
    is, and files have its curves, its configuration and the report. Each role of a run is a study
    of its own, too. Only this machine can reach it (127.0.0.1), and it changes nothing unless you
    give --edit. Press Ctrl-C to stop it.
    """
    if edit and run is None and storage is None:
        raise InputError(
            "needs a run, whose notes and files the pages may change",
            where="--edit",
            remedy="Name one, as in: searchlab dashboard quickstart --edit",
        )
    server = _bind(port)
    with server:
        app, shown = _open(run, storage, runs_dir)
        server.set_app(guard(app, read_only=not edit, keeps_studies=run is not None))
        typer.echo(f"Dashboard: http://{HOST}:{server.server_port}/  (press Ctrl-C to stop)")
        typer.echo(shown, err=True)
        if not edit:
            typer.echo("It shows, and changes nothing; --edit allows changes", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Dashboard stopped", err=True)


def _open(run: str | None, storage: str | None, runs_dir: Path | None) -> tuple[App, str]:
    """Return the dashboard of what the user named, and a line that says what that is."""
    from searchlab.records.run_folder import default_runs_dir, find_run
    from searchlab.records.storage.opening import open_storage
    from searchlab.records.storage.urls import hide_password

    root = default_runs_dir(runs_dir)
    if run is None and storage is not None:
        return make_app(open_storage(storage), None), f"Storage: {hide_password(storage)}"
    from searchlab.report.dashboard.explained_run import ExplainedRun
    from searchlab.report.dashboard.files import RunFiles
    from searchlab.report.dashboard.storage import RunsStorage

    if run is None:
        runs, shown = _find_all(root)
    else:
        folder = find_run(run, root)
        opened = [ExplainedRun(folder, storage, slot=0)]
        runs, shown = lambda: opened, f"Run: {folder.path}"
    shown_storage = RunsStorage(runs)
    return make_app(shown_storage, RunFiles(shown_storage)), shown


def _find_all(root: Path) -> tuple[Callable[[], list[ExplainedRun]], str]:
    from searchlab.report.dashboard.found_runs import FoundRuns

    check_any_run(root)
    found = FoundRuns(root, lambda problem: typer.echo(f"Left out: {problem}", err=True))
    count = len(found.list_runs())
    if not count:
        raise InputError(
            "contains no run that can be opened",
            where=f"{root}/",
            remedy="The lines above say why; show another folder with --runs-dir",
        )
    return found.list_runs, f"Runs: {root}/ ({count})"


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


def make_app(storage: Any, artifacts: Any) -> App:
    """Return optuna-dashboard on a storage and an artifact store, or None; it is to be guarded."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna_dashboard

        app: App = optuna_dashboard.wsgi(storage, artifact_store=artifacts)
    return app

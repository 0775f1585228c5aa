"""The command ``searchlab``: its groups of commands, and how errors reach the user."""

from __future__ import annotations

import functools
import logging
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TextIO

import typer
import typer.core
import typer.main

from searchlab.cli import (
    dashboard,
    data,
    doctor,
    export,
    families,
    init,
    kernels,
    new_space,
    new_study,
    predict,
    schema,
    space,
    storage,
    study,
    study_diff,
    study_move,
    study_report,
    train,
    trial,
    weights,
)
from searchlab.cli.completion import join_words_of_bash
from searchlab.cli.options import COMMAND_GROUP, examples
from searchlab.cli.spec_flags import add_command
from searchlab.cli.terminal import escaped_output, show_traceback
from searchlab.cli.user_environment import name_the_nameless
from searchlab.docstrings import docstring_of
from searchlab.errors import InfrastructureError, InterruptedStudyError, SearchlabError
from searchlab.exit_codes import ExitCode, list_exit_codes
from searchlab.records.storage.urls import hide_passwords
from searchlab.version import __version__

__all__ = ["LogFormatter", "app", "main"]


class _Commands(typer.core.TyperGroup):
    """The commands; what was typed wrong is shown without the passwords in it."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _hidden_passwords():
            return super().make_context(*arguments, **options)

    def parse_args(self, context: Any, args: list[str]) -> Any:
        if "--install-completion" in args:
            context.color = False  # else Typer's own message is coloured, and escaped
        return super().parse_args(context, args)

    def invoke(self, *arguments: Any) -> Any:
        with _hidden_passwords():
            try:
                return super().invoke(*arguments)
            except BrokenPipeError as error:
                # Not one of our streams, which are guarded. Typer would end without a word.
                raise ConnectionError(f"a connection was lost: {error}") from error


@contextmanager
def _hidden_passwords() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        error.message = hide_passwords(error.message)
        raise


class LogFormatter(logging.Formatter):
    """Log lines without passwords, whichever library wrote them."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        return hide_passwords(super().format(record))


def _describe_exit_codes() -> str:
    lines = (
        textwrap.fill(f"  {code:<3}  {meaning}", width=96, subsequent_indent=" " * 7)
        for code, meaning in list_exit_codes()
    )
    # The backspace keeps click from wrapping them into one paragraph.
    return "\n".join(["\b", "Exit codes:", *lines])


app = typer.Typer(
    **COMMAND_GROUP,
    name="searchlab",
    cls=_Commands,
    epilog=_describe_exit_codes()
    + "\n\n"
    + examples(
        "searchlab init",
        "searchlab study run quickstart",
        "searchlab space show cnn",
        "searchlab data list",
        "searchlab study leaderboard quickstart",
        "searchlab export quickstart --to digits-model",
        "searchlab dashboard quickstart",
        "searchlab doctor quickstart",
    ),
)

add_command(space.app, new_space.new, make_flags=new_space.make_flags, epilog=new_space.EXAMPLES)
space.app.command("families", epilog=families.EXAMPLES)(families.families)
add_command(study.app, new_study.new, make_flags=new_study.make_flags, epilog=new_study.EXAMPLES)
study_move.register(study.app)
study.app.command("diff", epilog=study_diff.EXAMPLES)(study_diff.diff)
study.app.command("report", epilog=study_report.EXAMPLES)(study_report.report)
app.command("init", epilog=init.EXAMPLES)(init.init)
app.add_typer(study.app, name="study")
app.add_typer(trial.app, name="trial")
app.add_typer(storage.app, name="storage")
app.add_typer(space.app, name="space")
app.add_typer(data.app, name="data")
app.add_typer(kernels.app, name="kernels")
app.add_typer(weights.app, name="weights")
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("dashboard", epilog=dashboard.EXAMPLES)(dashboard.dashboard)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("schema", epilog=schema.EXAMPLES)(schema.schema)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Logs to what stderr is by then: a panel takes its place while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"searchlab {__version__}")
        raise typer.Exit


@app.callback()
def configure(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log more to stderr; -vv logs everything.",
        ),
    ] = 0,
) -> None:
    """Find the best image classifier for your data, and test it against simple baselines."""
    assert not version, "the callback exits"
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    # Logging, like progress, goes to stderr, because stdout is for results.
    text = "%(levelname)s %(name)s: %(message)s" if verbose else "%(levelname)s: %(message)s"
    handler = _StderrHandler()
    handler.setFormatter(LogFormatter(text))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(level)


def _give_help(commands: typer.Typer) -> None:
    """Give each command its docstring as help, even if Python runs without docstrings."""
    for command in commands.registered_commands:
        if command.callback is not None:
            command.help = command.help or docstring_of(command.callback)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _give_help(group.typer_instance)


_give_help(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; an expected error is one message on stderr, no traceback."""
    sys.excepthook = show_traceback
    name_the_nameless()
    join_words_of_bash()
    with escaped_output() as output:
        code = _run(arguments)
        output.flush()
        if isinstance(output.failure, BrokenPipeError):
            code = code or ExitCode.READER_GONE  # nothing to tell anybody
        elif output.failure is not None:
            _tell(f"error: standard output cannot be written: {output.failure.strerror}")
            code = code or InfrastructureError.exit_code
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command line; return its exit code."""
    try:
        # Not by app(...), by which Typer would put a hook of its own in place of show_traceback.
        _build_commands()(arguments, prog_name="searchlab")
    except InterruptedStudyError as stop:
        _tell(str(stop))
        return stop.exit_code
    except SearchlabError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        root = logging.getLogger()
        for handler in [one for one in root.handlers if isinstance(one, _StderrHandler)]:
            root.removeHandler(handler)
    return 0


@functools.cache
def _build_commands() -> Any:
    """Build all commands, which takes longer than most of them: once for each process."""
    return typer.main.get_command(app)


def _tell(message: str) -> None:
    # Not by typer.echo, which removes from a message what looks like a colour.
    sys.stderr.write(f"{hide_passwords(message)}\n")

"""Every exit code is declared once, and README.md and --help say what it means."""

from __future__ import annotations

import ast
from pathlib import Path

from searchlab import errors
from searchlab.exit_codes import ExitCode, list_exit_codes

ROOT = Path(__file__).parents[1]


def test_the_readme_has_the_table() -> None:
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in list_exit_codes())
    assert f"| exit code | meaning |\n|---|---|\n{rows}\n" in (ROOT / "README.md").read_text()


def test_each_error_ends_with_a_code_that_is_declared() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.SearchlabError)}
    assert codes == {ExitCode.NEGATIVE, ExitCode.BAD_INPUT, ExitCode.MACHINE_FAILED}
    assert errors.InterruptedStudyError("stopped").exit_code is ExitCode.INTERRUPTED


def test_commands_end_with_no_code_of_their_own() -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / "searchlab" / "cli").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Exit", "sys.exit")
        if node.args and not ast.unparse(node.args[0]).startswith(("ExitCode.", "code"))
    ]
    assert found == []

"""What the guarded dashboard answers, route by route: it changes nothing, and runs nothing."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from searchlab.cli.dashboard import make_app
from searchlab.cli.dashboard_guard import App, guard
from searchlab.records.storage.opening import open_storage, sqlite_url

ARTIFACT = "abcdef01"
SCRIPT = b'<script>fetch("/api/studies/1", {method: "DELETE"})</script>'
META = {"artifact_id": ARTIFACT, "filename": "x.html", "mimetype": "text/html", "encoding": None}
VALUES = {"study_id": 1, "trial_id": 1, "artifact_id": ARTIFACT, "history_id": "x"}
PAGES = re.compile(r"/|/dashboard.*|/static/.*|/favicon.ico")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    code: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


def ask(app: App, method: str, path: str, **variables: Any) -> Answer:
    """Call the application as a server does."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
    environ |= {"HTTP_HOST": "127.0.0.1:8080", "HTTP_ACCEPT_ENCODING": "gzip", **variables}
    setup_testing_defaults(environ)
    started: list[Any] = []
    body = b"".join(app(environ, lambda *answer: started.append(answer)))
    status, headers = started[-1][:2]
    names = [name for name, _ in headers]
    assert len(names) == len({name.lower() for name in names}), "each header once"
    return Answer(code=int(status[:3]), headers=dict(headers), body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    storage: BaseStorage
    artifacts: Path
    routes: list[tuple[str, str]]  # method and path
    app: App

    def guarded(self, *, read_only: bool = True) -> App:
        return guard(self.app, read_only=read_only)

    def describe(self) -> str:
        """All that can be changed: the studies, their trials, their artifacts."""
        studies = self.storage.get_all_studies()
        trials = [self.storage.get_all_trials(study._study_id) for study in studies]
        files = sorted(path.name for path in self.artifacts.iterdir())
        return repr([[vars(study) for study in studies], trials, files])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A study with an artifact of its own and one of its trial, as a forged import may have."""
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    study = optuna.create_study(storage=storage, study_name="s")
    note = {f"artifacts:{ARTIFACT}": json.dumps(META)}
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=1.0, system_attrs=note))
    study.ask()
    storage.set_study_system_attr(study._study_id, *next(iter(note.items())))
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / ARTIFACT).write_bytes(SCRIPT)
    app: Any = make_app(storage, FileSystemArtifactStore(tmp_path / "artifacts"))
    routes = [(route.method, fill(route.rule)) for route in app.routes]
    yield Served(storage=storage, artifacts=tmp_path / "artifacts", routes=routes, app=app)
    storage.close()


def fill(rule: str) -> str:
    """Return a path that a route of bottle matches."""
    rule = rule.replace("<:re:(/.*)?>", "/studies/1").replace("<filename:path>", "bundle.js")
    rule = rule.replace("<plot_type>", "edf")
    return re.sub(r"<(\w+)(:[^<>]*)?>", lambda match: str(VALUES[match[1]]), rule)


def test_every_route_that_could_change_something_is_refused(served: Served) -> None:
    before = served.describe()
    changing = [route for route in served.routes if route[0] != "GET"]
    assert len(changing) > 15, "the dashboard's API is walked"
    body = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2"}
    for method, path in changing:
        answer = ask(served.guarded(), method, path, **body)
        assert answer.code == 405, path
        assert "--edit" in json.loads(answer.body)["reason"]
    assert served.describe() == before


def test_studies_of_runs_are_neither_made_nor_renamed_nor_deleted(served: Served) -> None:
    before = served.describe()
    app = guard(served.app, read_only=False, keeps_studies=True)
    for method, path in (
        ("POST", "/api/studies"),
        ("POST", "/api/studies/1/rename"),
        ("POST", "/api/studies/1/rename/"),
        ("DELETE", "/api/studies/1"),
        ("DELETE", "/api/studies/1/"),
    ):
        answer = ask(app, method, path)
        assert answer.code == 405, path
        assert "searchlab study" in json.loads(answer.body)["reason"]
    assert served.describe() == before
    body = json.dumps({"version": 1, "body": "mine"}).encode()
    sent = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    note = ask(app, "PUT", "/api/studies/1/note", **sent, **{"wsgi.input": io.BytesIO(body)})
    assert note.code == 204


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "delete"])
def test_every_other_method_is_refused_on_every_path(method: str, served: Served) -> None:
    before = served.describe()
    for path in {path for _, path in served.routes}:
        assert ask(served.guarded(), method, path).code == 405, path
    assert served.describe() == before


def test_reading_changes_nothing(served: Served) -> None:
    before = served.describe()
    for path in {path for method, path in served.routes if method == "GET"}:
        is_plot = "/plot/" in path  # needs a package that may be missing
        assert is_plot or ask(served.guarded(), "GET", path).code < 500, path
    assert served.describe() == before


def test_studies_can_be_changed_where_that_is_allowed(served: Served) -> None:
    app = served.guarded(read_only=False)
    assert ask(app, "DELETE", f"/api/artifacts/1/{ARTIFACT}").code == 204
    assert not list(served.artifacts.iterdir())


@pytest.mark.parametrize("read_only", [True, False])
def test_no_response_but_the_pages_own_may_act_in_a_browser(
    read_only: bool, served: Served
) -> None:
    app = served.guarded(read_only=read_only)
    for path in {path for method, path in served.routes if method == "GET"}:
        headers = ask(app, "GET", path, HTTP_ORIGIN="http://127.0.0.1:8080").headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in headers if name.lower().startswith("access-control")]
        if not PAGES.fullmatch(path):
            assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox", path


@pytest.mark.parametrize(
    "path",
    [f"/artifacts/1/{ARTIFACT}", f"/artifacts/1/1/{ARTIFACT}", f"/artifacts/1/{ARTIFACT}/",
     # bottle drops what is no UTF-8 before it looks for a route
     f"/art\xffifacts/1/{ARTIFACT}", f"/\xff/artifacts/1/{ARTIFACT}"],
)  # fmt: skip
def test_artifact_is_a_file_to_save_whatever_it_says_it_is(path: str, served: Served) -> None:
    answer = ask(served.guarded(), "GET", path)
    assert answer.body == SCRIPT or answer.code == 404
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("declared", "served_as"),
    [
        ("image/png", "image/png"),
        ("video/mp4", "video/mp4"),
        ("text/javascript", "application/octet-stream"),
        ("image/png, text/html", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
    ],
)
def test_artifact_keeps_its_type_if_that_is_only_shown(
    declared: str, served_as: str, served: Served
) -> None:
    meta = json.dumps({**META, "mimetype": declared})
    served.storage.set_study_system_attr(1, f"artifacts:{ARTIFACT}", meta)
    answer = ask(served.guarded(), "GET", f"/artifacts/1/{ARTIFACT}")
    assert (answer.code, answer.headers["Content-Type"]) == (200, served_as)


@pytest.mark.parametrize(
    "header",
    [
        {"HTTP_HOST": "evil.example"},
        {"HTTP_ORIGIN": "http://evil.example"},
        {"HTTP_ORIGIN": "null"},
    ],
)
def test_other_pages_are_refused_even_where_changes_are_allowed(
    header: dict[str, str], served: Served
) -> None:
    before = served.describe()
    app = served.guarded(read_only=False)
    for method, path in served.routes:
        assert ask(app, method, path, **header).code == 403, path
    assert served.describe() == before

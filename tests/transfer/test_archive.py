"""A study goes through a single file and is the same; a hostile file gets nothing done."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from flaky_storages import make_outage
from optuna.trial import TrialState
from rich_studies import STATES, describe_study, make_rich_study, make_trial, rich_database

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.recorded_spec import shared_part
from searchlab.records.run_folder import RunFolder, list_runs
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.trial_record import SPEC
from searchlab.transfer.archive import ArchivedStudy, export_study, is_artifact_name
from searchlab.transfer.archive_reading import import_study

STUDY: dict[str, Any] = {
    "name": "rich",
    "dataset": "digits",
    "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": "cnn"}},
    "objective": [{"metric": "accuracy"}, {"metric": "latency"}],
    "search": {"sampler": "random", "pruner": "none", "trials": 6},
    "validation": {"folds": 2, "search_folds": 1},
}
MODEL = "artifacts/models/trial-00000.safetensors"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path)


def make_run(folder: Path) -> RunFolder:
    """Make a run with trials of every state, a model, a checkpoint, and a model being written."""
    run = RunFolder(folder / "runs" / "rich")
    run.write(STUDY)
    run.database.write_bytes(rich_database(finite=True))
    run.models.mkdir(parents=True)
    (run.path / MODEL).write_bytes(b"weights" * 1000)
    (run.models / "trial-00001.123.tmp").write_bytes(b"half")
    run.checkpoints.mkdir()
    (run.checkpoints / "trial-00001.safetensors").write_bytes(b"state")
    run.lock_file.touch()
    return run


def export(run: RunFolder, path: Path) -> ArchivedStudy:
    return export_study(run, open_storage(run.storage_url()), path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("exported")
    export(make_run(folder), folder / "rich.zip")
    return (folder / "rich.zip").read_bytes()


@pytest.fixture
def archive(exported: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "rich.zip"
    path.write_bytes(exported)
    return path


def test_imported_study_is_the_exported_one(run: RunFolder, archive: Path, tmp_path: Path) -> None:
    imported = import_study(archive, tmp_path / "elsewhere")
    there = imported.run
    assert there.path == tmp_path / "elsewhere" / "rich"
    assert imported.copy.num_trials == len(STATES)
    assert imported.num_artifacts == 1
    assert describe_study(open_storage(there.storage_url())) == describe_study(
        open_storage(run.storage_url())
    )
    assert there.load().spec == run.load().spec
    assert (there.path / MODEL).read_bytes() == (run.path / MODEL).read_bytes()


def test_import_leaves_a_run_folder_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    there = import_study(archive, tmp_path / "elsewhere").run
    files = {path.relative_to(there.path).as_posix() for path in there.path.rglob("*.*")}
    assert files == {"study.yaml", "study.db", MODEL}
    assert list((tmp_path / "elsewhere").iterdir()) == [there.path]


def test_archive_holds_what_its_manifest_lists(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        manifest = json.loads(file.read("manifest.json"))
        assert {*manifest["members"], "manifest.json"} == set(file.namelist())
        assert set(manifest["members"]) == {"study.yaml", "study.db", MODEL}
        for name, member in manifest["members"].items():
            assert hashlib.sha256(file.read(name)).hexdigest() == member["sha256"]
    assert manifest["study"] == "rich"
    assert manifest["trials"]["RUNNING"] == 1


def test_imported_study_goes_on_under_another_name(archive: Path, tmp_path: Path) -> None:
    there = import_study(archive, tmp_path / "runs", new_name="second").run
    assert there.path.name == there.load().spec.name == "second"
    assert [one.path.name for one in list_runs(tmp_path / "runs")].count("second") == 1
    study = optuna.load_study(study_name="second", storage=there.storage_url())
    assert len(study.trials) == len(STATES)
    study.ask()
    assert study.ask().number == len(STATES)


def test_trials_go_to_a_storage_that_is_named(
    archive: Path, run: RunFolder, tmp_path: Path
) -> None:
    url = sqlite_url(tmp_path / "shared.db")
    there = import_study(archive, tmp_path / "elsewhere", storage_url=url).run
    assert not there.database.exists()
    assert there.storage_url() == url
    assert describe_study(open_storage(url)) == describe_study(open_storage(run.storage_url()))


def test_export_replaces_a_file_whole_and_leaves_nothing_beside(
    run: RunFolder, archive: Path, tmp_path: Path
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    open_storage(run.storage_url())  # somebody else reads it
    export(run, archive)
    assert zipfile.ZipFile(archive).testzip() is None
    assert {path.name for path in tmp_path.iterdir()} == before


def test_failed_export_leaves_the_file_before(
    run: RunFolder, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archive.read_bytes()

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(InputError, match="No space left"):
        export(run, archive)
    assert archive.read_bytes() == before
    assert list(archive.parent.glob(".rich*")) == []


def test_running_study_is_exported_as_it_stands(run: RunFolder, tmp_path: Path) -> None:
    storage = open_storage(run.storage_url())
    export_study(
        run,
        storage,
        tmp_path / "a.zip",
        on_progress=lambda done, total: storage.create_new_trial(
            storage.get_study_id_from_name("rich"), make_trial(6, TrialState.COMPLETE)
        ),
    )
    assert import_study(tmp_path / "a.zip", tmp_path / "b").copy.num_trials == len(STATES)
    assert len(storage.get_all_trials(storage.get_study_id_from_name("rich"))) > len(STATES)


def test_code_and_links_among_the_artifacts_are_left_out_and_named(
    run: RunFolder, tmp_path: Path
) -> None:
    (run.models / "evil.py").write_text("")
    (run.models / "link.safetensors").symlink_to("/etc/passwd")
    exported = export(run, tmp_path / "a.zip")
    assert {path.name for path in exported.left_out} == {"evil.py", "link.safetensors"}
    assert import_study(tmp_path / "a.zip", tmp_path / "b").num_artifacts == 1


# What is refused


def refuse(archive: Path, runs_dir: Path, match: str, **options: Any) -> None:
    """The import fails with one message, and not a file of it is left."""
    with pytest.raises(InputError, match=match):
        import_study(archive, runs_dir, **options)
    assert not runs_dir.exists() or list(runs_dir.iterdir()) == []


def test_run_that_is_there_is_refused_and_untouched(archive: Path, run: RunFolder) -> None:
    before = run.database.read_bytes()
    with pytest.raises(InputError, match="already exists"):
        import_study(archive, run.path.parent)
    assert run.database.read_bytes() == before


def test_study_that_is_in_the_storage_already_is_refused(archive: Path, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "shared.db")
    make_rich_study(open_storage(url))
    refuse(archive, tmp_path / "new", "has a study named rich already", storage_url=url)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "/tmp/x", "a..b"])
def test_name_must_be_a_slug(name: str, archive: Path, tmp_path: Path) -> None:
    refuse(archive, tmp_path / "new", "must be a slug", new_name=name)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + 18 * b"\0"])
def test_file_that_is_no_export_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refuse(tmp_path / "a.zip", tmp_path / "new", "is not an export|no usable manifest")
    refuse(tmp_path / "none.zip", tmp_path / "new", "No such file")


def test_cut_off_file_is_refused(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])
    refuse(archive, tmp_path / "new", "is not an export, or is damaged")


Files = dict[str, bytes]


def rewrite(archive: Path, change: Callable[[Files], object], *, relist: bool = True) -> None:
    """Change an archive's members; its manifest then lists them, as a forger's would."""
    with zipfile.ZipFile(archive) as file:
        files = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    change(files)
    if relist:
        manifest["members"] = {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        }
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            file.writestr(name, data)


def test_honest_rewrite_is_accepted(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: None)
    assert import_study(archive, tmp_path / "new").copy.study == "rich"


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/tmp/evil", "artifacts/../../evil", "artifacts/models/x.py", "evil",
        "artifacts/models/x.pkl", "artifacts/.hidden", "C:\\evil", "artifacts/a\\..\\b",
        "artifacts/models/", "checkpoints/trial-00001.safetensors", "artifacts/a\nb",
        "study.db-wal", "storage.json",
    ],
)  # fmt: skip
def test_member_that_no_export_has_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    assert not is_artifact_name(name)
    rewrite(archive, lambda files: files.update({name: b"x"}))
    refuse(archive, tmp_path / "new", "holds a file that no export has|plain file")


@pytest.mark.parametrize("name", ["study.yaml", "study.db", MODEL])
def test_changed_member_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    def flip(files: Files) -> None:
        data = bytearray(files[name])
        data[len(data) // 2] ^= 1
        files[name] = bytes(data)

    rewrite(archive, flip, relist=False)
    refuse(archive, tmp_path / "new", f"damaged.*{name}|{name}.* is damaged")


@pytest.mark.parametrize("name", ["study.yaml", "study.db", MODEL])
def test_missing_member_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: files.pop(name), relist=False)
    refuse(archive, tmp_path / "new", "does not hold the files that its manifest lists")


def test_archive_without_a_study_is_refused(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: files.pop("study.db"))
    refuse(archive, tmp_path / "new", "holds no study.db")


def test_link_is_refused(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        info = zipfile.ZipInfo("artifacts/models/link.safetensors")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    refuse(archive, tmp_path / "new", "not a plain file")


def test_two_members_of_one_name_are_refused(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("study.yaml", "name: other")
    refuse(archive, tmp_path / "new", "two files of one name")


def test_zip_bomb_is_refused_before_it_is_unpacked(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: files.update({MODEL: bytes(40 * 2**20)}))
    refuse(archive, tmp_path / "new", "unpacks to an implausible size")


def test_study_whose_aliases_explode_is_refused(archive: Path, tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
    )
    rewrite(archive, lambda files: files.update({"study.yaml": bomb.encode()}))
    refuse(archive, tmp_path / "new", "aliases")


def test_size_that_the_table_hides_is_refused(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: files.update({MODEL: bytes(2**20)}))
    rewrite_manifest(archive, lambda manifest: manifest["members"][MODEL].update(size=2))
    # 1 MiB is said to be 2 bytes in the zip's table too.
    data = archive.read_bytes()
    archive.write_bytes(data.replace((2**20).to_bytes(4, "little"), (2).to_bytes(4, "little")))
    refuse(archive, tmp_path / "new", "damaged")


def rewrite_manifest(archive: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest alone; it is stored plainly, at the end."""
    with zipfile.ZipFile(archive) as file:
        manifest = json.loads(file.read("manifest.json"))
        others = [(info, file.open(info).read()) for info in file.infolist()[:-1]]
    change(manifest)
    with zipfile.ZipFile(archive, "w") as file:
        for info, data in others:
            file.writestr(info, data)
        file.writestr("manifest.json", json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda one: one.update(format=2), "must be of format 1.*got 2"),
        (lambda one: one.update(study="../x"), "no usable manifest"),
        (lambda one: one.update(study="other"), "must be the manifest's study"),
        (lambda one: one.pop("members"), "no usable manifest"),
        (lambda one: one["members"].update(more={"size": 1, "sha256": "0" * 64}), "does not hold"),
        (lambda one: one["members"]["study.db"].update(size=1), "does not hold"),
    ],
)
def test_forged_manifest_is_refused(
    change: Callable[[dict[str, Any]], object], match: str, archive: Path, tmp_path: Path
) -> None:
    rewrite_manifest(archive, change)
    refuse(archive, tmp_path / "new", match)


def test_larger_than_allowed_is_refused(archive: Path, tmp_path: Path) -> None:
    refuse(archive, tmp_path / "new", "bytes at most", most_bytes=1000)


def test_study_file_is_checked_as_any_other(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: files.update({"study.yaml": b"name: rich\nsurprise: 1\n"}))
    refuse(archive, tmp_path / "new", r"rich.zip cannot be used: study.yaml.*surprise")
    rewrite(archive, lambda files: files.update({"study.yaml": b"!!python/object:os.system {}"}))
    refuse(archive, tmp_path / "new", r"rich.zip cannot be used")


def change_database(archive: Path, folder: Path, *statements: str) -> None:
    def change(files: Files) -> None:
        path = folder / "forged.db"
        path.write_bytes(files["study.db"])
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        files["study.db"] = path.read_bytes()

    rewrite(archive, change)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("CREATE VIEW evil AS SELECT 1", "it has a view"),
        ("CREATE TRIGGER evil AFTER INSERT ON trials BEGIN DELETE FROM trials; END", "a trigger"),
        ("CREATE VIRTUAL TABLE evil USING fts5(a)", "that Optuna never makes"),
        ("UPDATE studies SET study_name = 'other'", "the manifest's study and no other"),
        ("UPDATE alembic_version SET version_num = 'v99'", "study.db cannot be read: .*compatible"),
        (
            "ALTER TABLE trials DROP COLUMN datetime_start",
            "cannot be read: no such column",
        ),
        ("DELETE FROM studies", "the manifest's study and no other"),
        ("UPDATE trial_user_attributes SET value_json = 'no json'", "cannot be read"),
        (
            "UPDATE trial_user_attributes SET value_json = printf('%.*c', 50000, '[') "
            "WHERE rowid = 1",
            "cannot be read: an attribute is nested too deeply",
        ),
        ("UPDATE trials SET state = 'GONE'", "cannot be read"),
        ("UPDATE trials SET number = 7 WHERE number = 3", "study.db must number its trials"),
        ("UPDATE trial_params SET distribution_json = '{}'", "cannot be read"),
        ("UPDATE trial_values SET value = 'abc'", "values must be numbers"),
        ("UPDATE trial_values SET value_type = 'FINITE', value = NULL", "cannot be read"),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_forged_database_is_refused(
    statement: str, match: str, shared: bool, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "forge").mkdir()
    change_database(archive, tmp_path / "forge", statement)
    url = sqlite_url(tmp_path / "shared.db")
    refuse(archive, tmp_path / "new", match, storage_url=url if shared else None)
    assert open_storage(url).get_all_studies() == [], "nothing was copied"


MACHINE_OF_MORE = '[{"device": "cpu", "torch": "2", "num_threads": 1, "more": 1}]'
DEEP = "[" * 50_000 + "]" * 50_000
NESTED = "[" * 30 + "]" * 30


def set_attribute(key: str, text: str) -> str:
    """Return the statement that sets an attribute in all trials, or of the study."""
    of_study, of_system = key.startswith("searchlab."), ":" in key
    table = f"{'study' if of_study else 'trial'}_{'system' if of_system else 'user'}_attributes"
    return f"UPDATE {table} SET value_json = '{text}' WHERE key = '{key}'"


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("DELETE FROM study_directions", "directions must be those of the study's objectives"),
        ("UPDATE study_directions SET direction = 'MINIMIZE'", "got 'minimize, minimize'"),
        ("DELETE FROM study_directions WHERE objective = 1", "got 'maximize'"),
        ("UPDATE trial_values SET value_type = 'INF_POS', value = NULL", "must be finite"),
        ("UPDATE trial_values SET value_type = 'INF_NEG', value = NULL", "must be finite"),
        ("DELETE FROM trial_values WHERE objective = 1", "must be 2, one for each objective"),
        ("DELETE FROM trial_values", "must be 2, one for each objective"),
        ("UPDATE study_user_attributes SET value_json = '[1, 2]'", "searchlab.* must be a"),
        ("UPDATE study_system_attributes SET value_json = '[\"a\"]'", "must name each objective"),
        (set_attribute("role", "[1, 2]"), "role must be"),
        (set_attribute("fold_values", '"x"'), "fold_values must be a list"),
        (set_attribute("fold_values", "[NaN]"), "fold_values must be a finite number"),
        (set_attribute("searchlab:curves", '{"a": 1}'), "curves must be a list"),
        (set_attribute("searchlab:curves", '{"seconds": [[1.0]]}'), "curves must be a number"),
        (set_attribute("searchlab:machines", '{"device": "cpu"}'), "machines must be a list"),
        (set_attribute("searchlab:machines", '[{"device": "cpu"}]'), "machines is required"),
        (set_attribute("searchlab:machines", MACHINE_OF_MORE), "must have no other fields"),
        (set_attribute("searchlab:machines", '["cpu"]'), "must be a mapping"),
        (set_attribute("searchlab:test_answers", '{"labels": "x"}'), "test_answers"),
        (set_attribute("searchlab:origin", "7"), "origin must be a string"),
        (set_attribute("role", DEEP), "nested too deeply"),
        (set_attribute("searchlab:origin", NESTED), "nested too deeply"),
        (set_attribute("searchlab.version", DEEP), "nested too deeply"),
        (
            f"UPDATE trial_params SET distribution_json = '{DEEP}' WHERE param_id = 1",
            "nested too deeply",
        ),
        ("UPDATE trial_params SET param_value = 9e9 WHERE param_name = 'lr'", "lr is none of"),
        ("UPDATE trial_params SET param_value = 99 WHERE param_name = 'odd'", "cannot be read"),
        ("UPDATE trial_params SET distribution_json = '{\"name\": \"X\"}'", "cannot be read"),
        ("UPDATE trial_intermediate_values SET step = 'x' WHERE step = 7", "number at an epoch"),
        ("UPDATE trials SET datetime_complete = NULL", "must have an end"),
        ("UPDATE trials SET datetime_start = NULL", "must have begun"),
        (
            "UPDATE study_system_attributes SET key = 'artifacts:a', value_json = '\"{}\"' "
            "WHERE key = 'note'",
            "must describe an artifact",
        ),
    ],
)  # fmt: skip
def test_record_that_searchlab_never_writes_is_refused(
    statement: str, match: str, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "forge").mkdir()
    change_database(archive, tmp_path / "forge", statement)
    target = tmp_path / "shared.db"
    refuse(archive, tmp_path / "new", match, storage_url=sqlite_url(target))
    assert not target.exists(), "the record is checked before any storage is opened"


def record_spec(run: RunFolder, **changes: Any) -> None:
    """Record the run's study with some fields changed, as if its file had been edited since."""
    storage = open_storage(run.storage_url())
    recorded = json.dumps({**shared_part(run.load().spec), **changes})
    storage.set_study_user_attr(storage.get_study_id_from_name("rich"), SPEC, recorded)


def test_study_that_is_not_the_recorded_one_is_refused(run: RunFolder, tmp_path: Path) -> None:
    record_spec(run, training={"epochs": 7})
    export(run, tmp_path / "rich.zip")
    refuse(
        tmp_path / "rich.zip",
        tmp_path / "new",
        r"must record the study of study\.yaml:\n  training\.epochs",
    )


@pytest.mark.parametrize("changes", [{"plugins": ["evil"]}, {"plugins": DEEP}, {"of": "later"}])
def test_code_that_only_the_record_names_does_not_come_in(
    run: RunFolder, tmp_path: Path, changes: dict[str, Any]
) -> None:
    record_spec(run, **changes)
    export(run, tmp_path / "rich.zip")
    there = import_study(tmp_path / "rich.zip", tmp_path / "new").run
    [study] = open_storage(there.storage_url()).get_all_studies()
    assert json.loads(study.user_attrs[SPEC]) == shared_part(run.load().spec)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"plugins": ["/tmp/evil.py"]}, "/tmp/evil.py"),
        ({"plugins": ["evil.py"]}, "evil.py"),
        ({"plugins": ["antigravity", "/tmp/b.py"]}, "antigravity, /tmp/b.py"),
        ({"space": "antigravity:geohash"}, "antigravity:geohash"),
        ({"training": {"loss": "antigravity:geohash"}}, "antigravity:geohash"),
    ],
)
def test_study_that_names_code_is_asked_about(
    changes: dict[str, Any], code: str, archive: Path, tmp_path: Path
) -> None:
    study = yaml.safe_dump({**STUDY, **changes}).encode()
    rewrite(archive, lambda files: files.update({"study.yaml": study}))
    refuse(
        archive,
        tmp_path / "new",
        f"names Python code.* goes on: {code}. Look at that .* --allow-code",
    )


def test_study_that_names_code_is_taken_over_if_that_is_allowed(
    archive: Path, tmp_path: Path
) -> None:
    study = yaml.safe_dump({**STUDY, "plugins": ["/tmp/not_loaded.py"]}).encode()
    rewrite(archive, lambda files: files.update({"study.yaml": study}))
    there = import_study(archive, tmp_path / "new", allow_code=True).run
    assert there.load().spec.plugins == ("/tmp/not_loaded.py",)


def test_study_that_names_a_space_file_of_this_machine_is_refused(
    archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("parameters: {family: cnn}")
    study = yaml.safe_dump({**STUDY, "space": str(tmp_path / "own.yaml")}).encode()
    rewrite(archive, lambda files: files.update({"study.yaml": study}))
    refuse(archive, tmp_path / "new", r"study.yaml:\d+: space must be inline")


@pytest.mark.postgres
def test_what_only_the_named_storage_refuses_leaves_nothing_in_it(
    archive: Path, tmp_path: Path, postgres_url: str
) -> None:
    (tmp_path / "forge").mkdir()
    key = "k" * 600  # SQLite keeps no limit
    change_database(
        archive, tmp_path / "forge", f"UPDATE trial_user_attributes SET key = '{key}' || key"
    )
    refuse(archive, tmp_path / "new", "cannot be read: value too long", storage_url=postgres_url)
    storage = open_storage(postgres_url)
    assert storage.get_all_studies() == []
    storage.close()


def test_import_that_fills_the_disk_blames_the_disk(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_arguments: object, **_options: object) -> None:
        raise make_outage(sqlite3.SQLITE_FULL, "database or disk is full")

    monkeypatch.setattr("searchlab.transfer.study_rows._insert_trials", fill)
    with pytest.raises(InfrastructureError, match=r"new cannot be written: .*disk is full"):
        import_study(archive, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_database_that_is_none_is_refused(archive: Path, tmp_path: Path) -> None:
    rewrite(archive, lambda files: files.update({"study.db": b"no database" * 100}))
    refuse(archive, tmp_path / "new", "study.db cannot be read")

"""What of this process must not reach Ray: passwords in its environment and on its command line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hidden_secrets"]

# A storage's URL holds its password; the rest is what database clients and servers read.
_SECRET_NAMES = re.compile(
    r"SEARCHLAB_STORAGE|SEARCHLAB_\w*PASSWORD|(POSTGRES(QL)?|MYSQL|DB|DATABASE)_PASSWORD"
    r"|PGPASSWORD|MYSQL_PWD|DATABASE_URL"
)

# `ray job submit` hands the job's environment to the driver, and the driver to all workers.
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def is_secret(name: str) -> bool:
    """Whether an environment variable of this name may hold a database's password."""
    return _SECRET_NAMES.fullmatch(name) is not None


@contextmanager
def hidden_secrets() -> Iterator[None]:
    """Take the databases' passwords out of this process's environment; put them back at the end.

    Processes started meanwhile do not inherit them, and Ray connected meanwhile does not hand them
    to its workers. A database client in this process finds no PGPASSWORD meanwhile.
    """
    before = {name: value for name, value in os.environ.items() if is_secret(name)}
    if _JOB_CONFIG in os.environ:
        before[_JOB_CONFIG] = os.environ[_JOB_CONFIG]
        os.environ[_JOB_CONFIG] = _without_secrets(before[_JOB_CONFIG])
    for name in before.keys() - {_JOB_CONFIG}:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


@contextmanager
def hidden_command_line() -> Iterator[None]:
    """Keep Ray from recording this process's command line, which may hold ``--storage URL``."""
    from ray._private import utils

    before = utils.get_entrypoint_name
    utils.get_entrypoint_name = lambda: "searchlab"
    try:
        yield
    finally:
        utils.get_entrypoint_name = before


def _without_secrets(job_config: str) -> str:
    data = json.loads(job_config)
    variables = (data.get("runtime_env") or {}).get("env_vars") or {}
    for name in [name for name in variables if is_secret(name)]:
        del variables[name]
    return json.dumps(data)

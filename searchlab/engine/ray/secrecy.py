"""Keeps passwords in this process's environment from reaching Ray."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hidden_secrets"]

# A storage's URL holds its password; database clients and servers read the others.
_SECRET_NAMES = re.compile(
    r"SEARCHLAB_STORAGE|SEARCHLAB_\w*PASSWORD|(POSTGRES(QL)?|MYSQL|DB|DATABASE)_PASSWORD"
    r"|PGPASSWORD|MYSQL_PWD|DATABASE_URL"
)

# `ray job submit` passes the job's environment to the driver, which passes it to all workers.
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def is_secret(name: str) -> bool:
    """Return whether an environment variable of this name may hold a database's password."""
    return _SECRET_NAMES.fullmatch(name) is not None


@contextmanager
def hidden_secrets() -> Iterator[None]:
    """Remove database passwords from this process's environment; restore them at the end.

    Processes started in this block don't inherit them, and a Ray connected in it doesn't pass them
    to its workers. Until it ends, a database client in this process finds no PGPASSWORD.
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


def _without_secrets(job_config: str) -> str:
    data = json.loads(job_config)
    variables = (data.get("runtime_env") or {}).get("env_vars") or {}
    for name in [name for name in variables if is_secret(name)]:
        del variables[name]
    return json.dumps(data)

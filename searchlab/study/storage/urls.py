"""Storage URLs as people write them: made uniform, and shown without their passwords."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

__all__ = [
    "find_sqlite_file",
    "hide_password",
    "is_postgres",
    "normalise",
    "scrub",
    "take_password_from_environment",
]

_SECRET_KEY = r"\b(?:ssl)?(?:password|passwd|pwd)\s*=\s*"
# user:password@ up to the last @, because a password may hold @ and /. A user may hold @ too.
_USER_INFO = re.compile(r"://([^/:\s]*):(.*)@", re.DOTALL)
_QUERY_SECRET = re.compile(r"(?i)([?&](?:ssl)?(?:password|passwd|pwd)=)([^&]*)")
# libpq's and ODBC's key=value pairs; a value in quotes may hold spaces and escaped quotes.
_PAIR_SECRET = re.compile(
    rf"(?i)({_SECRET_KEY})('(?:[^'\\]|\\.)*'?|\"[^\"]*\"?|\{{[^}}]*\}}?|[^\s&]+)"
)
_POSTGRES = re.compile(r"^postgres(?:ql)?(\+\w+)?://", re.IGNORECASE)
_SQLITE = re.compile(r"^sqlite(\+\w+)?://[^/]*/", re.IGNORECASE)
# SQLAlchemy's own driver, which plain sqlite:// means too.
_PYSQLITE = re.compile(r"^sqlite\+pysqlite:", re.IGNORECASE)
_QUERY_START = re.compile(r"\?[A-Za-z_]+=")


def hide_password(url: str) -> str:
    """Return a storage's address with every password in it replaced by ``***``.

    Takes URLs, and the key=value forms of libpq and ODBC. If it is unclear what belongs to the
    password, more is hidden rather than less.
    """
    url = _USER_INFO.sub(r"://\1:***@", url)
    if "://" in url:
        url = _QUERY_SECRET.sub(r"\1***", url)
    return _PAIR_SECRET.sub(r"\1***", url)


def scrub(text: str, url: str) -> str:
    """Return a message without the passwords of ``url``, however the message spells them."""
    for secret in sorted(_spellings(_find_passwords(url)), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"(://[^/:\s]*):\S*@", r"\1:***@", text)
    return _PAIR_SECRET.sub(r"\1***", text)


def _find_passwords(url: str) -> set[str]:
    found = {match.group(2) for match in _USER_INFO.finditer(url)}
    found |= {match.group(2) for match in _QUERY_SECRET.finditer(url)}
    if "://" not in url:
        found |= {match.group(2).strip("'\"{}") for match in _PAIR_SECRET.finditer(url)}
    # A parser may split a careless password; its parts show up in messages as host or database.
    parts = {part for secret in found for part in re.split(r"[@/:?#]", secret) if len(part) > 2}
    return {secret for secret in found | parts if secret and secret != "***"}


def _spellings(secrets: set[str]) -> set[str]:
    plain = secrets | {unquote(one) for one in secrets} | {unquote_plus(one) for one in secrets}
    plain |= {re.sub(r"\\(.)", r"\1", one) for one in secrets}
    coded = {form(one, safe="") for one in plain for form in (quote, quote_plus)}
    return plain | coded | {repr(one)[1:-1] for one in plain}


def is_postgres(url: str) -> bool:
    """Return whether the URL names a PostgreSQL database, by whichever driver."""
    return _POSTGRES.match(url) is not None


def find_sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database, by whichever driver; None if in memory or no SQLite.

    >>> find_sqlite_file("sqlite+pysqlite:///runs/all.db?timeout=5")
    PosixPath('runs/all.db')
    """
    head = _SQLITE.match(url)
    # A folder's name may have a question mark.
    path = "" if head is None else _QUERY_START.split(url[head.end() :], maxsplit=1)[0]
    return None if path in ("", ":memory:") else Path(path)


def normalise(url: str) -> str:
    """Return the URL as SQLAlchemy needs it.

    ``sqlite+pysqlite://`` is ``sqlite://``; ``postgres://`` and ``postgresql://`` mean psycopg 3;
    a raw ``@``, ``/`` or ``?`` in a password, as ``me:p@ss@host``, is encoded.
    """
    if url.startswith("sqlite"):
        return _PYSQLITE.sub("sqlite:", url)
    driver = _POSTGRES.match(url)
    if driver is not None:
        url = f"postgresql{driver.group(1) or '+psycopg'}://{url[driver.end() :]}"
    scheme, separator, rest = url.partition("://")
    user_info, at, place = _split_user_info(rest)
    user, colon, password = user_info.partition(":")
    if not separator or not at or not colon:
        return url
    # An encoded password stays as it is: only characters that would end it early are encoded.
    password = re.sub(r"[@/?#:]", lambda match: quote(match.group(), safe=""), password)
    return f"{scheme}://{user}:{password}@{place}"


def _split_user_info(rest: str) -> tuple[str, str, str]:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        user_info, at, host = authority.rpartition("@")
        return user_info, at, host + rest[len(authority) :]
    query = _QUERY_START.search(rest)
    head = rest[: query.start()] if query else rest
    user_info, at, place = head.rpartition("@")
    return user_info, at, place + rest[len(head) :]


def take_password_from_environment(url: str) -> str:
    """Return the URL with PGPASSWORD put in, if it is PostgreSQL's and has no password.

    The variable can then be removed from the environment before any worker starts.
    """
    password = os.environ.get("PGPASSWORD")
    if not password or not is_postgres(url) or _QUERY_SECRET.search(url):
        return url
    scheme, _, rest = url.partition("://")
    user_info, at, place = _split_user_info(rest)
    user, _, given = user_info.partition(":")
    if given:
        return url
    place = place if at else rest
    return f"{scheme}://{user}:{quote(password, safe='')}@{place}"

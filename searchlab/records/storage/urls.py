"""Storage URLs as people write them: made uniform, and shown without their passwords."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

__all__ = [
    "find_sqlite_file",
    "hide_password",
    "hide_passwords",
    "is_postgres",
    "looks_like_url",
    "normalise",
    "scrub",
    "take_password_from_environment",
]

# What names a password, a token or a key among a URL's parameters, and the ones that only look so.
_SECRET_KEY = re.compile(
    r"pass|pwd|^pw|pw$|secret|token|key|auth|cred|sig|sas|jwt|odbc_connect", re.IGNORECASE
)
_HARMLESS_KEYS = ("passfile", "sslkey", "ssl_key", "require_auth")  # files and methods
# libpq's and ODBC's key=value pairs; a value in quotes may hold spaces and escaped quotes.
_PAIR_SECRET = re.compile(
    r"(?i)(\b\w*(?:password|passwd|pwd|token|secret)\s*=\s*)"
    r"('(?:[^'\\]|\\.)*'?|\"[^\"]*\"?|\{[^}]*\}?|[^\s&;'\"]+)"
)
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*)://", re.ASCII)
# How a URL that lacks a slash begins.
_DIALECT = re.compile(
    r"(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|sqlite|grpc)(?:\+\w+)?(?::|//)", re.IGNORECASE
)
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[\w.~%-]*)(?::\d*)?"
_PLACE = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/[^:@?#\s]*)?")
_ODD_USER = re.compile(r"[:;=&/?#\s]")
# A URL in a sentence: up to a blank, or with blanks if these are in a password.
_IN_TEXT = re.compile(
    rf"(?i)(?:\b[a-z][\w+.-]*://|\b{_DIALECT.pattern}(?=\S))"
    r"(?:[^\s'\"]*@[^\s'\"]*|[^\s/@:'\"]*:(?!\d+\b)(?:(?!://)[^\n'\"])*@[^\s'\"]*|[^\s'\"]*)"
)
# What is left of a URL whose scheme was forgotten.
_BARE = re.compile(r"(?<![\w/.:%-])[\w.%+-]+:[^\s/'\"@]+@[\w.-]+")
_NOT_SHOWN = "the reason is not shown, because it may hold what the URL hides"
_POSTGRES = re.compile(r"^postgres(?:ql)?(\+\w+)?://", re.IGNORECASE)
_SQLITE = re.compile(r"^sqlite(\+\w+)?://[^/]*/", re.IGNORECASE)
# SQLAlchemy's own driver, which plain sqlite:// means too.
_PYSQLITE = re.compile(r"^sqlite\+pysqlite:", re.IGNORECASE)
_QUERY_START = re.compile(r"\?[A-Za-z_%][\w%.-]*=")
_SHORT = 3  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """The parts of a URL; a part that is not understood is not in it."""

    scheme: str
    user: str = ""
    password: str | None = None
    place: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def is_user_odd(self) -> bool:
        """Whether the user may hold the password, encoded or for want of a colon."""
        at_is_odd = "@" in self.user and self.password is None
        return at_is_odd or _ODD_USER.search(_decode(self.user)) is not None


def hide_password(url: str) -> str:
    """Return a storage's URL with ``***`` for every password, token and key in it.

    Of what cannot be read as a URL no more than its scheme is shown.
    """
    address = _parse(url)
    if address is None:
        known = _SCHEME.match(url) or _DIALECT.match(url)
        return f"{known[0] if known else ''}***"
    user = "***" if address.is_user_odd else address.user
    password = "" if address.password is None else ":***"
    at = "@" if address.user or password else ""
    shown = "&".join(
        (f"{key}=***" if key else "***") if _is_secret(key, value) else f"{key}={value}"
        for key, value in address.parameters
    )
    query = f"?{shown}" if shown else ""
    return f"{address.scheme}://{user}{password}{at}{address.place}{query}"


def hide_passwords(text: str) -> str:
    """Return a text with ``hide_password`` applied to each URL in it, whole or mistyped."""

    def hide(match: re.Match[str]) -> str:
        url = match[0].rstrip(").,;")
        return hide_password(url) + match[0][len(url) :]

    return _PAIR_SECRET.sub(r"\1***", _BARE.sub("***", _IN_TEXT.sub(hide, text)))


def scrub(text: str, url: str) -> str:
    """Return a library's message without the passwords of ``url``, however it spells them."""
    address = _parse(url)
    if address is None:
        return _NOT_SHOWN
    for secret in sorted(_spellings(_find_passwords(address)), key=len, reverse=True):
        # A short one only as a word of its own: "e" is in most words of the message too.
        edge = r"\b" if len(secret) <= _SHORT and secret.isalnum() else ""
        text = re.sub(edge + re.escape(secret) + edge, "***", text)
    return hide_passwords(text)


def looks_like_url(text: str) -> bool:
    """Return whether a text is meant as a storage's URL, well written or not."""
    return "://" in text or _DIALECT.match(text) is not None


def _parse(url: str) -> _Address | None:
    """Return the parts of a URL, or None if it is not certain what each part is."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return None
    user_info, at, rest = _split_user_info(url[scheme.end() :])
    if scheme[1].lower().startswith("sqlite"):
        if not at or url[scheme.end() :].startswith("/"):  # a file's name may hold @
            user_info, at, rest = "", "", url[scheme.end() :]
        place, query = _split_query(rest)
        is_known = place == "" or place.startswith("/")
    else:
        place, query = _split_query(rest)
        decoded = _decode(re.sub(r"\[[^]]*\]", "", place))  # but for addresses of IPv6
        is_known = _PLACE.fullmatch(place) is not None and re.search(r"@|:\D", decoded) is None
    if not is_known:
        return None
    user, colon, password = user_info.partition(":")
    pieces = [piece.partition("=") for piece in query.split("&")] if query else []
    return _Address(
        scheme=scheme[1],
        user=user,
        password=password if colon else None,
        place=place,
        # What has no name may be the rest of a password with an & in it.
        parameters=tuple((key, value) if equals else ("", key) for key, equals, value in pieces),
    )


def _split_query(rest: str) -> tuple[str, str]:
    start = _QUERY_START.search(rest)
    return (rest, "") if start is None else (rest[: start.start()], rest[start.start() + 1 :])


def _is_secret(key: str, value: str) -> bool:
    name, content = _decode(key).lower(), _decode(value)
    if not name or (_SECRET_KEY.search(name) and name not in _HARMLESS_KEYS):
        return True
    return re.search("[@#]", content) is not None or _PAIR_SECRET.search(content) is not None


def _decode(text: str) -> str:
    """Return what a text says that was percent-encoded, perhaps more than once."""
    for _ in range(3):
        text = unquote_plus(text)
    return text


def _find_passwords(address: _Address) -> set[str]:
    found = {value for key, value in address.parameters if _is_secret(key, value)}
    found |= {address.user} if address.is_user_odd else set()
    found |= {address.password} if address.password is not None else set()
    decoded = {_decode(secret) for secret in found}
    found |= {m[2].strip("'\"{}") for one in decoded for m in _PAIR_SECRET.finditer(one)}
    # A parser may split a careless password; its parts show up in messages as host or database.
    parts = {part for one in found for part in re.split(r"[@/:?#]", one) if len(part) >= _SHORT}
    return {secret for secret in found | parts if secret and secret != "***"}


def _spellings(secrets: set[str]) -> set[str]:
    plain = secrets | {unquote(one) for one in secrets} | {_decode(one) for one in secrets}
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


def _has_password_parameter(url: str) -> bool:
    return re.search(r"(?i)[?&]password=", url) is not None


def take_password_from_environment(url: str) -> str:
    """Return the URL with PGPASSWORD put in, if it is PostgreSQL's and has no password.

    The variable can then be removed from the environment before any worker starts.
    """
    password = os.environ.get("PGPASSWORD")
    if not password or not is_postgres(url) or _has_password_parameter(url):
        return url
    scheme, _, rest = url.partition("://")
    user_info, at, place = _split_user_info(rest)
    user, _, given = user_info.partition(":")
    if given:
        return url
    place = place if at else rest
    return f"{scheme}://{user}:{quote(password, safe='')}@{place}"

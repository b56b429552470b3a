"""Addresses of databases, as they may be shown and kept: without the password."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):\S*@|((?<=[?&])(?:ssl)?password=[^&\s]*&?)")


def without_password(text: str) -> str:
    """The text with no password in the address of a Postgres database that stands in it.

    >>> without_password("--journal=postgres://ada:s3cret@db/runs")
    '--journal=postgres://ada@db/runs'
    """
    if "postgres://" not in text and "postgresql://" not in text:
        return text
    return _PASSWORD.sub(lambda found: f"{found[1]}@" if found[1] is not None else "", text)

"""A run written into a file as a page: what `--html FILE` of `codeact show` does."""

from __future__ import annotations

import sys
from pathlib import Path

from codeact.core.errors import UsageError
from codeact.core.files import amount
from codeact.ports import Store

from .. import page
from .arguments import Parser


def add_flag(parser: Parser) -> None:
    """The flag that asks for it."""
    parser.add_argument(
        "--html", metavar="FILE", help="write the run as one page that any browser opens, without a server or network"
    )


def write(store: Store, run: str, path: Path) -> None:
    """Write it, and say on standard error where it is. Raises UsageError where it cannot be written."""
    text = page.page_of(store, run)
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    print(f"{path} ({amount(path.stat().st_size)}): open it in a browser", file=sys.stderr)

"""Exceptions that nobody catches, in threads and in `__del__`: CPython's words, with the lines of the cell.

CPython writes its own words in C, which reads the lines from a file. A cell has no file; `traceback` finds its lines.
"""

from __future__ import annotations

import sys
import threading
import traceback
from typing import Any


def install() -> None:
    """Put these in place of CPython's, also under the names that code restores them by."""
    threading.excepthook = threading.__excepthook__ = _in_a_thread
    sys.unraisablehook = sys.__unraisablehook__ = _ignored


def _in_a_thread(args: threading.ExceptHookArgs, /) -> None:
    """Handle an uncaught exception of a thread: `args` has exc_type, exc_value, exc_traceback and thread."""
    if args.exc_type is SystemExit or sys.stderr is None:
        return
    name = threading.get_ident() if args.thread is None else args.thread.name
    print(f"Exception in thread {name}:", file=sys.stderr)
    traceback.print_exception(args.exc_type, args.exc_value, args.exc_traceback)


def _ignored(args: Any, /) -> None:
    """Handle an exception that cannot be raised: `args` has exc_type, exc_value, exc_traceback, err_msg and object."""
    if sys.stderr is None:
        return
    words = args.err_msg or "Exception ignored in"
    print(f"{words}:" if args.object is None else f"{words}: {_shown(args.object)}", file=sys.stderr)
    traceback.print_exception(args.exc_type, args.exc_value, args.exc_traceback, chain=False)


def _shown(thing: object) -> str:
    try:
        return repr(thing)
    except BaseException:
        return "<object repr() failed>"

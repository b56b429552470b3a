"""A run as a notebook shows it: one output that changes while it goes on, and stays as it ended."""

from __future__ import annotations

import contextvars
import sys
import time
from importlib import import_module
from typing import Any

from codeact.core.events import Delta, Event, OutputDelta, ReasoningDelta, TextDelta
from codeact.core.execution import Outcome

from .page import Page, html_of_outcome

_PAUSE = 0.1  # seconds between two drawings of what streams


def shell() -> Any:
    """The notebook that this process is the kernel of; None elsewhere, a terminal included."""
    ours = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return ours if getattr(ours, "kernel", None) is not None else None


class Notebook:
    """A `Listener` that draws in the output of the notebook's cell in which it was made."""

    def __init__(self) -> None:
        ipython = import_module("IPython.display")  # it is there where this is made
        self._context = contextvars.copy_context()  # which says whose output it is, whatever thread this is called in
        self._html: Any = ipython.HTML
        self._page = Page()
        self._drawn = 0.0
        self._handle: Any = ipython.display(ipython.HTML(""), display_id=True)

    def __call__(self, news: Event | Delta) -> None:
        if not self._page.hear(news) or self._handle is None:
            return
        passing = isinstance(news, TextDelta | ReasoningDelta | OutputDelta)
        if passing and time.monotonic() - self._drawn < _PAUSE:
            return
        self._context.copy().run(self._handle.update, self._html(self._page.html()))
        self._drawn = time.monotonic()


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext codeact.listeners.notebook`: what `Interpreter.run` gives shows itself, with its pictures."""
    shell.display_formatter.formatters["text/html"].for_type(Outcome, html_of_outcome)

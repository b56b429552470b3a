"""`codeact resume`: go on with a run that was cut off, made of what it was made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from codeact import assemble
from codeact.core.errors import UsageError
from codeact.core.execution import ToolCall
from codeact.core.recovery import Failed, Happened, Recovery, Retry
from codeact.session.resuming import Resume

from . import again, which
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Take the run up where it was cut off, and say what came of it, as `run` does."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    name = which.one_run(store, options.words, "resume", agent=True)
    resume = Resume(name, _Operator(options).knows, fresh=options.fresh, anyway=options.anyway)
    return again.go_on(store, name, options, lambda agent: resume)


class _Operator:
    """What was said on the command line of calls that were cut off."""

    def __init__(self, options: Any) -> None:
        self._said: dict[str, Recovery] = {}
        for key in options.retry:
            self._said[key] = Retry()
        for key in options.failed:
            self._said[key] = Failed()
        for text in options.done:
            key, _, value = text.partition("=")
            try:
                self._said[key] = Happened(json.loads(value) if value else None)
            except ValueError as error:
                raise UsageError(f"--done {text}: the value is JSON, such as {key}='\"text\"' ({error})") from None

    async def knows(self, call: ToolCall) -> Recovery | None:
        """What was said of this call."""
        return next((said for key, said in self._said.items() if key and call.key.startswith(key)), None)


def _parser() -> Parser:
    parser = Parser(
        "resume",
        "Go on with a run that was cut off. Nothing is asked of the model twice, and no tool runs twice.",
        "codeact resume RUN [--journal PATH] [flags]",
        "RUN [app.py:agent]",
        again.HELP,
    )
    parser.add_argument(
        "--done", metavar="KEY=VALUE", action="append", default=[], help="this call took effect, and gave this (JSON)"
    )
    parser.add_argument("--failed", metavar="KEY", action="append", default=[], help="this call failed")
    parser.add_argument("--retry", metavar="KEY", action="append", default=[], help="this call may be made again")
    again.add_flags(parser)
    return parser

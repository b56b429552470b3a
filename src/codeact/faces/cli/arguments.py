"""What is typed after a command: one parser, whose errors say what was meant, and the flags that commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, TypeVar

from codeact import assemble
from codeact.core.errors import UsageError, nearest
from codeact.core.execution import Imports, Limits, Policy
from codeact.files import folder_to_save

from . import exits

if TYPE_CHECKING:  # for the annotations alone
    from codeact.ports import Tool

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """argparse with flags before, between and after the words, no abbreviations, and the nearest name in its errors."""

    def __init__(
        self,
        command: str,
        does: str,
        usage: str,
        words: str = "",
        words_help: str = argparse.SUPPRESS,
        epilog: str = "",
    ) -> None:
        super().__init__(
            f"codeact {command}",
            description=does,
            usage=usage,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._words = bool(words)
        self.add_argument("words", metavar=words, nargs="*", help=words_help)

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """The options; `words` are what is no flag. A wrong line ends the program with exit code 2."""
        options, rest = self.parse_known_intermixed_args(argv)
        if options.words and not self._words:
            self.error(f"it takes no word such as {options.words[0]!r}")
        for word in rest:
            self.error(f"no flag {word.partition('=')[0]!r}{nearest(word.partition('=')[0], self.flags())}")
        return options

    def flags(self) -> list[str]:
        """Every flag there is."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, in one line, and leave with the code of usage errors."""
        print(f"{self.prog}: {message}\n`{self.prog} --help` shows what can be said.", file=sys.stderr)
        raise SystemExit(exits.USAGE)


def reading(convert: Callable[[str], T]) -> Callable[[str], T]:
    """The conversion of a flag's value, whose own words of refusal are kept."""

    def read(text: str) -> T:
        try:
            return convert(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


@reading
def positive(text: str) -> int:
    """A whole number from 1 to a million."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:8]) <= 1_000_000):
        raise UsageError(f"not a whole number from 1 to 1,000,000: {text!r}")
    return int(text)


def add_interpreter_flags(parser: Parser, files: bool = True) -> None:
    """The flags of everything that runs cells; those of `files` go in and out with the one task that is typed."""
    parser.add_argument(
        "--tools",
        metavar="FILE.py[:NAME,...]",
        action="append",
        default=[],
        help="functions of yours that the code may call, or a tool of the toolbox by name (fetch, web_search, ...); "
        "they run here, outside the sandbox; repeatable",
    )
    parser.add_argument(
        "--mcp",
        metavar="FILE",
        help='MCP servers whose tools the code may call: a file of JSON, {"mcpServers": {"NAME": {"command": ...}}}',
    )
    parser.add_argument(
        "--imports",
        metavar="LIST",
        type=reading(assemble.imports),
        help="what may be imported beside the base set: numpy,pandas | all | none | none,math,json",
    )
    parser.add_argument(
        "--python", metavar="PATH", help="the interpreter or environment whose packages the sandbox sees, read-only"
    )
    parser.add_argument(
        "--with",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="a package that the code sees and may import, such as pandas or 'polars>=1', installed once; repeatable",
    )
    parser.add_argument(
        "--network",
        metavar="LIST",
        action="append",
        default=[],
        help="hosts that the code may reach, such as api.github.com,'*.example.org:443' (default none); repeatable",
    )
    parser.add_argument("--refresh", action="store_true", help="look for newer versions of what is named by --with")
    if files:
        parser.add_argument(
            "--file",
            metavar="PATH",
            action="append",
            default=[],
            help="a file that is copied into the sandbox, as inputs/NAME; repeatable",
        )
    parser.add_argument(
        "--mount",
        metavar="PATH[:rw]",
        action="append",
        default=[],
        type=reading(assemble.mount_of),
        help="a folder that code sees at its own path, to read, or with :rw to change as well; repeatable",
    )
    if files:
        parser.add_argument(
            "--out", metavar="DIR", type=reading(folder_to_save), help="where files go that code saves under outputs/"
        )
    parser.add_argument("--seconds", metavar="S", type=reading(assemble.seconds), help="limit of a cell (default 30)")
    parser.add_argument(
        "--memory", metavar="SIZE", type=reading(assemble.size), help="limit of the interpreter (default 1GiB)"
    )
    parser.add_argument(
        "--sandbox",
        metavar="NAME",
        type=reading(assemble.sandbox_name),
        help=f"{' | '.join(assemble.SANDBOXES)} (default {assemble.DEFAULT_SANDBOX})",
    )


@contextmanager
def tools(options: argparse.Namespace) -> Iterator[list[Tool]]:
    """The tools that the flags name, for as long as they are used."""
    found = assemble.tools(options.tools)
    if options.mcp is None:
        yield found
        return
    with import_module("codeact.api.sources").mcp_tools(options.mcp) as more:
        yield [*found, *more]


def policy(options: argparse.Namespace) -> Policy:
    """What the flags ask of the interpreter. Packages are installed by the way, which may take a while."""
    packages = getattr(options, "with")
    if options.refresh and not packages:
        raise UsageError("--refresh goes with --with PACKAGE: there is nothing else to look for")
    asked = {"seconds": options.seconds, "memory": options.memory}
    limits = Limits(**{limit: value for limit, value in asked.items() if value is not None})
    network = assemble.network(options.network)
    bounds = Policy(limits, options.python, options.imports or Imports(), tuple(options.mount), network)
    return assemble.with_packages(bounds, packages, refresh=options.refresh, tell=_say)


def _say(words: str) -> None:
    print(f"codeact: {words}", file=sys.stderr)

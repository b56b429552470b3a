"""What Python offers to a person at the keyboard, where there is none: clear words, and never a wait."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TextIO


class Quitter:
    """`exit` and `quit`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"Use {self._name}() to end this cell"

    def __call__(self, code: Any = None) -> None:
        raise SystemExit(code)


class Helper:
    """`help`: what pydoc says of a thing; without a thing, one line."""

    def __repr__(self) -> str:
        return "Type help(thing) for help about a thing."

    def __call__(self, *things: Any, **named: Any) -> None:
        if not things and not named:
            print("help() talks with a person, who is not here. help(thing) prints the help of a thing.")
            return
        thing = things[0] if things else None
        thing = sys.modules.get(thing, thing) if isinstance(thing, str) else thing
        told = vars(thing).get("__help__") if isinstance(thing, ModuleType) else None
        if told is not None:
            print(told())
            return
        import pydoc  # slow to load, and rarely asked for

        pydoc.help(*things, **named)


class Notice:
    """`copyright`, `credits` and `license`."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def __call__(self) -> None:
        print(self._text)


def install() -> None:
    """Put the builtins that `-S` leaves out, and those that would wait for a person."""
    names: dict[str, Any] = {
        "exit": Quitter("exit"),
        "quit": Quitter("quit"),
        "help": Helper(),
        "copyright": Notice(sys.copyright),
        "credits": Notice("Thanks to all who make Python: see python.org for more information."),
        "license": Notice("See https://docs.python.org/3/license.html"),
    }
    vars(builtins).update(names)
    sys.breakpointhook = _no_debugger


def silence_input(stdin: Callable[[], TextIO]) -> None:
    """Have `input` fail at once where it would read the standard input that nobody types into."""
    real = builtins.input

    def input(prompt: object = "", /) -> str:
        """Read a line from sys.stdin, where the cell has put something there. Otherwise there is nobody to ask."""
        if sys.stdin is not stdin():
            return real(prompt)
        print(prompt, end="", flush=True)
        raise EOFError("EOF when reading a line: nobody is at the keyboard in here")

    builtins.input = input


def _no_debugger(*args: object, **kwargs: object) -> None:
    raise RuntimeError("breakpoint() waits for a person, who is not here: print what you want to look at")

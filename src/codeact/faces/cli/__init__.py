"""The command line. Each command is a room of its own, imported when it is typed; `--help` loads nothing heavy."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module

from codeact.core.errors import (
    CodeactError,
    ReplayDivergence,
    RunDiffers,
    SandboxUnavailable,
    ToolDefinitionError,
    UsageError,
    nearest,
)

from . import exits, streams

COMMANDS = {
    "demo": "a real task on real data, offline: recorded replies, live code in the sandbox",
    "run": "give a model one task",
    "chat": "talk with a model, turn by turn; what was said and all variables are kept",
    "resume": "go on with a run that was cut off",
    "approve": "answer what a run waits for, and have it go on",
    "fork": "a new run that goes on from a step of another",
    "diff": "where two runs part",
    "export": "runs as lines of JSON, for training",
    "runs": "the runs that are kept, newest first",
    "show": "all of a run: as text, as its entries, or as a page that any browser opens",
    "prompt": "what a model would be sent for a task, and its tokens",
    "exec": "run cells in one sandboxed interpreter, without a model; alone: a sandboxed prompt",
    "serve": "a web page to give tasks on and to watch them, and an API",
    "mcp": "serve a confined Python, or agents, to any MCP client",
    "eval": "give a model a set of tasks, and count what came of it",
    "fetch": "get what the sandbox wasm needs, once: Deno and Pyodide",
    "doctor": "what this machine gives: the sandbox's layers, models in reach, versions",
}
_ROOMS = {
    "demo": ".demo",
    "run": ".run",
    "chat": ".chat",
    "resume": ".resume",
    "approve": ".deciding",
    "fork": ".fork",
    "diff": ".diff",
    "export": ".export",
    "runs": ".runs",
    "show": ".show",
    "prompt": ".prompting",
    "exec": ".cells",
    "serve": ".serve",
    "mcp": "codeact.faces.mcp",
    "eval": ".evaluate",
    "fetch": ".fetch",
    "doctor": ".doctor",
}

_HELP = """\
usage: codeact COMMAND [...]

Code agents: a model acts by writing Python that runs in an interpreter which the kernel confines.

{commands}

codeact COMMAND --help tells more.  codeact --version

exit codes: 0 done with an answer, every cell ok; 1 not; 2 usage; 3 sandbox not available; 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that was typed and say how it ended, as an exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    streams.prepare()
    if any("://" in word and "@" in word for word in words):
        import_module(".titles", __package__).hide_passwords(words)
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # one line, without a place
    try:
        status = _main(words)
        sys.stdout.flush()  # here, where what goes wrong can still be said
        return status
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        streams.silence()
        return exits.INTERRUPTED
    except SandboxUnavailable as error:
        _say("codeact: the sandbox is not available here, so nothing was run")
        _say(f"  layer  {error.layer}\n  cause  {error.cause}")
        _say(f"{error.mend}\n`codeact doctor` shows every layer.")
        return exits.NO_SANDBOX
    except (UsageError, ToolDefinitionError) as error:
        _say(f"codeact: {error}")
        return exits.USAGE
    except CodeactError as error:
        flag = {RunDiffers: "--anyway", ReplayDivergence: "--fresh"}.get(type(error))
        _say(f"codeact: {error}" + (f" (the flag {flag})" if flag else ""))
        return exits.NOT_DONE
    except OSError as error:
        streams.silence()
        _say(f"codeact: cannot go on: {_why(error)}")
        return exits.NOT_DONE


def _why(error: OSError) -> str:
    try:
        os.getcwd()
    except OSError:
        return "the working directory is gone: go to another one"
    return error.strerror or str(error)


def _main(words: list[str]) -> int:
    match words:
        case [] | ["-h" | "--help", *_]:
            rows = "\n".join(f"  {name:<8} {does}" for name, does in COMMANDS.items())
            print(_HELP.format(commands=rows), end="")
            return exits.DONE if words else exits.USAGE
        case ["-V" | "--version", *_]:
            print(f"codeact {_version()}")
            return exits.DONE
        case [command, *rest] if command in _ROOMS:
            room = import_module(_ROOMS[command], __name__)
            with import_module(".traces", __name__).traced() if _traced() else nullcontext():
                status: int = room.main(rest)
            return status
        case [word, *_]:
            what = "flag" if word.startswith("-") else "command"
            known = ("--help", "--version") if what == "flag" else tuple(COMMANDS)
            _say(f"codeact: no {what} {word!r}{nearest(word, known)}")
            _say(f"There are: {', '.join(known)}")
            return exits.USAGE
        case _:  # unreachable: a list is empty or has a first word
            return exits.USAGE


def _traced() -> bool:
    """Whether the environment may say where traces go."""
    return any(name.startswith("OTEL_") for name in os.environ) and import_module(".traces", __name__).wanted_at_all()


def _version() -> str:
    return import_module("importlib.metadata").version("codeact")  # type: ignore[no-any-return]  # 48 ms: only here


def _show_warning(message: Warning | str, *_where: object) -> None:
    _say(f"codeact: warning: {message}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)

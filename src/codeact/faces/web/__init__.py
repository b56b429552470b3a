"""A web page to watch and steer runs, and an API: `codeact.serve(agent)`. Closed to all but who has its token."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from codeact.core.errors import UsageError
from codeact.installation import adding
from codeact.session.agent import Agent


def serve(*agents: Agent, host: str = "127.0.0.1", port: int = 8765, **settings: Any) -> None:
    """Serve these agents on a web page and an API, until Ctrl-C; the address and its token are printed on stderr.

    host: an address of this machine; one that others can reach needs `token`. port: 0 takes any that is free.
    token: at least 22 characters of your own; by default a new one each time. names: how the page's host may be
    called beside, behind a proxy. models: specifications that a run may take in place of an agent's own model.
    journal: where runs are kept, in place of where the first agent keeps them. secrets: variables of every task whose
    values tools alone get, `Secret`s by name.

    Raises UsageError where it cannot be: no agent, a port that is taken, a host without a token.
    """
    room("serving").serve(agents, host=host, port=port, **settings)


def room(name: str) -> Any:
    """A room of this face, whose libraries are an extra; without them a UsageError says what to type."""
    try:
        return import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        package = (error.name or "codeact").partition(".")[0]
        if package == "codeact":
            raise
        raise UsageError(f"the package {package!r} is not installed here: {adding('serve')}") from None

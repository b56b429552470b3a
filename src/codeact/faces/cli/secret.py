"""`--secret NAME`: a variable of the environment that tools are given, and nobody else."""

from __future__ import annotations

import os
from collections.abc import Sequence

from codeact.core.errors import UsageError
from codeact.secrets import Secret

from .arguments import Parser


def add_flag(parser: Parser) -> None:
    """The flag, as often as there are secrets."""
    parser.add_argument(
        "--secret",
        metavar="NAME",
        action="append",
        default=[],
        help="the environment's variable NAME is a variable of the code, whose value tools alone get; repeatable",
    )


def found(names: Sequence[str]) -> dict[str, Secret]:
    """The secrets of these names. Raises UsageError for one that is not set."""
    secrets = {}
    for name in names:
        if not name.isidentifier():
            raise UsageError(f"--secret {name}: write the name of a variable of the environment, never its value")
        if not os.environ.get(name):
            raise UsageError(f"--secret {name}: the environment has no {name}")
        try:
            secrets[name] = Secret(os.environ[name])
        except UsageError as error:
            raise UsageError(f"--secret {name}: {error}") from None
    return secrets

"""Which run is meant: by its name, by how its name begins, or the last one."""

from __future__ import annotations

from codeact.core.errors import UsageError
from codeact.ports import Store

from ..called import called

LAST = "last"
HELP = "the run, how its name begins, or `last`; `codeact runs` lists them"


def run_named(store: Store, word: str) -> str:
    """The name of the run that this word means. Raises UsageError where that is none, or several."""
    if word == LAST and hasattr(store, "runs"):
        found = store.runs(limit=1)
        if not found:
            raise UsageError(f"there are no runs in {getattr(store, 'path', 'this journal')}")
        return str(found[0].run)
    return str(store.find(word)) if hasattr(store, "find") else word


def one_run(store: Store, words: list[str], command: str, agent: bool = False) -> str:
    """The same of what was typed behind a command that takes one run, and where it may be `agent`, an agent's place."""
    if not words or len(words) > 1 + agent:
        raise UsageError(f"which run? write {called()} {command} RUN; `{called()} runs` lists them")
    return run_named(store, words[0])

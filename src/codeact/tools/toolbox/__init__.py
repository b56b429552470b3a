"""Tools that many tasks want, each made by the function of its name; each room is loaded when it is named.

from codeact.tools.toolbox import fetch, read_file
agent = CodeAgent(model=..., tools=[fetch(allow=["intranet.example:8080"]), read_file("reports")])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..submodels import llm as llm
    from .asking import ask_user as ask_user
    from .fetching import fetch as fetch
    from .pages import visit_webpage as visit_webpage
    from .reading import read_file as read_file
    from .searching import web_search as web_search
    from .wikipedia import wikipedia_search as wikipedia_search

ROOMS = {
    "ask_user": "asking",
    "fetch": "fetching",
    "llm": ".submodels",
    "read_file": "reading",
    "visit_webpage": "pages",
    "web_search": "searching",
    "wikipedia_search": "wikipedia",
}


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"there is no tool {name!r} in the toolbox")
    return getattr(import_module(f".{ROOMS[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*ROOMS]

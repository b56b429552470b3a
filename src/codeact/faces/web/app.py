"""The application: its routes, behind the guard, and what becomes of an exception."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from . import guard
from .bodies import Patience
from .completions import Completions
from .guard import Guard, Message, Receive, Scope, Send
from .refusals import Refused, refused
from .resources import Api
from .runs import Runs

_log = logging.getLogger("codeact")
_STATIC = Path(__file__).parent / "static"


def application(runs: Runs, token: str, hosts: Collection[str], patience: Patience | None = None) -> Guard:
    """All that is served, to whoever has the token and asks for one of these hosts."""
    return Guard(_Answering(router(runs, patience or Patience())), token, hosts)


def router(runs: Runs, patience: Patience) -> Router:
    """The routes."""
    return Router(
        [
            Route("/", _shell, methods=["GET"]),
            Mount("/static", StaticFiles(directory=_STATIC)),
            *Api(runs, patience).routes(),
            *Completions(runs, patience).routes(),
        ],
        redirect_slashes=False,
    )


async def _shell(request: Request) -> Response:
    return FileResponse(_STATIC / "index.html", media_type="text/html")


class _Answering:
    """What is raised becomes an answer. One of ours says why, another one is for the log alone."""

    def __init__(self, router: Router) -> None:
        self.router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = whole = False

        async def receiving() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or not message.get("more_body", False)
            return message

        async def rest() -> Message:
            return {"type": "http.disconnect"} if whole else await receiving()

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        scope["app"] = self  # so that the router raises where nothing is found
        try:
            await self.router(scope, receiving, sending)
        except HTTPException as error:
            await guard.answer(_absent(error, scope["path"]), scope, send, rest)
        except Exception as error:
            refusal = refused(error)
            if refusal.status >= 500 and refusal.code == "internal":
                _log.exception("%s %s", scope["method"], scope["path"])
            if not begun:  # else the connection is closed in the middle
                await guard.answer(refusal, scope, send, rest)


def _absent(error: HTTPException, path: str) -> Refused:
    words = {404: "there is nothing here", 405: "this cannot be done here"}.get(error.status_code, error.detail)
    if path.startswith("/v1/"):
        words += ": of OpenAI's API, POST /v1/chat/completions, GET /v1/models and GET /v1/models/NAME are served"
    return Refused(error.status_code, str(error.status_code), words, error.headers)

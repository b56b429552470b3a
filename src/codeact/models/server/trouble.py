"""What goes wrong on the way to a server, in words that tell what to look at. Pure."""

from __future__ import annotations

import errno
import os
import ssl

import anyio
import httpx2

from codeact.core.errors import ModelError, ModelProtocolError, ModelUnavailable

from .refusal import Refused


class _OfAnSdk(Exception):
    """Stands for the errors of an SDK whose client object the user brought; its cause is what happened."""


NOISE = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, ssl.SSLError, OSError,
         anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, _OfAnSdk)  # fmt: skip


def refusal_of(error: Exception) -> Exception | None:
    """What an SDK raised, in our terms: a refusal, or trouble on the way; None where it is no error of an SDK."""
    if type(error).__module__.partition(".")[0] not in ("openai", "anthropic"):
        return None
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and not response.is_success:
        return Refused(response.status_code, response.text[: 64 << 10], response.headers)
    trouble = _OfAnSdk(str(error))
    trouble.__cause__ = error.__cause__
    return trouble


def cause_of(error: Exception) -> Exception:
    """What happened, below an SDK that wraps it and says less."""
    below = error.__cause__
    return below if isinstance(error, _OfAnSdk) and isinstance(below, Exception) else error


def trouble(error: Exception, host: str, begun: bool, connect: float, local: bool) -> ModelError:
    """The error to raise; `begun` says that part of the reply had come."""
    if isinstance(error, httpx2.ConnectTimeout):
        return ModelUnavailable(f"{host} takes no connection within {connect:g} s")
    if isinstance(error, httpx2.ProxyError):
        return ModelUnavailable(f"the proxy to {host} fails: {_root(error)}")
    if isinstance(error, (httpx2.ConnectError, ssl.SSLError)) and not begun:
        ask = ": is the server running?" if local else ""
        return ModelUnavailable(f"cannot reach {host}: {_root(error)}{ask}")
    if isinstance(error, httpx2.DecodingError):
        return ModelProtocolError(f"{host} sends bytes that cannot be decompressed")
    if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
        return ModelProtocolError(f"{host} cannot be asked: {_root(error)}")
    if begun:
        return ModelUnavailable(f"{host} cut off its reply in the middle: {_root(error)}")
    return ModelUnavailable(f"{host} closed the connection without an answer: {_root(error)}")


def _root(error: BaseException) -> str:
    """What the operating system said, below all the layers; the class's name where nobody said anything."""
    words = str(error)
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, BaseExceptionGroup):
            below = below.exceptions[0]
            continue
        if isinstance(below, OSError) and below.strerror:
            number = 0 if isinstance(below, ssl.SSLError) else below.errno or 0
            words = os.strerror(number) if number in errno.errorcode else below.strerror  # asyncio has its own words
        below = below.__cause__ or below.__context__
    return words or type(error).__name__

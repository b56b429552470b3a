"""Which models can be used from here: keys in the environment, and servers on this machine. Nothing leaves it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from codeact.core.errors import UsageError
from codeact.installation import adding

from .specs import URL_KEY, Spec, endpoint, key_variable

_SECONDS = 0.3  # for each answer of a server on this machine
_ANSWER = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Reach:
    """A provider that was found: by what, and the specification to type, None while something is to be mended first."""

    provider: str
    found: str
    spec: str | None


# Names that stand for what one may type.
_BY_KEY = (Spec("openai", "gpt-5"), Spec("anthropic", "claude-sonnet-4-5"), Spec("hf", "openai/gpt-oss-120b"))
_LOCAL = (
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
    ("vLLM", "http://127.0.0.1:8000/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
)


_BY_BRIDGE = (  # the variables of those that are asked through pydantic-ai
    ("google", "GOOGLE_API_KEY"),
    ("groq", "GROQ_API_KEY"),
    ("mistral", "MISTRAL_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
    ("deepseek", "DEEPSEEK_API_KEY"),
    ("xai", "XAI_API_KEY"),
    ("cohere", "CO_API_KEY"),
    ("cerebras", "CEREBRAS_API_KEY"),
    ("together", "TOGETHER_API_KEY"),
    ("fireworks", "FIREWORKS_API_KEY"),
)


def providers_in_reach(
    environ: Mapping[str, str], local: Sequence[tuple[str, str]] = _LOCAL, bridge: bool | None = None
) -> list[Reach]:
    """What can be asked from here, best known first. Keys are never part of it. Takes about a second at the worst.

    `bridge` says whether pydantic-ai is installed; None looks.
    """
    found = [reach for spec in _BY_KEY if (reach := _by_key(spec, environ))]
    if environ.get(URL_KEY):
        found.append(Reach("URL", f"{URL_KEY} is set", "https://HOST/v1#NAME"))
    found += _bridged(environ, find_spec("pydantic_ai") is not None if bridge is None else bridge)
    try:
        ollama = endpoint(Spec("ollama", ""), environ).url
    except UsageError as error:
        found.append(Reach("ollama", str(error), None))
    else:
        if urlsplit(ollama).hostname in ("127.0.0.1", "localhost", "::1"):
            names = _names(ollama)
            if names is not None:
                found.append(_server("ollama", ollama, names, "ollama:"))
    for name, url in local:
        names = _names(url)
        if names is not None:
            found.append(_server(name, url, names, f"{url}#"))
    return found


def _by_key(spec: Spec, environ: Mapping[str, str]) -> Reach | None:
    if not environ.get(key_variable(spec.provider) or ""):
        return None
    try:
        where = endpoint(spec, environ)
    except UsageError as error:
        return Reach(spec.provider, str(error), None)
    return Reach(spec.provider, f"{where.key_variable} is set", f"{spec.provider}:{spec.name}")


def _bridged(environ: Mapping[str, str], installed: bool) -> Iterator[Reach]:
    for provider, variable in _BY_BRIDGE:
        if environ.get(variable):
            missing = "" if installed else f"; it is asked after {adding('bridge')}"
            yield Reach(provider, f"{variable} is set{missing}", f"{provider}:NAME" if installed else None)


def _server(name: str, url: str, models: Sequence[str], prefix: str) -> Reach:
    count = f"{len(models)} model{'' if len(models) == 1 else 's'}"
    return Reach(name, f"{url} answers, with {count}", prefix + models[0] if models else None)


def _names(url: str) -> list[str] | None:
    """The models of a server on this machine, None where nothing of the kind answers."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=_SECONDS)
    try:
        connection.request("GET", f"{at.path}/models")
        answer = connection.getresponse()
        listed = json.loads(answer.read(_ANSWER)) if answer.status == 200 else {}
        return [entry["id"] for entry in listed["data"] if isinstance(entry["id"], str)]
    except (OSError, http.client.HTTPException, ValueError, RecursionError, LookupError, TypeError):
        return None
    finally:
        connection.close()

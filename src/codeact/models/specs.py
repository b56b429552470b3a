"""Model specifications, such as `openai:gpt-5?temperature=0`: what they name, and what of it is in reach here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from codeact.core.errors import UsageError, nearest

Provider: TypeAlias = Literal["openai", "anthropic", "ollama", "hf", "url", "transformers", "bridge", "replay"]


@dataclass(frozen=True, slots=True)
class Spec:
    """What a specification says. `url` is that of `URL#NAME`; a replay's `name` is its file, that of a model by the
    bridge is `PROVIDER:NAME`. `text` is all of it.
    """

    provider: Provider
    name: str
    url: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def deadlines(self) -> dict[str, float]:
        """Those parameters that say how long to wait."""
        return {key: float(value) for key, value in self.params.items() if key in _DEADLINES}

    @property
    def request(self) -> dict[str, Any]:
        """Those parameters that go to the server, with what stands in `extra`."""
        ours = {*_DEADLINES, "retries", "per_minute", "api", "device", "rate", "extra"}
        extra: dict[str, Any] = self.params.get("extra", {})
        return {key: value for key, value in self.params.items() if key not in ours} | extra

    @property
    def retries(self) -> int:
        """How often to ask again when the server fails."""
        return int(self.params.get("retries", 3))

    @property
    def per_minute(self) -> float | None:
        """How often the model may be asked in a minute."""
        return self.params.get("per_minute")

    @property
    def api(self) -> str:
        """The protocol that the server is asked by: `chat`, `responses` or `messages`."""
        return str(self.params.get("api", "messages" if self.provider == "anthropic" else "chat"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked, and with which key. The variable is named also when it is not set."""

    url: str
    key_variable: str | None = None
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Home:
    """A provider: its address, the variable of its key, and the one of another address."""

    url: str
    key: str | None
    elsewhere: str | None = None


_HOMES: dict[Provider, _Home] = {
    "openai": _Home("https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "anthropic": _Home("https://api.anthropic.com", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "hf": _Home("https://router.huggingface.co/v1", "HF_TOKEN"),
    "ollama": _Home("http://127.0.0.1:11434/v1", None),
}
BRIDGED = (  # what is asked through pydantic-ai under its own name; others of its providers as pydantic:PROVIDER:NAME
    "alibaba", "azure", "bedrock", "cerebras", "cohere", "deepseek", "fireworks", "github", "google", "google-cloud",
    "groq", "huggingface", "litellm", "mistral", "moonshotai", "nebius", "openrouter", "ovhcloud", "sambanova",
    "together", "vercel", "xai", "zai",
)  # fmt: skip
_PROVIDERS = (*_HOMES, "transformers", "pydantic", "replay", *BRIDGED)
FORMS = (
    "openai:NAME", "anthropic:NAME", "ollama:NAME", "hf:NAME", "URL#NAME", "transformers:PATH",
    "pydantic:PROVIDER:NAME", "replay:FILE",
)  # fmt: skip
URL_KEY = "CODEACT_API_KEY"  # the only key that is ever sent to a URL that the user names

_SECONDS = (0.001, math.inf)
_DEADLINES = {"connect": _SECONDS, "first_token": _SECONDS, "between_tokens": _SECONDS, "total": _SECONDS}
_NUMBERS: dict[str, tuple[float, float]] = {
    **_DEADLINES,
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "repetition_penalty": (0, math.inf),
    "per_minute": (0.001, math.inf),
    "rate": (0.001, math.inf),
}
_COUNTS: dict[str, tuple[float, float]] = {
    "max_tokens": (1, math.inf),
    "max_completion_tokens": (1, math.inf),
    "top_k": (-1, math.inf),
    "seed": (-(2**63), 2**63 - 1),
    "num_ctx": (256, 1 << 30),
    "retries": (0, 100),
}
_WORDS = ("reasoning_effort", "verbosity", "service_tier", "api", "device")
_WAITS = (*_DEADLINES, "retries", "per_minute")
_OF_A_SERVER = (
    "temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "max_tokens",
    "max_completion_tokens", "top_k", "seed", "reasoning_effort", "verbosity", "service_tier", "extra", *_WAITS,
)  # fmt: skip
_PARAMETERS: dict[Provider, tuple[str, ...]] = {
    "openai": (*_OF_A_SERVER, "api"),
    "hf": (*_OF_A_SERVER, "api"),
    "url": (*_OF_A_SERVER, "api"),
    "ollama": (*_OF_A_SERVER, "num_ctx"),
    "anthropic": (
        "temperature", "top_p", "top_k", "max_tokens", "reasoning_effort", "service_tier", "extra", *_WAITS,
    ),
    "bridge": (
        "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "max_tokens", "seed",
        "reasoning_effort", "service_tier", "extra", *(wait for wait in _WAITS if wait != "connect"),
    ),
    "transformers": ("temperature", "top_p", "min_p", "top_k", "repetition_penalty", "max_tokens", "seed", "device"),
    "replay": ("rate",),
}  # fmt: skip
_APIS: dict[Provider, tuple[str, ...]] = {
    "openai": ("chat", "responses"), "hf": ("chat", "responses"), "url": ("chat", "responses", "messages"),
}  # fmt: skip
_OURS = {"model", "messages", "input", "system", "instructions", "tools", "stream"}


def parse(spec: str) -> Spec:
    """What `spec` names. Raises UsageError with the nearest name and the list."""
    spec = spec.strip()
    if not spec.isprintable():
        raise UsageError(f"a model is named on one line of plain characters, not {spec!r}")
    if spec.startswith(("http://", "https://")):
        return _parse_url(spec)
    provider, colon, rest = spec.partition(":")
    name, _, query = rest.partition("?")
    match provider:
        case "openai" | "anthropic" | "ollama" | "hf" | "transformers" | "replay" if colon:
            if not name or name != name.strip():
                raise UsageError(f"{spec!r} names no model: a model is written {_list()}")
            return Spec(provider, name, None, _parameters(query, provider), spec)
        case "pydantic" if colon:
            return _bridged(name, query, spec)
        case _ if colon and provider in BRIDGED:
            return _bridged(f"{provider}:{name}", query, spec)
        case _ if colon:
            near = nearest(provider, _PROVIDERS) or "."
            raise UsageError(f"unknown provider {provider!r} in {spec!r}{near} A model is written {_list()}")
        case _:
            raise UsageError(
                f"{spec!r} names no provider: a model is written {_list()}, such as openai:{name or 'gpt-5'}"
            )


def endpoint(spec: Spec, environ: Mapping[str, str]) -> Endpoint:
    """Where the model of `spec` is asked. Raises UsageError when its key is missing or cannot be a key."""
    if spec.provider == "url":
        assert spec.url is not None
        return Endpoint(spec.url, URL_KEY, _key(URL_KEY, environ))
    if spec.provider not in _HOMES:
        raise UsageError(f"{spec.text} is asked at no address")
    home = _HOMES[spec.provider]
    url = home.url
    if spec.provider == "ollama":
        url = _ollama(environ.get("OLLAMA_HOST", ""))
    elif home.elsewhere and environ.get(home.elsewhere):
        url = _checked_url(environ[home.elsewhere].strip(), home.elsewhere)
    key = _key(home.key, environ) if home.key else None
    if home.key and key is None:
        raise UsageError(f"{spec.provider}:{spec.name} needs a key: export {home.key}=...")
    return Endpoint(url, home.key, key, _of_openai(environ) if url == _HOMES["openai"].url else {})


def key_variable(provider: Provider) -> str | None:
    """The environment variable of this provider's key."""
    return URL_KEY if provider == "url" else _HOMES[provider].key if provider in _HOMES else None


def keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of all keys that are set: what may stand in no file of ours."""
    variables = [URL_KEY, *(home.key for home in _HOMES.values() if home.key)]
    return tuple(value for variable in variables if (value := environ.get(variable, "").strip()))


def _of_openai(environ: Mapping[str, str]) -> dict[str, str]:
    """Whom to bill, for those with several organisations: to OpenAI itself alone."""
    names = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}
    found = {header: _key(variable, environ) for header, variable in names.items()}
    return {header: value for header, value in found.items() if value}


def _bridged(name: str, query: str, spec: str) -> Spec:
    provider, _, model = name.partition(":")
    if not provider or not model or model != model.strip():
        raise UsageError(f"{spec!r} names no model: write pydantic:PROVIDER:NAME, such as pydantic:groq:NAME")
    return Spec("bridge", name, None, _parameters(query, "bridge"), spec)


def _key(variable: str, environ: Mapping[str, str]) -> str | None:
    """The key in this variable, None when it is empty. A key is never printed, also not when it is wrong."""
    key = environ.get(variable, "")
    if not key:
        return None
    wrong = None
    if key != key.strip() or any(c.isspace() for c in key):
        wrong = "white space or a line break"
    elif key[0] in "'\"" or key[-1] in "'\"":
        wrong = "quotation marks"
    elif not (key.isascii() and key.isprintable()):
        wrong = "characters that no key has"
    if wrong:
        raise UsageError(f"the key in {variable} has {wrong} in it: export {variable}=... with the bare key")
    return key


def _parse_url(spec: str) -> Spec:
    url, hash, rest = spec.partition("#")
    name, _, query = rest.partition("?")
    if not hash or not name or name != name.strip():
        raise UsageError(
            f"{_without_secrets(url)} names no model: write URL#NAME, such as http://127.0.0.1:8000/v1#llama"
        )
    return Spec("url", name, _checked_url(url, "the URL"), _parameters(query, "url"), spec)


def _checked_url(url: str, whose: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or any(c.isspace() for c in url):
        raise UsageError(f"{whose} {_without_secrets(url)} is none of a server: write it as http://HOST:PORT/v1")
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            f"{whose} {_without_secrets(url)} may hold no password and no '?': the key goes into {URL_KEY}, "
            "parameters behind the model's name"
        )
    return url.rstrip("/")


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _ollama(host: str) -> str:
    """The address in OLLAMA_HOST, which is also written for the server: without scheme or port, or as 0.0.0.0."""
    host = host.strip() or "127.0.0.1:11434"
    url = _checked_url(host if "://" in host else f"http://{host}", "OLLAMA_HOST")
    parts = urlsplit(url)
    name = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::") else parts.netloc.removesuffix(f":{parts.port}")
    port = parts.port or (11434 if "://" not in host else {"http": 80, "https": 443}[parts.scheme])
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{name}:{port}{path if path.endswith('/v1') else path + '/v1'}"


def _parameters(query: str, provider: Provider) -> dict[str, Any]:
    known = _PARAMETERS[provider]
    parameters: dict[str, Any] = {}
    for piece in filter(None, query.split("&")):
        name, equals, value = piece.partition("=")
        name = unquote(name)
        if name not in known:
            rest = '; others go as extra={"NAME": VALUE}' if "extra" in known else ""
            raise UsageError(f"unknown parameter {name!r}{nearest(name, known)}; known are {', '.join(known)}{rest}")
        if name in parameters:
            raise UsageError(f"the parameter {name!r} is given twice")
        parameters[name] = _value(name, unquote(value) if equals else "true")
    if parameters.get("api", "chat") not in _APIS.get(provider, ("chat",)):
        raise UsageError(f"api is {' or '.join(_APIS[provider])}, not {parameters['api']!r}")
    return parameters


def _value(name: str, text: str) -> Any:
    """The value as JSON where it is JSON, else as text; checked against what the parameter takes."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = text
    if name in _WORDS:
        if not isinstance(value, str) or not value:
            raise UsageError(f"{name} is a word, not {text!r}")
        return value
    if name == "extra":
        if not isinstance(value, dict) or _OURS & value.keys() or "\\ud" in text.lower():
            raise UsageError(f'extra is a JSON object of further parameters, such as {{"min_p": 0.1}}, not {text!r}')
        return value
    low, high = {**_NUMBERS, **_COUNTS}[name]
    whole = name in _COUNTS
    sound = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not sound or not low <= value <= high or not math.isfinite(value):
        unit = " of seconds" if name in _DEADLINES else ""
        upto = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
        raise UsageError(f"{name} is a {'whole ' if whole else ''}number{unit} {upto}, not {text!r}")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _list() -> str:
    return ", ".join(FORMS[:-1]) + " or " + FORMS[-1]

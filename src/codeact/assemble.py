"""Names to objects: what a person types becomes a model, a sandbox, tools, a policy.

The only file that knows all adapters, by the tables below; each is imported when it is named, not before. A setting is
read from the command line, the environment, or the user's own configuration file; never from the working directory,
which may be somebody else's.
"""

from __future__ import annotations

import math
import os
import re
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from . import places
from .core.errors import SandboxUnavailable, UsageError, nearest
from .core.execution import ALL, NONE, Imports, Mount, Policy, only
from .installation import adding
from .stores import store as store

if TYPE_CHECKING:  # for the annotations alone: loading them takes long
    from .listeners.console import Console
    from .models.reach import Reach
    from .models.specs import Spec
    from .ports import Listener, Model, Sandbox, Tool
    from .sandboxes.linux.report import Report

_SANDBOXES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "linux": ("codeact.sandboxes.linux", "LinuxSandbox", {"ready": 2}),
    "linux-full": ("codeact.sandboxes.linux", "LinuxSandbox", {"require": "full", "ready": 2}),
    "wasm": ("codeact.sandboxes.wasm", "Wasm", {}),
    "unconfined": ("codeact.sandboxes.unconfined", "Unconfined", {}),
}
_SANDBOXES_OF_WORDS = {  # they are named together with what follows a colon
    "container": ("codeact.sandboxes.container", "Container", "container:IMAGE"),
    "command": ("codeact.sandboxes.command", "Command", "command:WORD..."),
}
DEFAULT_SANDBOX = "linux" if sys.platform == "linux" else "wasm"
FETCHED = {"wasm": "codeact.sandboxes.wasm.fetching"}  # sandboxes that need more than what is installed
SANDBOXES = (*_SANDBOXES, *(usage for _, _, usage in _SANDBOXES_OF_WORDS.values()))
WALLS = (*(name for name in _SANDBOXES if name != "unconfined"), *_SANDBOXES_OF_WORDS)  # none is never the nearest


def sandbox_name(text: str) -> str:
    """The text, if it names a sandbox."""
    name, _, words = text.partition(":")
    if text in _SANDBOXES:
        return text
    if name not in _SANDBOXES_OF_WORDS:
        raise UsageError(f"no sandbox {text!r}: there are {', '.join(SANDBOXES)}{nearest(name, WALLS)}")
    if not words.strip():
        raise UsageError(f"the sandbox {name!r} has to say more: {_SANDBOXES_OF_WORDS[name][2]}")
    return text


def sandbox(text: str) -> Sandbox:
    """The wall that `linux`, `container:IMAGE` or `command:ssh -T box python3` names."""
    name, _, words = sandbox_name(text).partition(":")
    made: Sandbox
    if name in _SANDBOXES_OF_WORDS:
        module, kind, _ = _SANDBOXES_OF_WORDS[name]
        made = getattr(import_module(module), kind).of(words)
        return made
    module, kind, settings = _SANDBOXES[name]
    if name.startswith("linux"):
        _only_on_linux()
    made = getattr(import_module(module), kind)(**settings)
    return made


def machine() -> Report:
    """What this machine gives to the sandbox `linux`, found by trying. Raises SandboxUnavailable elsewhere."""
    _only_on_linux()
    found: Report = import_module("codeact.sandboxes.linux.report").inspect()
    return found


def _only_on_linux() -> None:
    if sys.platform != "linux":
        mend = "Take the sandbox `wasm`, or run codeact in a Linux machine."
        raise SandboxUnavailable("kernel", f"this is {sys.platform}, not Linux", mend)


def fetch(name: str, tell: Callable[[str], None]) -> Path:
    """Get what this sandbox needs, once, and give its folder. `tell` hears a line for each step."""
    if name not in FETCHED:
        raise UsageError(f"nothing to fetch for {name!r}: there is {', '.join(FETCHED)}{nearest(name, FETCHED)}")
    folder: Path = import_module(FETCHED[name]).fetch(tell)
    return folder


def fetched() -> tuple[Path, bool]:
    """Where what `wasm` needs is kept, and whether it is there."""
    installation = import_module("codeact.sandboxes.wasm.installation")
    folder: Path = installation.place()
    return folder, installation.Installation(folder).is_whole()


def model(text: str) -> Model:
    """The model that a specification such as `openai:gpt-5?temperature=0` names."""
    spec: Spec = import_module("codeact.models.specs").parse(text)
    made: Model
    match spec.provider:
        case "replay":
            made = import_module("codeact.models.replay").ReplayModel(spec.name, **spec.params)
            return made
        case "transformers":
            kind = _of_an_extra("codeact.models.transformers", "TransformersModel", "transformers", spec)
            made = kind(spec.name, name=spec.text, device=spec.params.get("device"), parameters=spec.request)
            return made
        case "bridge":
            kind = _of_an_extra("codeact.models.bridge", "BridgeModel", "bridge", spec)
            made = kind(spec.name, name=spec.text, parameters=spec.request, **_waits(spec))
        case _:
            made = _behind_a_server(spec)
    if spec.per_minute is not None:
        made = import_module("codeact.models.limited").RateLimited(made, spec.per_minute)
    made = import_module("codeact.models.retrying").Retrying(made, spec.retries)
    return made


def keys() -> tuple[str, ...]:
    """The keys that are set here: what may stand in no file of ours."""
    found: tuple[str, ...] = import_module("codeact.models.specs").keys(os.environ)
    return found


def recording(model: Model, path: str, secrets: Sequence[str] = ()) -> Model:
    """The model, whose replies are kept in a new file that `replay:` reads; no key that is set here stands in it."""
    made: Model = import_module("codeact.models.recording").Recording(model, path, (*keys(), *secrets))
    return made


def _behind_a_server(spec: Spec) -> Model:
    place = import_module("codeact.models.specs").endpoint(spec, os.environ)
    settings = {"base_url": place.url, "name": spec.text, "parameters": spec.request, **_waits(spec)}
    if spec.provider == "ollama":
        made = import_module("codeact.models.ollama").OllamaModel(spec.name, **settings)
    else:
        settings |= {"key": place.key, "key_variable": place.key_variable, "headers": place.headers}
        if spec.api == "messages":
            made = import_module("codeact.models.anthropic").AnthropicModel(spec.name, **settings)
        else:
            made = import_module("codeact.models.openai").OpenAIModel(spec.name, api=spec.api, **settings)
    if made.warning is not None:
        warnings.warn(made.warning, stacklevel=3)
    asked: Model = made
    return asked


def _waits(spec: Spec) -> dict[str, Any]:
    return {"deadlines": import_module("codeact.models.server").Deadlines(**spec.deadlines)}


def _of_an_extra(module: str, kind: str, extra: str, spec: Spec) -> Any:
    """A model whose library is installed with an extra; without it, what to type."""
    try:
        return getattr(import_module(module), kind)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("codeact"):
            raise
        raise UsageError(f"{spec.text} needs the package {error.name}: {adding(extra)}") from None


def with_packages(
    policy: Policy, packages: Sequence[str], *, refresh: bool = False, tell: Callable[[str], None] | None = None
) -> Policy:
    """The policy, with these packages there for its Python: in an environment that holds nothing else, importable.

    They are installed now, unless they were before; `refresh` looks for newer versions. Raises UsageError.
    """
    if not packages:
        return policy
    if sys.platform == "win32":
        raise UsageError("packages: no sandbox of this platform has a Python that packages could be added to")
    base = import_module("codeact.sandboxes.linux.environment").find(policy.python)
    install = import_module("codeact.packages").install
    found = install(packages, base.executable, base.version, refresh=refresh, tell=tell)
    names = dict.fromkeys((*policy.imports.names, *found.modules))
    return replace(policy, python=found.python, imports=replace(policy.imports, names=tuple(names)))


def models_in_reach() -> Sequence[Reach]:
    """What could be asked from here: keys that are set, servers on this machine."""
    found: Sequence[Reach] = import_module("codeact.models.reach").providers_in_reach(os.environ)
    return found


def tool(value: object) -> Tool:
    """A function, or whatever else can be a tool, as one."""
    made: Tool = import_module("codeact.tools.function").as_tool(value)
    return made


def tools(specs: Iterable[str]) -> list[Tool]:
    """The tools that specifications such as `tools.py:weather`, `web_search` or `read_file:FOLDER` name, in order."""
    return [tool for spec in specs for tool in _of_toolbox(spec) or _of_file(spec)]


def _of_file(spec: str) -> list[Tool]:
    found: list[Tool] = import_module("codeact.tools.loading").load(spec, TOOLBOX)
    return found


TOOLBOX = ("ask_user", "fetch", "llm", "read_file", "visit_webpage", "web_search", "wikipedia_search")


def _of_toolbox(spec: str) -> list[Tool]:
    name, colon, argument = spec.partition(":")
    if name not in TOOLBOX:
        return []
    if name == "llm":
        made: Sequence[Tool] = import_module("codeact.tools.submodels").llm(model(argument) if argument else None)
        return [*made]
    if (name == "read_file") != bool(argument.strip()):
        more = (
            "it has to name its folder, read_file:FOLDER" if name == "read_file" else f"{name} takes nothing behind it"
        )
        raise UsageError(f"--tools {spec}: {more}")
    make = _extra(lambda: getattr(import_module("codeact.tools.toolbox"), name), "web")
    return [make(argument) if colon else make()]


def mcp_servers(servers: Any, seconds: float) -> AbstractAsyncContextManager[Sequence[Tool]]:
    """The MCP servers of a configuration, to be entered for their tools."""
    made: AbstractAsyncContextManager[Sequence[Tool]] = _extra(
        lambda: import_module("codeact.tools.mcp"), "mcp"
    ).Servers(servers, seconds)
    return made


def openapi_tools(source: Any, **given: Any) -> list[Tool]:
    """The tools of an OpenAPI document."""
    found: list[Tool] = _extra(lambda: import_module("codeact.tools.openapi"), "openapi").tools(source, **given)
    return found


def langchain_tool(tool: Any) -> Tool:
    """A LangChain tool as one of ours."""
    made: Tool = _extra(lambda: import_module("codeact.tools.langchain"), "langchain").adapted(tool)
    return made


def _extra(find: Callable[[], Any], extra: str) -> Any:
    """What is found with the help of a library that is an extra; without that a UsageError says what to type."""
    try:
        return find()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "codeact":
            raise
        raise UsageError(f"the package {error.name!r} is not installed here: {adding(extra)}") from None


def console(file: TextIO | None = None, *, out: Path | None = None, keep: bool = False) -> Console:
    """The listener that draws a run on a terminal, or writes it as plain text to a file; see `Console`."""
    made: Console = import_module("codeact.listeners.console").Console(file, out=out, keep=keep)
    return made


def shown() -> Listener:
    """What `show=True` draws with: the notebook, where this process is the kernel of one, else the console."""
    if "IPython" in sys.modules:
        notebook = import_module("codeact.listeners.notebook")
        if notebook.shell() is not None:
            drawn: Listener = notebook.Notebook()
            return drawn
    return console()


def named_object(place: str) -> Any:
    """What `FILE.py:NAME` names: the file runs here, as a module of its own."""
    path, _, name = place.rpartition(":")
    module = import_module("codeact.tools.loading").from_file(Path(path))
    if name not in vars(module):
        raise UsageError(f"{path}: there is no {name!r} in it{nearest(name, vars(module))}")
    return vars(module)[name]


_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:iB)?", re.IGNORECASE | re.ASCII)


def size(text: str | int) -> int:
    """Bytes of `512MiB`, `512M`, `2G` (binary units) or a plain number."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None or isinstance(text, bool):
        raise UsageError(f"not a size: {text!r}; write it as 512MiB, 512M, 2G (binary units) or in bytes")
    number = int(match[1]) << _UNITS[match[2].upper()]
    if number < 1:
        raise UsageError(f"not a size: {text!r}; it must be at least 1 byte")
    return number


def seconds(text: str | float) -> float:
    """A positive, finite number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"not a time: {text!r}; write it in seconds, such as 5 or 0.5")
    return number


def imports(text: str) -> Imports:
    """The policy of `numpy,pandas` (beside the base set), `all`, `none`, or `none,math,json` (exactly these)."""
    names = [name.strip() for name in text.split(",")]
    match names:
        case ["all"]:
            return ALL
        case ["none"]:
            return NONE
        case ["none", *rest]:
            return only(*_modules(rest, text))
        case _:
            return Imports(_modules(names, text))


def network(texts: Iterable[str]) -> tuple[str, ...]:
    """The hosts of `api.github.com,*.example.org:443`, said once or often; nothing said is none."""
    return tuple(host.strip() for text in texts for host in text.split(",") if host.strip())


def _modules(names: list[str], text: str) -> tuple[str, ...]:
    for name in names:
        if name in ("all", "none"):
            raise UsageError(f"not an import list: {text!r}; {name!r} stands {'alone' if name == 'all' else 'first'}")
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(
                f"not a module name: {name!r} in {text!r}; write numpy,pandas | all | none | none,math,json"
            )
    return tuple(dict.fromkeys(names))


def mount(given: str | os.PathLike[str] | Mount) -> Mount:
    """A folder that code is to see, by its whole path; what is not whole begins at the working directory."""
    one = given if isinstance(given, Mount) else Mount(os.fspath(given))
    if not isinstance(one.path, str) or not one.path or "\0" in one.path:
        raise UsageError(f"mounts: {given!r} names no folder")
    return replace(one, path=os.path.abspath(os.path.expanduser(one.path)))


def mount_of(text: str) -> Mount:
    """The folder of `PATH`, to read, or of `PATH:rw`, to change as well."""
    path, _, how = text.rpartition(":")
    return mount(Mount(path, how == "rw") if how in ("rw", "ro") and path else text)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user's configuration file may say."""

    model: str | None = None


def settings_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's configuration lies: `config.toml` in the user's folder of settings."""
    return places.config(environ) / "config.toml"


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The user's configuration; nothing when there is no file."""
    path = settings_path(environ)
    if not path.is_absolute():
        return Settings()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Settings()
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UsageError(f"{path}: {error}") from None
    for key, value in table.items():
        if key not in Settings.__slots__:
            raise UsageError(f"{path}: no setting {key!r}{nearest(key, Settings.__slots__)}")
        if not isinstance(value, str):
            raise UsageError(f"{path}: {key} must be a string, not {value!r}")
    return Settings(**table)


def choose_model(flag: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The specification to use: the flag, else `CODEACT_MODEL`, else the user's configuration, else None."""
    return flag or environ.get("CODEACT_MODEL") or settings(environ).model

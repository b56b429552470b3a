"""Packages that are not installed here, for code in the sandbox: an environment of their own, made by uv and kept.

```
<cache>/codeact/locks/ASKED.txt        what the requirements came to: exact versions and hashes
<cache>/codeact/environments/LOCKED/   an environment that holds exactly one such lock, and never changes
```
All of it happens on the host, so no stranger's code may run: only wheels are taken, nothing is built, and no Python is
started here with what was installed on its path (a `.pth` line is code). An environment is made in a temporary folder
and renamed into place when it is whole: two processes may make the same one, and a half-made one is never found.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from . import places
from .core.errors import UsageError

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_BOUND = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9][A-Za-z0-9.+!_*-]*"
_REQUIREMENT = re.compile(
    rf"\s*(?P<name>{_NAME})\s*(?:\[(?P<extras>\s*{_NAME}(?:\s*,\s*{_NAME})*\s*)\]\s*)?"
    rf"(?P<bounds>{_BOUND}(?:\s*,\s*{_BOUND})*)?\s*"
)
_FILES = (".whl", ".zip", ".gz", ".bz2", ".xz", ".tgz", ".tar", ".txt", ".toml", ".py", ".in")
_LONGEST = 200  # characters of a requirement
_PATIENCE = 1800.0  # seconds: the largest wheels are gigabytes
_TOLD = 2000  # characters of uv's words that are worth reading
# What would turn uv's eyes to another Python than the one it is given, or let it build.
_LEFT_OUT = ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_NO_BINARY", "UV_NO_BINARY_PACKAGE")
# How uv begins a sentence, in its two styles; a line that begins otherwise goes on with the one before.
_SENTENCE = re.compile(r"[ │]*(?P<start>error:|cause:|hint:|[×╰├][─▶]*)?\s*(?P<words>.*?)\s*")
_INSTALL_UV = f"uv is needed to install packages, and was not found: {sys.executable} -m pip install uv"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package by its name, as indexes spell it, with the extras and versions that are wanted."""

    name: str
    extras: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}{','.join(self.bounds)}"


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that holds what was asked for: its interpreter, and the modules of the packages asked for."""

    python: str
    modules: tuple[str, ...]


def requirement(text: str) -> Requirement:
    """`pandas`, `polars>=1` or `httpx[http2]>=0.27,<1`; a file, an address or anything else raises UsageError."""
    if not isinstance(text, str):
        raise TypeError(f"a package is named by a str such as 'pandas>=2', not by {type(text).__name__}")
    found = _REQUIREMENT.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or found["name"].lower().endswith(_FILES):
        raise UsageError(
            f"not a package: {text[:_LONGEST]!r}; write its name, with versions where they matter: pandas, 'polars>=1'"
        )
    extras = {_normal(extra) for extra in (found["extras"] or "").split(",") if extra.strip()}
    bounds = {re.sub(r"\s", "", bound) for bound in (found["bounds"] or "").split(",") if bound.strip()}
    return Requirement(_normal(found["name"]), tuple(sorted(extras)), tuple(sorted(bounds)))


def _normal(name: str) -> str:
    """A name as indexes spell it (PEP 503), which is never a path."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def install(
    packages: Sequence[str],
    python: str,
    version: tuple[int, ...],
    *,
    refresh: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Installed:
    """The environment of this Python that holds these packages and what they need, and nothing else.

    The same packages give the same environment again, without network; `refresh` resolves them anew. `tell` hears one
    line where something has to be fetched. Raises UsageError: what is no package, no uv, what uv could not do.
    """
    if isinstance(packages, str):
        raise TypeError(f"packages={packages!r}: write a list, packages=[{packages!r}]")
    asked = sorted({requirement(text) for text in packages}, key=str)
    # Wheels fit a Python by its version and build, and a machine.
    target = f"{os.path.realpath(python)} {'.'.join(map(str, version))} {sysconfig.get_platform()}"
    try:
        cache = places.cache()
        note = cache / "locks" / f"{_hash(*map(str, asked), target)}.txt"
        lock = None if refresh else _read(note)
        if lock is None:
            if tell:
                tell(f"resolving {', '.join(map(str, asked))}")
            lock = _resolve(asked, python, refresh)
            _write(note, lock)
        place = cache / "environments" / _hash(lock, target)
        if not place.joinpath("bin", "python").exists():
            if tell:
                tell(f"installing {', '.join(map(str, asked))}")
            _make(place, asked, lock, python)
    except OSError as error:
        where = error.filename or "XDG_CACHE_HOME"
        raise UsageError(f"packages cannot be kept in the cache: {where}: {error.strerror or error}") from None
    return Installed(str(place / "bin" / "python"), _modules(place, asked))


# -- the two things that uv does ---------------------------------------------------------------------------------------


def _resolve(asked: Sequence[Requirement], python: str, refresh: bool) -> str:
    """Exact versions with the hashes of their files."""
    words = ["pip", "compile", "--only-binary", ":all:", "--generate-hashes", "--no-header", "--no-annotate"]
    words += ["--python", python, *(["--refresh"] if refresh else []), "-"]
    with tempfile.TemporaryDirectory(prefix="codeact-") as folder:
        return _uv(words, folder, asked, "".join(f"{one}\n" for one in asked))


def _make(place: Path, asked: Sequence[Requirement], lock: str, python: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=place.parent) as folder:
        half = Path(folder, "environment")
        _uv(["venv", "--no-project", "--relocatable", "--python", python, str(half)], folder, asked)
        inside = str(half / "bin" / "python")
        words = ["pip", "sync", "--only-binary", ":all:", "--require-hashes", "--python", inside, "-"]
        _uv(words, folder, asked, lock)
        _compile(python, half)
        if place.is_dir() and not place.joinpath("bin", "python").exists():
            shutil.rmtree(place)  # its Python was replaced
        try:
            half.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was faster, and made the same
                raise


def _compile(python: str, environment: Path) -> None:
    """Write the bytecode, which a guest cannot: it reads only. uv would start the environment's Python for it, which
    runs the `.pth` lines of what was just installed; -S does not. What is no Python 3 source is left as it is."""
    words = [python, "-I", "-S", "-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    words.append(str(environment / "lib"))
    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False)


def _uv(words: Sequence[str], folder: str, asked: Sequence[Requirement], given: str = "") -> str:
    """What uv prints. It runs in an empty folder: the working directory may hold somebody else's settings for it."""
    uv = find_uv()
    if uv is None:
        raise UsageError(_INSTALL_UV)
    environ = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    environ |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    command = [uv, *words, "--quiet", "--color", "never"]
    try:
        done = subprocess.run(
            command,
            input=given.encode(),
            capture_output=True,
            cwd=folder,
            env=environ,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"packages: uv did not end within {_PATIENCE:.0f} seconds") from None
    if done.returncode:
        raise UsageError(complaint(done.stderr.decode("utf-8", "replace"), asked, folder))
    return done.stdout.decode()


def find_uv(environ: Mapping[str, str] = os.environ) -> str | None:
    """The program `uv`: on the PATH, beside the Python that runs us, or where a checkout's `./run` put it."""
    ours = [Path(sysconfig.get_path("scripts"), "uv"), Path(__file__).parents[2] / ".tools" / "bin" / "uv"]
    path = shutil.which("uv", path=environ.get("PATH", os.defpath))
    return path or next((str(one) for one in ours if os.access(one, os.X_OK) and one.is_file()), None)


def complaint(said: str, asked: Sequence[Requirement], folder: str) -> str:
    """One line: what was asked for that uv speaks of, and its words, without our folders and anybody's password."""
    said = said.replace(os.path.realpath(folder), "").replace(folder, "")
    said = re.sub(r"(//)[^/@\s]+@", r"\1", said)
    words = ""
    for line in filter(None, map(_SENTENCE.fullmatch, said.splitlines())):
        words = f"{words.rstrip('.:')}; {line['words']}" if line["start"] else f"{words} {line['words']}".rstrip()
    words = "".join(filter(str.isprintable, words)).strip(" ;.")
    guilty = [one for one in asked if re.search(rf"(?<![\w-]){re.escape(one.name)}(?![\w-])", words)] or asked
    named = ", ".join(str(one) for one in guilty)
    return f"packages: cannot install {named}: {words[:_TOLD] or 'uv failed without a word'}"


# -- what is kept ------------------------------------------------------------------------------------------------------


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _read(file: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(encoding="utf-8")
    return None


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, encoding="utf-8", delete=False) as half:
        half.write(text)
    os.replace(half.name, file)


def _modules(environment: Path, asked: Sequence[Requirement]) -> tuple[str, ...]:
    """The top-level modules that the packages asked for brought, by the lists of files in their metadata."""
    site = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    found = {
        module
        for one in asked
        for distribution in metadata.distributions(name=one.name, path=site)
        for file in distribution.files or ()
        if file.suffix in (".py", ".so")
        if (module := file.parts[0].partition(".")[0]).isidentifier() and not module.startswith("_")
        if len(file.parts) == 1 or "." not in file.parts[0]
    }
    return tuple(sorted(found))

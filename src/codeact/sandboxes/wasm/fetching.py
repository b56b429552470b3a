"""Get Deno from PyPI and Pyodide from npm, once, by pip and by Deno itself: their settings and keys are the user's.

Nothing is used whose hash is not in `pinned`. All is put together in a folder beside its place and renamed when it is
whole, so that two who fetch at once do not meet, and what is half there is never found.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ...core.errors import SandboxUnavailable
from . import pinned
from .installation import Installation, place

_PATIENCE = 1800.0  # seconds
_SYSTEMS = {"Darwin": "macOS"}  # as people call it


def fetch(tell: Callable[[str], None]) -> Path:
    """The folder that holds all of it, fetched now unless it was; `tell` hears a line for each step.

    Raises SandboxUnavailable: no such platform, no pip, no registry, a file that is not the one we know.
    """
    found = Installation(place())
    try:
        if not found.is_whole():
            _fetch(found.folder, tell)
        if not found.memory.exists():
            tell("starting Python once, to start from its memory later")
            _forget_older(found.folder)
            found.freeze()
    except OSError as error:
        where = error.filename or found.folder
        raise SandboxUnavailable("wasm", f"{where}: {error.strerror or error}", "Set XDG_DATA_HOME.") from None
    return found.folder


def _fetch(folder: Path, tell: Callable[[str], None]) -> None:
    _hash_of_platform()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as making:
        half = Installation(Path(making, "whole"))
        half.pyodide.mkdir(parents=True)
        tell(f"deno {pinned.DENO} from PyPI")
        _unpack(_wheel(Path(making)), half.deno)
        tell(f"pyodide {pinned.PYODIDE} from npm")
        _copy(_package(half.deno, Path(making)), half.pyodide)
        if folder.exists() and not Installation(folder).is_whole():
            shutil.rmtree(folder)
        with suppress(OSError):  # another process was faster, and fetched the same
            half.folder.rename(folder)
    if not Installation(folder).is_whole():
        raise SandboxUnavailable("wasm", f"{folder} cannot be filled", "Remove it, and try again.")


def _hash_of_platform() -> str:
    name = f"{_SYSTEMS.get(platform.system(), platform.system())} {platform.machine()}"
    try:
        return pinned.DENO_WHEELS[name]
    except KeyError:
        known = ", ".join(pinned.DENO_WHEELS)
        raise SandboxUnavailable("wasm", f"there is no Deno for {name}: there is for {known}", _OTHER) from None


_OTHER = "Take another sandbox, such as `container:IMAGE`."


# -- Deno --------------------------------------------------------------------------------------------------------------


def _wheel(folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    wheels = folder / "wheels"
    wanted.write_text(f"deno=={pinned.DENO} --hash=sha256:{_hash_of_platform()}\n", encoding="ascii")
    words = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    _run([*_pip(), *words, "--dest", str(wheels), "--requirement", str(wanted)], _for_pip(os.environ), folder)
    found = list(wheels.glob("deno-*.whl"))
    if len(found) != 1 or _hash(found[0]) != _hash_of_platform():
        raise SandboxUnavailable("wasm", "pip gave another wheel than the one that is pinned", "Try again.")
    return found[0]


def _pip() -> Sequence[str]:
    """pip, of this Python or by uv or as a program."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    uv, pip = shutil.which("uv"), shutil.which("pip3") or shutil.which("pip")
    if uv is None and pip is None:
        raise SandboxUnavailable("wasm", "neither pip nor uv is here", f"{sys.executable} -m ensurepip")
    return [uv, "tool", "run", "pip"] if uv is not None else [str(pip)]


def _for_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """The index that uv was told of is pip's too, where pip was told of none."""
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    own = {"PIP_INDEX_URL": index} if index and "PIP_INDEX_URL" not in environ else {}
    return {**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", **own}


def _unpack(wheel: Path, program: Path) -> None:
    """The one file that we want, whatever else is in there."""
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.getinfo(f"deno-{pinned.DENO}.data/scripts/{program.name}")
        if inside.file_size > pinned.DENO_BYTES:
            raise SandboxUnavailable("wasm", f"a program of {inside.file_size:,} bytes", "Try again.")
        with archive.open(inside) as source, program.open("xb") as target:
            shutil.copyfileobj(source, target)
    program.chmod(0o755)


# -- Pyodide -----------------------------------------------------------------------------------------------------------


def _package(deno: Path, folder: Path) -> Path:
    """The package, as Deno unpacks it into a cache of its own."""
    cache = folder / "cache"
    registry = {name.upper(): value for name, value in os.environ.items() if name.lower() == "npm_config_registry"}
    environ = {**os.environ, **registry, "DENO_DIR": str(cache), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    _run([str(deno), "cache", "--quiet", "--no-lock", f"npm:pyodide@{pinned.PYODIDE}"], environ, folder)
    found = list(cache.glob(f"npm/**/pyodide/{pinned.PYODIDE}/package.json"))
    if len(found) != 1:
        raise SandboxUnavailable("wasm", "Deno did not get pyodide from npm", "Try again.")
    return found[0].parent


def _copy(package: Path, folder: Path) -> None:
    for name, wanted in pinned.PYODIDE_FILES.items():
        if _hash(package / name) != wanted:
            raise SandboxUnavailable("wasm", f"npm gave another {name} than the one that is pinned", "Try again.")
        shutil.copyfile(package / name, folder / name)


def _run(words: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
    try:
        done = subprocess.run(
            words,
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable("wasm", f"{words[0]}: {error}", "Try it by hand.") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        cause = next((line for line in said if line.lower().startswith("error")), said[-1] if said else "")
        mend = "Is the registry in reach? PIP_INDEX_URL and npm_config_registry name others."
        raise SandboxUnavailable("wasm", f"{Path(words[0]).name}: {cause[:300]}", mend)


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _forget_older(folder: Path) -> None:
    for memory in folder.glob("guest-*.memory"):
        with suppress(OSError):
            memory.unlink()

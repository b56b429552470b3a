"""What was fetched, and how it is started: the program, Python as WebAssembly, and the memory that guests start from.

```
<data>/codeact/wasm/DENO-PYODIDE/
    deno                 the program; deno.exe on Windows
    pyodide/             five files of the package
    guest-HASH.memory    Python with the guest of this codeact loaded, made here
```
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ... import places
from ...core.errors import SandboxUnavailable
from ..child import GUEST
from . import pinned

HERE = Path(__file__).parent
MEND = "Run `codeact fetch wasm` once, where the package registries can be reached."
_PROGRAM = "deno.exe" if sys.platform == "win32" else "deno"
_PATIENCE = 300.0  # seconds, to start Python without a memory to start from, on a busy machine
_LEAST_MEMORY = 1 << 20  # bytes
# All rights are refused, but for reading these files; the flags are the wall.
_REFUSALS = tuple(f"--deny-{right}" for right in ("net", "env", "sys", "run", "write", "ffi", "import"))
_CLOSED = ("--no-prompt", "--no-remote", "--cached-only", "--no-npm", "--no-config", "--no-lock", *_REFUSALS)
_ENVIRON = {"DENO_NO_UPDATE_CHECK": "1", "DENO_WEBGPU_BACKEND": "none", "NO_COLOR": "1"}


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder that holds all that a guest needs."""

    folder: Path

    @property
    def deno(self) -> Path:
        """The program."""
        return self.folder / _PROGRAM

    @property
    def pyodide(self) -> Path:
        """Python as WebAssembly."""
        return self.folder / "pyodide"

    @property
    def memory(self) -> Path:
        """What guests of this codeact start from."""
        return self.folder / f"guest-{_guest()}.memory"

    def is_whole(self) -> bool:
        """Whether all files are there; they were checked when they were fetched."""
        return self.deno.is_file() and all((self.pyodide / name).is_file() for name in pinned.PYODIDE_FILES)

    def argv(self, program: str, reads: tuple[Path, ...], *words: Path, flags: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The words that run one of the programs beside this file, which may read these places and nothing else."""
        places = [str(place) for place in (HERE, self.pyodide, *reads)]
        if any("," in place for place in places):
            raise SandboxUnavailable("wasm", f"a comma in {', '.join(places)}", "Move codeact, or set XDG_DATA_HOME.")
        return (
            *(str(self.deno), "run", "--quiet", *_CLOSED, f"--allow-read={','.join(places)}", *flags),
            str(HERE / program),
            *(place.as_uri() + ("/" if place.is_dir() else "") for place in (self.pyodide, *words)),
        )

    def environ(self) -> dict[str, str]:
        """All of the environment that Deno is started with: nothing of the caller's, no graphics card, no cache.

        A cache would outlive a session; there is none below a file. Windows starts no program without its own place.
        """
        theirs = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        return {**_ENVIRON, "DENO_DIR": str(self.deno / "none"), **theirs}

    def freeze(self) -> None:
        """Make the memory that guests start from, unless it is there. Raises SandboxUnavailable."""
        if self.memory.exists():
            return
        half = None
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".making-", delete=False) as file:
                half = Path(file.name)
                argv = self.argv("freeze.mjs", (GUEST,), GUEST)
                done = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.PIPE,
                    env=self.environ(),
                    cwd=self.folder,
                    timeout=_PATIENCE,
                    check=False,
                )
            if done.returncode or half.stat().st_size < _LEAST_MEMORY:
                words = done.stderr.decode("utf-8", "replace").strip().splitlines()
                told = [line for line in words if line and not line.startswith((" ", "\t"))]
                raise SandboxUnavailable("wasm", f"deno: {told[-1] if told else done.returncode}", MEND)
            try:
                half.replace(self.memory)
            except OSError:  # as on Windows, where another process was faster, and uses its own
                if not self.memory.exists():
                    raise
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxUnavailable("wasm", f"Python does not start: {error}", MEND) from None
        finally:
            if half is not None:
                with suppress(OSError):
                    half.unlink(missing_ok=True)


def place(environ: Mapping[str, str] = os.environ) -> Path:
    """Where it is kept, by the versions of both."""
    return places.data(environ) / "wasm" / f"{pinned.DENO}-{pinned.PYODIDE}"


def find() -> Installation:
    """What was fetched. Raises SandboxUnavailable, saying how to get it."""
    found = Installation(place())
    if not found.is_whole():
        raise SandboxUnavailable("wasm", f"Deno and Pyodide are not in {found.folder}", MEND)
    return found


@functools.cache
def _guest() -> str:
    """What the memory is made of, beside Pyodide."""
    files = sorted([*GUEST.glob("*.py"), *HERE.glob("*.mjs")], key=lambda file: file.name)
    content = hashlib.sha256()
    for file in files:
        content.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()[:16]

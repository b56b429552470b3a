"""The installed command, run as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CODEACT = str(Path(sys.executable).parent / "codeact")


@dataclass(frozen=True)
class Done:
    """How it ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's, with nothing of ours in it."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color", **more}


def codeact(*words: str, home: Path, stdin: bytes | None = None, cwd: Path | None = None, **more: str) -> Done:
    """Run `codeact WORDS`; without `stdin` there is nothing to read."""
    done = subprocess.run(
        [CODEACT, *words],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=60,
        check=False,
        cwd=cwd or home,
        env=environment(home, **more),
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

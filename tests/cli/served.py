"""`codeact serve` as a user starts it, and a client that has its token."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .command import CODEACT, environment


@contextmanager
def served(*words: str, home: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and what it said until it served."""
    command = [CODEACT, "serve", "--port", "0", *words]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home, env=environment(home, **more)
    ) as process:
        assert process.stderr is not None
        said = ""
        try:
            for line in process.stderr:
                said += line
                if "Ctrl-C" in line:
                    break
            yield process, said
        finally:
            process.kill()


def asking(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=20)

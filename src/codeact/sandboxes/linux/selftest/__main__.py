"""Loaded by the launcher as every guest is; hears what there is to try, tells what came of it, and ends."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import sys
from collections.abc import Sequence


def prepare(path: Sequence[str]) -> None:
    """Nothing is needed of the site's packages."""


def practise() -> None:
    """There is nothing that it does twice."""


def serve(channel: int) -> None:
    """Answer one question: a JSON object of `level`, `others` and `unwritable`, as in `probes.Targets`."""
    line = socket.socket(fileno=channel)
    asked = json.loads(line.recv(1 << 16))
    probes = sys.modules["codeact_linux.probes"]  # the session that this runs in has loaded it
    targets = probes.Targets(scratch=os.getcwd(), descriptors=frozenset({channel}), **asked)
    line.sendall(json.dumps([dataclasses.asdict(probe) for probe in probes.canaries(targets)]).encode())

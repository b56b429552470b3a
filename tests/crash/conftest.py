"""Where the runs lie that are killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = "/dev/shm"
ROOM = 1 << 30  # bytes; less may not hold the journals of some hundred runs


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is room: what a killed process wrote is the kernel's, on no disk more than here.

    What has to reach the disk is told by `test_power.py`, from the calls themselves.
    """
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)

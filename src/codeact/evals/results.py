"""What came of a task, and the file that keeps it: a line of JSON each, so that an evaluation can be taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..core.errors import UsageError

_KIND = "codeact evaluation"


@dataclass(frozen=True, slots=True)
class Result:
    """One task, done by one form of action. Tokens are None where the server did not tell."""

    task: str
    domain: str
    action: str
    solved: bool
    answer: str | None
    stop_reason: str
    turns: int
    calls: int  # of tools
    input_tokens: int | None
    output_tokens: int | None
    input_bytes: int  # of all that the model read, summed over the turns
    output_bytes: int  # of all that it wrote
    seconds: float
    error: str | None = None
    answered: bool = True  # whether the model could be asked; a task where it could not is given again


class Results:
    """The results of one evaluation, each kept in its file as soon as it is there.

    The first line says of what they are; a file of other results is refused, and never written to.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = dict(settings)
        self._found: dict[tuple[str, str], Result] = {}
        self._new = True
        self._broken = False  # whether the last line was cut off
        self._read()

    def of(self, task: str, action: str) -> Result | None:
        """What came of this task, if it counts."""
        return self._found.get((task, action))

    def all(self) -> list[Result]:
        """Every result that counts, in the order in which they came."""
        return list(self._found.values())

    def add(self, result: Result) -> None:
        """Keep it: on disk first."""
        lines = [{"kind": _KIND, **self._settings}] if self._new else []
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (*lines, asdict(result)))
        if self._new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if self._broken else "") + text)
            file.flush()
            os.fsync(file.fileno())
        self._new = self._broken = False
        self._keep(result)

    def clear(self) -> None:
        """Forget them all, on disk too."""
        self.path.unlink(missing_ok=True)
        self._found, self._new, self._broken = {}, True, False

    def _keep(self, result: Result) -> None:
        if result.answered:
            self._found[result.task, result.action] = result

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.path} cannot be read: {error}") from None
        if not text.strip():
            return
        self._new, self._broken = False, not text.endswith("\n")
        first, *rest = text.splitlines()
        self._check(_line(first))
        known = {field.name for field in fields(Result)}
        for line in map(_line, rest):
            if line.keys() == known:  # a line that was cut off is as if it were not there
                self._keep(Result(**line))

    def _check(self, settings: dict[str, Any]) -> None:
        """Refuse a file that holds something else, and say what."""
        if settings.pop("kind", None) != _KIND:
            raise UsageError(f"{self.path} holds no results of an evaluation: name another file with --out")
        for key, value in self._settings.items():
            if settings.get(key) != value:
                told = f"its {key} is {settings.get(key)!r}, not {value!r}"
                raise UsageError(f"{self.path} holds another evaluation ({told}): name another file with --out")


def _line(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

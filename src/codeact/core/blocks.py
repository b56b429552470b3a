"""What a reply is made of: its blocks of code, its prose, and how far it was the model's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["thinking", "prose", "code"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a reply, for whoever draws it; the marks around code and thinking are left out."""

    kind: Kind
    text: str


@dataclass(slots=True)
class Block:
    """A block: its tag (`python` for all Python's names, empty for none), its lines, and how it ended."""

    tag: str
    lines: list[str] = field(default_factory=list)
    closed: bool = False
    turn: bool = False  # a line in it looks like another speaker's turn: of weight where the block was never closed

    @property
    def source(self) -> str:
        """The code as it is run: newlines are LF, the fence's indent is gone, nothing else is changed."""
        return "".join(self.lines)


@dataclass(slots=True)
class Found:
    """All that a reply held."""

    blocks: list[Block] = field(default_factory=list)
    said: list[str | Block] = field(default_factory=list)  # prose, with blocks of other languages, and Python's blocks
    thought: bool = False
    thinking: bool = False  # that never ended
    recalled: bool = False  # there were blocks before a `</think>` that nothing had opened: they were thinking
    turn: str = ""  # how another speaker's turn began
    dropped: bool = False  # more followed it

    @property
    def prose(self) -> str:
        """What stands outside of Python's blocks."""
        return "".join(part for part in self.said if isinstance(part, str))

"""The blocks in a reply: one line scanner, which gives the same whether the text comes whole or in any pieces.

    prose ─┬─ ```python  <code> ──> block ──── ```  </code> ──> prose
           ├─ <think> ────────────> thinking ─ </think> ──────> prose
           └─ Observation: ───────> over: another speaker's turn, which the model made up

Fences follow CommonMark (length, tilde, indentation, list items, info string). Beyond it: a run of backticks is never
legal Python outside a string or a comment, so there it always ends the block; inside one it does not, if a later fence
makes the code whole. Until that is known the lines are held back: what was given out as code stays code.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .blocks import Block, Found, Kind, Piece
from .marks import (
    BARE,
    FENCE,
    ITEM,
    LATE_FENCE,
    PYTHON,
    REOPENS,
    TAG,
    THINKING,
    THOUGHT,
    THOUGHT_LINE,
    TURN,
    TURN_AFTER_CODE,
    amid_words,
    columns,
    dedent,
    ends_thinking,
    indent_of,
    language,
    line_of,
)
from .source import LOOK, Closer, Hit, Strings, compiles

PATIENCE = 1 << 20  # characters of a reply that may be held back in vain


@dataclass(slots=True)
class _Open:
    """The block that is being read: `whole` is a line that is nothing but its end."""

    block: Block
    indent: int
    whole: re.Pattern[str]
    closer: Closer
    tagged: bool  # by <code>, not by a fence
    begun: bool = False  # a line that is not blank was read
    strings: Strings = field(default_factory=Strings)


_Line: TypeAlias = tuple[str, int, str]  # a line, where in it to begin, and its end: a newline or nothing


class Reader:
    """Reads a reply as it comes. `feed` and `close` give the pieces that are certain; then `found` is whole."""

    def __init__(self) -> None:
        self.found = Found()
        self._pieces: list[Piece] = []
        self._partial: list[str] = []
        self._first = True
        self._carriage = False
        self._queue: deque[_Line] = deque()
        self._mode: Literal["prose", "thinking", "over"] = "prose"
        self._open: _Open | None = None
        self._held: list[_Line] = []
        self._held_size = 0
        self._held_hit = Hit(0, 0, sure=False)
        self._patience = PATIENCE
        self._thinks_in_turn = False
        self._coded = False  # a block of Python was read
        self._item = 0  # the column where a list item's text begins

    @property
    def blocks(self) -> list[Block]:
        """Those that were read so far, and the one that is being read."""
        return self.found.blocks if self._open is None else [*self.found.blocks, self._open.block]

    def feed(self, text: str) -> list[Piece]:
        """More of the reply."""
        if self._first and text:
            self._first = False
            text = text.removeprefix("\ufeff")
        if self._carriage:
            text = "\r" + text
        self._carriage = text.endswith("\r")
        *lines, rest = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            self._partial.append(line)
            self._queue.append(("".join(self._partial), 0, "\n"))
            self._partial.clear()
        if rest:
            self._partial.append(rest)
        return self._drain()

    def close(self) -> list[Piece]:
        """The reply is over."""
        if self._carriage or self._partial:
            self._queue.append(("".join(self._partial), 0, "\n" if self._carriage else ""))
        pieces = self._drain()
        while self._open is not None and self._held:
            if not self._open.strings.open and self._is_whole(self._open, ""):
                self._accept(self._open)
            else:
                self._fall_back(self._open)
            pieces += self._drain()
        if self._open is not None:
            self._keep(self._open.block)
        self.found.thinking = self._mode == "thinking"
        return pieces

    def _drain(self) -> list[Piece]:
        while self._queue:
            line, at, end = self._queue.popleft()
            if self._open is not None:
                self._in_block(self._open, line, at, end)
            elif self._mode == "prose":
                self._in_prose(line, at, end)
            elif self._mode == "thinking":
                self._in_thinking(line, at, end)
            else:
                self._in_other_turn(line, at, end)
        pieces, self._pieces = self._pieces, []
        return pieces

    def _again(self, line: str, at: int, end: str) -> None:
        self._queue.appendleft((line, at, end))  # what is left of a line is read next

    def _say(self, kind: Kind, text: str) -> None:
        if text:
            self._pieces.append(Piece(kind, text))

    def _prose(self, text: str) -> None:
        self.found.said.append(text)
        self._say("prose", text)

    def _in_thinking(self, line: str, at: int, end: str) -> None:
        mark = THINKING.search(line, at)
        stop = mark.end() if mark else len(line)
        if mark is None:
            self._say("thinking", line[at:] + end)
            return
        self._say("thinking", line[at : mark.start() if mark["ends"] else stop])
        if mark["ends"]:
            self._mode = "prose"
        self._again(line, stop, end)

    def _in_prose(self, line: str, at: int, end: str) -> None:
        if (turn := self._turn(line, at)) is not None:
            self._mode = "over"
            self.found.turn = turn[0].strip()
            self._say("prose", turn[0])
            self._again(line, turn.end(), end)
        elif (fence := self._fence(line, at)) is not None:
            self._begin(fence, line[at:] + end)
        elif (tag := TAG.match(line, at)) is not None and not amid_words(tag, line):
            close = f"</{tag['tag']}>"
            self._open = _Open(Block(PYTHON), 0, line_of(close), _closer(close), tagged=True)
            if line[tag.end() :].strip():
                self._again(line, tag.end(), end)
        elif (mark := THINKING.search(line, at)) is not None:
            self._prose(line[at : mark.start()])
            if mark["begins"]:
                self._mode = "thinking"
                self.found.thought = True
            else:
                self._recall()
            self._again(line, mark.end(), end)
        elif (fence := LATE_FENCE.match(line, at)) is not None:
            self._begin(fence, line[at:] + end)
        else:
            if (item := ITEM.match(line, at)) is not None:
                self._item = columns(item[0])
            elif line[at:].strip() and not line[at].isspace():
                self._item = 0
            self._prose(line[at:] + end)

    def _in_other_turn(self, line: str, at: int, end: str) -> None:
        """What follows a made-up turn is dropped, unless it was all thinking, as its end shows."""
        mark = THINKING.search(line, at)
        if mark is not None and mark["ends"] and not self._thinks_in_turn:
            self._say("prose", line[at : mark.start()])
            self._mode = "prose"
            self._recall()
        else:
            self.found.dropped = self.found.dropped or bool(line[at:].strip())
            self._say("prose", line[at : mark.end()] if mark else line[at:] + end)
            if mark is not None:
                self._thinks_in_turn = mark["begins"] is not None
        if mark is not None:
            self._again(line, mark.end(), end)

    def _recall(self) -> None:
        """A `</think>` that nothing opened: the prompt had, and all so far was thinking."""
        self.found.recalled = self.found.recalled or bool(self.found.blocks)
        self.found.thought = True
        self.found.turn, self.found.dropped, self._coded = "", False, False
        self.found.blocks.clear()
        self.found.said.clear()

    def _thought_all(self, line: str, at: int, end: str) -> None:
        """Thinking ended within a block: the block was thought too."""
        self._open = None
        self._again(line, at, end)  # where prose will find the end, and recall what was
        self.found.recalled = True

    def _turn(self, line: str, at: int) -> re.Match[str] | None:
        found = TURN.match(line, at)
        if found is None and self._coded:
            found = TURN_AFTER_CODE.match(line, at)
        return found

    def _fence(self, line: str, at: int) -> re.Match[str] | None:
        fence = FENCE.match(line, at)
        if fence is None or fence["before"].strip() or columns(fence["before"]) <= self._item + 3:
            return fence
        return None  # markdown's other kind of code, which is indented: no fence

    def _begin(self, fence: re.Match[str], line: str) -> None:
        part = fence.groupdict()
        ticks = part["ticks"]
        tag = language(part["info"] if ticks else part["words"])
        run = f"`{{{len(ticks)},}}+" if ticks else f"~{{{len(part['tildes'])},}}+"
        # a run of tildes is an operator of Python: it ends the block only where nothing else is on the line
        closer = f"(?<!`){run}" if ticks else rf"(?<![^ \t]){run}(?=[ \t]*$)"
        self._open = _Open(Block(tag), columns(part.get("before") or ""), line_of(run), _closer(closer), tagged=False)
        if tag != PYTHON:
            self._prose(line)

    def _in_block(self, opened: _Open, line: str, at: int, end: str) -> None:
        if opened.block.tag not in (PYTHON, BARE):
            self._in_other(opened, line[at:], end)
        elif opened.strings.open and not self._held and (whole := opened.whole.match(line, at)) is not None:
            self._doubt(opened, line, at, end, Hit(whole.end() - len(whole[0].lstrip()), whole.end(), sure=False))
        elif opened.tagged and not opened.begun and FENCE.match(line, at):
            self._open = None  # a fence inside the tag: the fence counts
            self._again(line, at, end)
        else:
            self._in_code(opened, line, at, end)

    def _in_other(self, opened: _Open, line: str, end: str) -> None:
        if THOUGHT_LINE.match(line):
            self._thought_all(line, 0, end)
            return
        self._prose(line + end)
        if opened.whole.match(line):
            self._shut(opened, "", "")
        else:
            opened.block.lines.append(line + end)

    def _in_code(self, opened: _Open, line: str, at: int, end: str) -> None:
        if not opened.strings.open and line[:1] not in "#*_ \t" and "=" not in line and TURN.match(line):
            opened.block.turn = True
        hit = opened.strings.read(line, at, opened.closer)
        sure = hit is not None and (hit.sure or ends_thinking(line, hit.start))
        if self._held:
            self._in_doubt(opened, line, at, end, hit if sure else None)
        elif hit is None:
            self._code(opened, line[at:], end)
        elif sure:
            self._close_at(opened, line, at, end, hit)
        else:
            self._doubt(opened, line, at, end, hit)

    def _doubt(self, opened: _Open, line: str, at: int, end: str, hit: Hit) -> None:
        """A fence in a string or a comment ends the block, unless the code is whole without that."""
        if self._patience > 0:
            self._held, self._held_size, self._held_hit = [(line, at, end)], len(line), hit
        else:
            self._close_at(opened, line, at, end, hit)

    def _in_doubt(self, opened: _Open, line: str, at: int, end: str, hit: Hit | None) -> None:
        """The first fence that stands free decides: no later one could be legal."""
        if hit is not None and self._is_whole(opened, line[at : hit.start]):
            self._accept(opened)
            self._close_at(opened, line, at, end, hit)
            return
        self._held.append((line, at, end))
        self._held_size += len(line) + 1
        if hit is not None or self._held_size > min(LOOK, self._patience):
            self._fall_back(opened)

    def _is_whole(self, opened: _Open, last: str) -> bool:
        held = "".join(dedent(line[at:], opened.indent) + end for line, at, end in self._held)
        return compiles(opened.block.source + held + dedent(last, opened.indent))

    def _accept(self, opened: _Open) -> None:
        held, self._held = self._held, []
        for line, at, end in held:
            self._code(opened, line[at:], end)

    def _fall_back(self, opened: _Open) -> None:
        """The first fence did end the block; what came after it is read anew."""
        (line, at, end), *rest = self._held
        self._held = []
        self._patience -= self._held_size
        self._queue.extendleft(reversed(rest))
        self._close_at(opened, line, at, end, self._held_hit)

    def _code(self, opened: _Open, line: str, end: str) -> None:
        if not opened.begun and line.strip():
            opened.begun = True
            opened.indent = min(opened.indent, indent_of(line))  # code that is not indented with its fence stays
            line = line.removeprefix("\ufeff")
        text = dedent(line, opened.indent) + end
        opened.block.lines.append(text)
        if opened.block.tag == PYTHON:
            self._say("code", text)
        else:
            self._prose(text)

    def _close_at(self, opened: _Open, line: str, at: int, end: str, hit: Hit) -> None:
        start, stop, _ = hit
        if ends_thinking(line, hit.start):
            self._thought_all(line, start, end)
            return
        alone = not line[at:start].strip()
        if not alone:
            self._code(opened, line[at:start], "\n")
        rest = line[stop:]
        self._shut(opened, line[start:stop], end)
        if rest.strip():
            reopens = alone and not opened.tagged and REOPENS.match(rest)
            self._again(line, start if reopens else stop, end)

    def _shut(self, opened: _Open, fence: str, end: str) -> None:
        opened.block.closed = True
        self._keep(opened.block)
        if opened.block.tag == BARE:
            self._prose(fence + end)

    def _keep(self, block: Block) -> None:
        self._open = None
        self.found.blocks.append(block)
        if block.tag == PYTHON:
            self._coded = True
            self.found.said.append(block)


@functools.lru_cache(maxsize=64)
def _closer(pattern: str) -> Closer:
    """What ends a block, and the end of thinking, which is not legal in code either."""
    return Closer(f"{pattern}|{THOUGHT}")

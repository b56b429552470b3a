"""How much of the conversation the model is shown: what it weighs, what gives way when there is no room, and in which
order.

Results of old cells give way first, each to a pointer that names the variables which hold what it made; then the oldest
turns, to a summary by the model; at the very last the newest result is cut. Words of the user never give way: they are
marked where they stand. All at once down to half of the room, so that the start of the prompt, which a provider keeps
in its cache, changes rarely.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from . import names, weight
from .changing import changed as replace
from .messages import Image, Message, Text, say
from .observations import SHOWN, user_said
from .pointers import cut as cut_short
from .pointers import holders, of_call, of_cell, seen_once, summary

Kind: TypeAlias = Literal["words", "result", "summary"]

_LEAST = 40  # tokens of a result that a pointer would not make shorter
_PLAUSIBLE = (0.3, 3.5)  # what a server's count may be of ours; anything else is no count of tokens
_RESERVE = 8192  # tokens at most that are left for the reply, where we know how long prompt and reply may be together
_TURNS = 4  # the newest turns, that a summary leaves as they are where there is room


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands at a place of the conversation: `words` of the user's, the `result` of a cell, or a `summary`.

    `said` are the user's words in it, beside other text. Of a cell `bound` are all names that it binds, `made` those
    that it leaves (None: not read off its source yet), and `complete` is how many of its statements ran to their end
    (None: all of them). `short` is what gave way already.
    """

    place: int
    kind: Kind
    said: tuple[str, ...] = ()
    cell: int = 0
    source: str = ""
    complete: int | None = None
    bound: frozenset[str] = frozenset()
    made: tuple[str, ...] | None = None
    short: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """The weight of a conversation in tokens of our own estimate, and what stands where in it."""

    fixed: int = 0  # weight of what stands before the conversation: the system prompt, the tools
    weight: int = 0  # of the messages
    weighed: int = 0  # how many those are
    marks: tuple[Mark, ...] = ()
    pictured: tuple[int, ...] = ()  # places of pictures that no reply has seen yet
    scale: float = 1.0  # tokens of the server's count to one of ours
    told: int | None = None  # tokens of prompt and reply that the model says it can see
    refused: int | None = None  # tokens that were found to be too many
    refusals: int = 0  # in a row
    gone: int = 0  # replies that are no longer shown, or never were

    @property
    def tokens(self) -> int:
        """How long the prompt is, as far as we know."""
        return int((self.fixed + self.weight) * self.scale)

    def room(self, given: int | None) -> int | None:
        """How long the prompt may be, by what the user said, the model tells, and was refused; None: nobody knows."""
        told = None if self.told is None else self.told - min(self.told // 4, _RESERVE)
        learned = None if self.refused is None else self.refused * 3 // 4
        known = [one for one in (given, told, learned) if one is not None]
        return min(known) if known else None

    def compared(self, counted: int | None) -> Window:
        """With what the server counted for this very prompt."""
        ours = self.fixed + self.weight
        if not counted or not ours or not _PLAUSIBLE[0] <= counted / ours <= _PLAUSIBLE[1]:
            return self
        return replace(self, scale=counted / ours)

    def overflowed(self) -> Window:
        """With the lesson that a prompt of this length was refused."""
        return replace(self, refused=self.tokens, refusals=self.refusals + 1)


def grown(window: Window, messages: Sequence[Message], marks: Sequence[Mark] = ()) -> Window:
    """With what was said since it was last weighed."""
    new = messages[window.weighed :]
    pictured = [place for place, message in enumerate(new, window.weighed) if _has_picture(message)]
    return replace(
        window,
        weight=window.weight + sum(map(weight.of_message, new)),
        weighed=len(messages),
        marks=(*window.marks, *marks),
        pictured=(*window.pictured, *pictured),
    )


def _weighed_again(window: Window, messages: Sequence[Message], marks: Sequence[Mark]) -> Window:
    return grown(replace(window, weight=0, weighed=0, marks=(), pictured=()), messages, marks)


def _has_picture(message: Message) -> bool:
    return any(isinstance(part, Image) for part in message.parts)


# -- pictures ----------------------------------------------------------------------------------------------------------


def looked_at(messages: tuple[Message, ...], window: Window) -> tuple[tuple[Message, ...], Window]:
    """Without the pictures, which a reply has seen now. They stand at the end, so that little before it changes."""
    if not window.pictured:
        return messages, window
    kept = list(messages)
    lighter = 0
    for place in window.pictured:
        old = kept[place]
        parts = tuple(part for part in old.parts if isinstance(part, Text))
        kept[place] = replace(old, parts=(*parts, Text("\n" + seen_once(len(old.parts) - len(parts)))))
        lighter += weight.of_message(old) - weight.of_message(kept[place])
    return tuple(kept), replace(window, weight=window.weight - lighter, pictured=())


# -- pointers ----------------------------------------------------------------------------------------------------------


def _newest(messages: Sequence[Message]) -> int:
    """Where the newest turn begins: the last reply, and what came of it."""
    place = len(messages) - 1
    while place > 0 and messages[place].role != "assistant":
        place -= 1
    return place


def gives_way(messages: Sequence[Message], window: Window) -> bool:
    """Whether there are results that a pointer can stand for."""
    newest = _newest(messages)
    return any(_can_give_way(mark, messages, newest) for mark in window.marks)


def _can_give_way(mark: Mark, messages: Sequence[Message], newest: int) -> bool:
    if mark.kind != "result" or mark.short or mark.place >= newest:
        return False
    return weight.of_message(messages[mark.place]) > _LEAST


def pointed(
    messages: tuple[Message, ...], window: Window, goal: int, alive: Collection[int], known: Collection[str]
) -> tuple[tuple[Message, ...], Window]:
    """With pointers in place of old results, the oldest first, until the prompt has `goal` tokens.

    `alive` are the cells whose effects are in the namespace, `known` the names that are there.
    """
    newest = _newest(messages)
    kept = list(messages)
    marks = []
    tokens = window.fixed + window.weight
    read = list(map(_read, window.marks))
    held = holders(read, alive, known)
    for mark in read:
        if tokens * window.scale > goal and _can_give_way(mark, kept, newest):
            old = kept[mark.place]
            new = replace(old, parts=(Text(with_words(_pointer(mark, old, held), mark)),))
            lighter = weight.of_message(old) - weight.of_message(new)
            if lighter > 0:
                kept[mark.place] = new
                tokens -= lighter
            marks.append(replace(mark, short=True))
        else:
            marks.append(mark)
    return tuple(kept), _weighed_again(window, kept, marks)


def _read(mark: Mark) -> Mark:
    """With what its cell made, which is read off its source once, and not before somebody wants to know."""
    if not mark.cell or mark.made is not None:
        return mark
    return replace(mark, made=names.made(mark.source, mark.complete), source="")


def _pointer(mark: Mark, message: Message, held: Mapping[int, tuple[str, ...]]) -> str:
    return of_cell(message, held.get(mark.cell, ())) if mark.cell else of_call(message)


def with_words(text: str, mark: Mark) -> str:
    """The text that stands for a result, with the words of the user that stood in it."""
    return "\n\n".join((text, *map(user_said, mark.said)))


# -- the newest result -------------------------------------------------------------------------------------------------


def _last_result(messages: Sequence[Message], window: Window) -> Mark | None:
    results = [mark for mark in window.marks if mark.kind == "result" and mark.place >= _newest(messages)]
    heaviest = max(results, key=lambda mark: len(messages[mark.place].text), default=None)
    return heaviest if heaviest is not None and not heaviest.short else None


def can_be_cut(messages: Sequence[Message], window: Window) -> bool:
    """Whether the newest result is long enough to be cut."""
    mark = _last_result(messages, window)
    return mark is not None and len(messages[mark.place].text) > SHOWN // 6


def cut(messages: tuple[Message, ...], window: Window, goal: int) -> tuple[tuple[Message, ...], Window]:
    """With a part of the newest result, so much that the prompt may have `goal` tokens, and never nothing."""
    mark = _last_result(messages, window)
    if mark is None:
        return messages, window
    old = messages[mark.place]
    shown = old.text.removesuffix(with_words("", mark))
    spare = max(0, int(goal / window.scale) - (window.fixed + window.weight) + weight.of_text(shown))
    room = max(SHOWN // 6, min(len(shown) // 2, 3 * spare))
    text = with_words(cut_short(shown, room), mark)
    kept = [*messages]
    kept[mark.place] = replace(old, parts=(Text(text), *(part for part in old.parts if isinstance(part, Image))))
    marks = [replace(one, short=True) if one is mark else one for one in window.marks]
    return tuple(kept), _weighed_again(window, kept, marks)


# -- a summary ---------------------------------------------------------------------------------------------------------


def upto(messages: Sequence[Message], window: Window, goal: int) -> int | None:
    """Before which reply a summary may end: some of the newest turns stay, where they fit; None: nothing to sum up."""
    replies = [place for place, message in enumerate(messages) if message.role == "assistant"]
    words = {mark.place for mark in window.marks if mark.kind != "result"}
    best = None
    tail = 0.0
    end = len(messages)
    for place in replies[: -_TURNS - 1 : -1]:
        tail += sum(map(weight.of_message, messages[place:end])) * window.scale
        end = place
        if best is not None and tail > goal / 2:
            break
        if any(one not in words for one in range(place)):
            best = place
    return best


def _is_said(text: str, messages: Sequence[Message]) -> bool:
    return any(text in message.text for message in messages)


def summed_up(
    messages: tuple[Message, ...], window: Window, end: int, text: str, known: Collection[str], plan: str
) -> tuple[tuple[Message, ...], Window]:
    """With a summary in place of what stands before `end`; the words of the user stay, and the plan."""
    kept: list[Message] = []
    marks: list[Mark] = []
    for mark in window.marks:
        if mark.place >= end:
            continue
        if mark.said:
            message = say("user", "\n\n".join(map(user_said, mark.said)))
        elif mark.kind == "words":
            message = messages[mark.place]
        else:
            continue
        marks.append(Mark(len(kept), "words", mark.said))
        kept.append(message)
    marks.append(Mark(len(kept), "summary"))
    kept.append(say("user", summary(text, known, "" if plan and _is_said(plan, messages[end:]) else plan)))
    moved = len(kept) - end
    marks += [replace(mark, place=mark.place + moved) for mark in window.marks if mark.place >= end]
    gone = sum(message.role == "assistant" for message in messages[:end]) + 1  # the summary is a reply, too
    kept += messages[end:]
    return tuple(kept), _weighed_again(replace(window, gone=window.gone + gone), kept, marks)

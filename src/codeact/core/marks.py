"""The marks a reply is divided by: fences, tags, thinking, and the turns of other speakers that a model makes up.

Every pattern is read from one place of one line and never twice over the same characters, so no reply is slow to read.
"""

from __future__ import annotations

import functools
import re

PYTHON = "python"
BARE = ""

_PYTHON_TAGS = {"python", "py", "python3"}

FENCE = re.compile(
    r"(?P<before>[ \t]*+(?:(?:[-*+]|\d{1,9}[.)])[ \t]++)*)"  # the indent, or the marker of a list item
    r"(?:(?P<ticks>`{3,})(?P<info>[^`]*)|(?P<tildes>~{3,})(?P<words>.*))$"
)
LATE_FENCE = re.compile(
    r"[ \t]*+[^`\s][^`]*+(?P<ticks>```)(?P<info>(?:python3?|py)[ \t]*)$", re.IGNORECASE
)  # `Code: ```python`
REOPENS = re.compile(r"[ \t]*+(?:[\w{}.+#-]++[ \t]*$|(?:python3?|py)\b)", re.IGNORECASE)  # an info string
ITEM = re.compile(r"[ \t]*+(?:[-*+]|\d{1,9}[.)])[ \t]++")
TAG = re.compile(r"[ \t]*+<(?P<tag>code|execute)>", re.IGNORECASE)
_TAG_END = re.compile(r"</(?:code|execute)>", re.IGNORECASE)

_THINK = r"<(?:think|thinking|thought|reasoning)>|\[THINK\]|◁think▷"
THOUGHT = r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]|◁/think▷"
THOUGHT_LINE = re.compile(rf"[ \t]*+(?:{THOUGHT})[ \t]*$", re.IGNORECASE)
THINKING = re.compile(  # but not where it is quoted as inline code
    rf"(?<!(?<!`)`)(?:(?P<begins>{_THINK})|(?P<ends>{THOUGHT}))", re.IGNORECASE
)

TURN = re.compile(
    r"[#*_ \t]*+(?:observations?(?: \d{1,3})?|user|human|system|execution (?:results?|outputs?|logs?)"
    r"|(?:tool|function)(?: call)? (?:results?|outputs?|response))[*_]*+[ \t]*+[:：]"
    r"|[ \t]*+(?:<\|(?:im_start|start_header_id)\|>(?!assistant)|<start_of_turn>(?!model)|\[INST\]"
    r"|<\|(?:user|system|observation)\|>|<\|(?:im_end|eot_id|endoftext|end)\|>|<end_of_turn>|</s>)",
    re.IGNORECASE,
)
TURN_AFTER_CODE = re.compile(  # before the code these would be the model's own words, or speak of what it was told
    r"[#*_ \t]*+outputs?[*_]*+[ \t]*+[:：]|cell \d+ (?:ran|raised|was|gave)\b"
    r"|<(?:stdout|stderr|value|error) [0-9a-f]+>",
    re.IGNORECASE,
)

TOOL_CALL = re.compile(
    r"[ \t]*+(?P<form><tool_calls?>|<function_calls?>|<function=[^>]*>|<invoke\b|<tool_use>|<\|python_tag\|>"
    r"|<\|tool_call|<｜tool▁calls?▁begin｜>|\[TOOL_CALLS\]|<\|channel\|>|action[ _]input:)",
    re.IGNORECASE,
)


def language(info: str) -> str:
    """The tag of an info string, in lower case: ` Py title=x`, `{.python}` and `py:main.py` are all `python`."""
    word = info.split(maxsplit=1)[0] if info.strip() else ""
    tag = re.split(r"[:,{}]", word.strip("{}."), maxsplit=1)[0].lower()[:40]
    return PYTHON if tag in _PYTHON_TAGS else tag


def columns(indent: str) -> int:
    """The width of an indent, or of a list marker with its space; a tab goes to the next multiple of four."""
    return len(indent.expandtabs(4))


def indent_of(line: str) -> int:
    """How far a line is indented."""
    return columns(line[: len(line) - len(line.lstrip(" \t"))])


def dedent(line: str, width: int) -> str:
    """The line without up to `width` columns of its indent, as CommonMark has it for what an indented fence holds."""
    at = column = 0
    while at < len(line) and column < width:
        step = 1 if line[at] == " " else 4 - column % 4 if line[at] == "\t" else width
        if column + step > width or line[at] not in " \t":
            break
        at, column = at + 1, column + step
    return line[at:]


def amid_words(tag: re.Match[str], line: str) -> bool:
    """`<code>x</code>` at the head of a sentence is a word, not a block."""
    close = _TAG_END.search(line, tag.end())
    return close is not None and bool(line[close.end() :].strip())


def ends_thinking(line: str, at: int) -> bool:
    """Whether what ends a block here is neither its fence nor its tag, but the end of thinking."""
    return line[at] not in "`~" and not _TAG_END.match(line, at)


@functools.lru_cache(maxsize=64)
def line_of(pattern: str) -> re.Pattern[str]:
    """A line that is nothing else."""
    return re.compile(rf"[ \t]*{pattern}[ \t]*$", re.IGNORECASE)

"""How a reply becomes an action: what streams is what runs, nothing is slow, nothing is guessed."""

from __future__ import annotations

import ast
import itertools
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codeact.core.actions import Action, Code, Nothing, Piece, Reader, parse, read, stops
from codeact.core.messages import Finish, NativeCall, Reply

from .test_actions_corpus import CASES, Case

PARTS = [
    *(
        "```python\n",
        "```\n",
        "```py\n",
        "````python\n",
        "````\n",
        "~~~python\n",
        "~~~\n",
        "```bash\n",
        "  ```python\n",
    ),
    *(
        "<code>",
        "</code>",
        "<execute>\n",
        "</execute>\n",
        "<think>",
        "</think>",
        "<reasoning>\n",
        "Observation:",
        "User: x\n",
    ),
    *(
        "x = 1\n",
        "  y = 2\n",
        "s = '''",
        "'''\n",
        '"""',
        "'",
        '"',
        "# it's ",
        "\\",
        "print(1)",
        "- ",
        "1. ",
        "\n",
        "\r",
        "\r\n",
    ),
    *(
        " ",
        "\t",
        "\ufeff",
        "\0",
        "`",
        "``",
        "```",
        "~",
        "\ud800",
        "hello",
        '{"name": "w", "arguments": {}}',
        "<|im_end|>",
    ),
]
texts = st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=24).map("".join)


def joined(pieces: list[Piece]) -> list[tuple[str, str]]:
    """The pieces with neighbours of one kind made one."""
    return [
        (kind, "".join(piece.text for piece in group))
        for kind, group in itertools.groupby(pieces, lambda piece: piece.kind)
    ]


def read_in(parts: list[str]) -> tuple[Reader, list[Piece]]:
    reader = Reader()
    pieces = [piece for part in parts for piece in reader.feed(part)]
    return reader, pieces + reader.close()


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


@given(texts, st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=200, deadline=None)
def test_however_a_reply_is_cut_it_streams_as_the_same_pieces(text: str, places: list[int]) -> None:
    whole, pieces = read_in([text])
    parts, streamed = read_in(cut(text, places))
    assert joined(streamed) == joined(pieces)
    assert parts.found == whole.found


@given(texts)
@settings(max_examples=300, deadline=None)
def test_character_by_character_is_the_same_as_whole(text: str) -> None:
    assert joined(read_in(list(text))[1]) == joined(read_in([text])[1])


@given(texts)
@example("```python\n<code>```python\n```python\n\n```python\nhello")
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_and_what_streams_as_code_is_what_runs(text: str) -> None:
    action = parse(text)
    reader, pieces = read_in([text])
    code = "".join(piece.text for piece in pieces if piece.kind == "code")
    tagged = any(block.tag == "python" and block.source.strip() for block in reader.found.blocks)
    if isinstance(action, Code) and tagged and not reader.found.recalled:
        assert "".join(code.split()) == "".join(action.source.split())
        assert code.startswith(action.source) or code.endswith(action.source)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus_streams_as_it_runs(case: Case) -> None:
    action = parse(case.reply)
    reader, pieces = read_in(list(case.reply))
    assert joined(pieces) == joined(read_in([case.reply])[1])
    if isinstance(action, Code) and any(block.tag == "python" for block in reader.found.blocks):
        code = "".join(piece.text for piece in pieces if piece.kind == "code")
        assert code.strip("\n").endswith(action.source.strip("\n"))


def test_a_line_of_code_is_given_out_as_soon_as_it_is_whole() -> None:
    reader = Reader()
    assert reader.feed("I add.\n```python\nx = 1\ny") == [Piece("prose", "I add.\n"), Piece("code", "x = 1\n")]
    assert reader.feed(" = 2\n") == [Piece("code", "y = 2\n")]


def test_a_fence_in_a_string_is_held_back_until_it_is_known_to_be_one() -> None:
    reader = Reader()
    reader.feed('```python\ns = """\n')
    assert reader.feed("```\nnot yet known\n") == []
    assert "".join(piece.text for piece in reader.feed('"""\n```\n')) == '```\nnot yet known\n"""\n'


@pytest.mark.parametrize(
    ("begin", "end"), [("```python\n", "```"), ("~~~py\n", "~~~"), ("<code>\n", "</code>"), ("```py\n", "")]
)
def test_real_code_comes_out_as_it_went_in(begin: str, end: str) -> None:
    """Whatever strings and comments it holds: a part of the standard library, whole."""
    files = sorted(Path(ast.__file__).parent.glob("*.py"))[::4]
    assert len(files) > 30
    for file in files:
        source = file.read_text(encoding="utf-8")
        action = parse(f"Here it is.\n{begin}{source}{end}")
        assert isinstance(action, Code), file
        assert action.source == source, file


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", Code("x = 1\n", said="```python\nx = 1\n```")),
        ("tool_calls", Code("x = 1\n", said="```python\nx = 1\n```")),
        ("unknown", Code("x = 1\n", said="```python\nx = 1\n```")),
        ("length", Nothing("incomplete", said="```python\nx = 1\n```")),
        ("content_filter", Nothing("refused", said="```python\nx = 1\n```")),
    ],
)
def test_a_reply_that_was_cut_off_or_withheld_never_runs(finish: Finish, expected: Action) -> None:
    assert parse("```python\nx = 1\n```", finish=finish) == expected


def test_an_open_block_runs_only_where_the_model_ended_it_itself() -> None:
    reply = "```python\nx = 1"
    assert parse(reply, finish="stop") == Code("x = 1", said="```python\nx = 1\n```")
    assert parse(reply, finish="unknown") == Nothing("unclosed", said=reply)


def test_every_stop_string_leaves_a_block_that_runs() -> None:
    for stop in stops("fence"):
        assert parse(("```python\nx = 1" + stop).partition(stop)[0]).said == "```python\nx = 1\n```"


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("\ufeff```python\nx = 1\n```", "x = 1\n"),
        ("\ufeff~~~python\nx = 1\n~~~", "x = 1\n"),
        ("```python\n\ufeffx = 1\n```", "x = 1\n"),
        ("```python\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\ny = 2\n"),
        ("```python\rx = 1\r```\r", "x = 1\n"),
        ("```python\nx =\u00a01\n```", "x =\u00a01\n"),
        ("```python\nif x:\n\u00a0\u00a0\u00a0\u00a0y = 1\n```", "if x:\n\u00a0\u00a0\u00a0\u00a0y = 1\n"),
        ("```python\nif x:\n\ty = 1\n        z = 1\n```", "if x:\n\ty = 1\n        z = 1\n"),
        ("```python\nx = 1\f\ny = 2\x0b\n```", "x = 1\f\ny = 2\x0b\n"),
        ("```python\nx = \u201cy\u201d\n```", "x = \u201cy\u201d\n"),
        ("```python\nx\u200d = 1\n```", "x\u200d = 1\n"),
        ("```python\nx = 1\x1a\n```", "x = 1\x1a\n"),
        ("```python\nx = 1\u2028y = 2\n```", "x = 1\u2028y = 2\n"),
    ],
)
def test_line_ends_and_a_byte_order_mark_are_made_plain_and_nothing_else(given: str, source: str) -> None:
    assert parse(given) == Code(source, said=f"```python\n{source}```")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("```python\nx = 'a\0b'\n```", "U+0000 at line 1, column 7"),
        ("```python\nx = 1\ny = '\ud83d'\n```", "U+D83D at line 2, column 6"),
    ],
)
def test_what_no_source_may_hold_is_named_with_its_place(given: str, where: str) -> None:
    action = parse(given)
    assert isinstance(action, Nothing)
    assert (action.kind, action.detail) == ("character", where)


def test_a_plain_string_without_its_end_holds_nothing_back() -> None:
    pieces = Reader().feed('```python\nprint("hello)\n```\nbye\n')
    assert pieces == [Piece("code", 'print("hello)\n'), Piece("prose", "bye\n")]


def test_more_code_than_the_host_parses_is_left_to_the_sandbox_to_judge() -> None:
    broken = "x = 1\n" * 50_000 + "x = ("
    assert isinstance(parse("```python\n" + broken), Code)
    assert isinstance(parse("```python\n" + broken[-100:]), Nothing)


def test_a_word_behind_a_fence_that_ends_a_line_of_code_is_a_word_and_not_a_tag() -> None:
    assert parse("```python\nx = 1``` Done\n") == Code("x = 1\n", said="```python\nx = 1\n```\n Done")


def test_a_native_tool_call_without_code_is_named() -> None:
    reply = Reply("", tool_calls=(NativeCall("1", "weather", '{"city": "Oslo"}'),), finish="tool_calls")
    assert read(reply) == Nothing("tool_call", "weather")
    assert isinstance(read(Reply("```python\nx = 1\n```", tool_calls=reply.tool_calls)), Code)


def test_code_in_the_reasoning_channel_is_not_even_looked_at() -> None:
    assert read(Reply("", reasoning="```python\nnever()\n```")) == Nothing("empty")


def test_what_the_model_dropped_or_thought_is_not_told_to_it_again() -> None:
    action = parse("<think>secret</think>Now:\n```python\nx = 1\n```\nObservation: 1\nUser: more")
    assert action.said == "Now:\n```python\nx = 1\n```"
    assert action == Code(
        "x = 1\n", ("All from 'Observation:' on was dropped: you wrote it, it did not happen.",), action.said
    )


def test_a_warning_of_the_parser_is_neither_shown_nor_taken_for_an_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(parse('```\nx = "\\d"\n```'), Code)


HARD = {
    "10 MiB of code": ("```python\n" + ("x = " + "1 + " * 25 + "1\n") * 100_000 + "```", "code"),
    "a line of 5 MiB": ("```python\nx = '" + "a" * (5 << 20) + "'\n```", "code"),
    "a line of 5 MiB of backslashes": ("```python\nx = '" + "\\\\" * (5 << 19) + "'\n```", "code"),
    "100,000 parentheses": ("```\n" + "(" * 100_000 + ")" * 100_000 + "\n```", "untagged"),
    "a sum of 100,000 terms": ("```\n" + "+".join(["1"] * 100_000) + "\n```", "code"),
    "100,000 signs": ("```\n" + "-" * 100_000 + "1\n```", "code"),
    "more code than the host parses, unclosed": ("```python\n" + "x = 1\n" * 50_000, "code"),
    "50,000 blocks": ("```python\nx\n```\n" * 50_000, "code"),
    "50,000 blocks of another language": ("```sh\nx\n```\nand\n" * 50_000, "language"),
    "20,000 blocks that each leave a string open": ('```python\n\\"""\n```\n' * 20_000, "code"),
    "100,000 fences inside one string": ('```python\ns = """\n' + "```\n" * 100_000, "code"),
    "300,000 thoughts on a line": ("<think></think>" * 300_000, "thinking"),
    "300,000 ends of thoughts": ("</think>" * 300_000, "thinking"),
    "300,000 beginnings of thoughts": ("<think>" * 300_000, "thinking"),
    "200,000 thoughts in a turn made up": ("User: " + "<think></think>" * 200_000, "turn"),
    "300,000 quoted ends of thoughts": ("`</think> " * 300_000, "prose"),
    "20,000 late ends of thoughts": ("```python\nx\n</think>\n" * 20_000, "thinking"),
    "3 MiB of spaces": (" " * (3 << 20) + "x", "prose"),
    "3 MiB of stars": ("*" * (3 << 20), "prose"),
    "3 MiB of backticks": ("`" * (3 << 20) + "x`", "prose"),
    "a fence of 100,000 and lines just short of it": (
        "`" * 100_000 + "python\n" + ("x" + "`" * 99_999 + "y\n") * 20 + "`" * 100_000,
        "code",
    ),
    "a comment of fences that do not end it": ("```python\n#" + "``` " * 500_000 + "x\n```", "code"),
    "a run of backticks in a comment": ("```python\n#" + "`" * 1_000_000 + "x\n```", "code"),
    "a number of a million digits as a list item": ("1" * 1_000_000 + ". ", "prose"),
    "a hundred thousand list markers": ("- " * 100_000, "prose"),
    "half a million braces": ("{" * 500_000, "prose"),
    "deep JSON": ('{"a":' * 50_000, "prose"),
}


@pytest.mark.parametrize("name", HARD)
def test_no_reply_is_slow_to_read(name: str) -> None:
    reply, expected = HARD[name]
    began = time.process_time()
    action = parse(reply)
    spent = time.process_time() - began
    assert ("code" if isinstance(action, Code) else action.kind) == expected
    assert spent < 10, f"{spent:.1f} s of processor time"

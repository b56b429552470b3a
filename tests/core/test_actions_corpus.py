"""Two hundred replies in the manner of many models: what is run of each, and why nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from codeact.core.actions import Code, Nothing, parse


@dataclass(frozen=True)
class Case:
    name: str
    reply: str
    source: str
    notes: tuple[str, ...]
    kind: str


def read_case(text: str) -> Case:
    name, *lines = text.split("\n")
    reply, run, given, notes, kind = [], [], [], [], ""
    for line in lines:
        mark, body = line[:1], line[2:]
        match mark:
            case "|":
                reply.append(body)
            case ">":
                reply.append(body)
                run.append(body)
            case "+":
                given.append(body)
            case "!":
                notes.append(body)
            case "=":
                kind = body
            case "":
                pass
            case _:
                raise ValueError(f"{name}: {line!r} has no mark")
    assert kind, f"{name}: nothing is expected of it"
    return Case(name, "\n".join(reply), "\n".join(given or run), tuple(notes), kind)


def corpus() -> list[Case]:
    cases = []
    for file in sorted(Path(__file__).with_name("replies").glob("*.txt")):
        cases += [read_case(text.removeprefix("# ")) for text in file.read_text().split("\n\n# ")]
    return cases


CASES = corpus()


def test_the_corpus_is_as_large_as_we_say() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_reply_of_the_corpus_is_read_as_expected(case: Case) -> None:
    action = parse(case.reply)
    match action:
        case Code():
            assert case.kind == "code"
            assert action.source.strip("\n") == case.source.strip("\n")
            for note in case.notes:
                assert note in "\n".join(action.notes)
        case Nothing():
            assert f"{action.kind} {action.detail}".strip() == case.kind


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_line_ends_of_windows_and_of_old_macs_change_nothing(case: Case) -> None:
    for end in ("\r\n", "\r"):
        assert parse(case.reply.replace("\n", end)) == parse(case.reply)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_model_reads_of_itself_is_read_as_the_same_cell(case: Case) -> None:
    action = parse(case.reply)
    again = parse(action.said)
    if isinstance(action, Code) and isinstance(again, Code):
        assert again.source.strip("\n") == action.source.strip("\n")
    else:
        assert type(again) is type(action)

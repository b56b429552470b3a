"""When an answer counts as the expected one: as a reader would say, and as the paper's program does."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.evals.checking import same
from codeact.evals.m3tooleval.checking import verbatim


@pytest.mark.parametrize(
    ("answer", "expected", "right", "right_in_the_paper"),
    [
        (615, 615, True, True),
        ("615", 615, True, True),
        ("615.0", 615, True, True),
        ("$1,050", 1050, True, False),
        ("about 615", 615, False, False),
        (616, 615, False, False),
        (True, 1, False, False),
        ("nan", 615, False, False),
        ([615], 615, False, False),
        (380.42, 380.41999999999996, True, False),
        ("380.42", 380.41999999999996, True, False),
        ("380.41999999999996", 380.41999999999996, True, True),
        (380.43, 380.41999999999996, False, False),
        (237.94, 237.942, True, False),
        ("161", 161.25, False, True),
        (161.25, 161.25, True, True),
        (8100, 8100.0, True, True),
        ("UUU", "UUU", True, True),
        (" 'UUU' ", "UUU", True, True),
        ("'UUU'", "UUU", True, True),
        ("uuu", "UUU", False, False),
        (3, "3", False, True),
        (False, False, True, True),
        ("False", False, True, True),
        ("false", False, True, False),
        ("True", False, False, False),
        (0, False, False, True),
        ([36380.0, 48150.0], [36380.0, 48150.0], True, True),
        ([36380, 48150], [36380.0, 48150.0], True, False),
        ("36380.0, 48150.0", [36380.0, 48150.0], True, False),
        ("[36380.0, 48150.0]", [36380.0, 48150.0], True, True),
        ([36380.0], [36380.0, 48150.0], False, False),
        (["A", 3], ("A", 3), True, False),
        ("('A', 3)", ("A", 3), True, True),
        ({"C": 2, "T": 1}, {"T": 1, "C": 2}, True, False),
        ("{'T': 1, 'C': 2}", {"T": 1, "C": 2}, True, True),
        ({"T": 1}, {"T": 1, "C": 2}, False, False),
        (None, 615, False, False),
        ("(" * 10_000, [1], False, False),
    ],
)
def test_an_answer_is_right_where_it_says_the_value(
    answer: Any, expected: Any, right: bool, right_in_the_paper: bool
) -> None:
    assert same(answer, expected) is right
    assert verbatim(answer, expected) is right_in_the_paper

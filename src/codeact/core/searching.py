"""Search in words: which of many named things some words are about. Pure Python, built once, a millisecond a question.

Words are compared by their stems. A word that nothing has is taken for the nearest ones: a beginning, a typing error.
"""

from __future__ import annotations

import difflib
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TypeAlias

Entry: TypeAlias = tuple[str, str, str, Sequence[str]]  # group, name, documentation, names of parameters

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_IDLE = """
a an the of to in into for on at and or with by from my me i is are be how do does can that this it its all some
please want need tool tools function
"""
_ALIKE = (
    "create open add new make insert register",
    "delete remove destroy drop erase cancel",
    "list show get fetch read view retrieve find search query lookup browse",
    "update edit change modify set patch rename alter",
    "send post submit deliver message notify mail",
    "run execute start launch trigger begin",
    "stop end close finish terminate",
    "copy duplicate clone",
    "picture image photo",
    "user person member account",
    "bug issue ticket",
    "folder directory",
    "meeting event appointment",
)
_NAME, _FIRST, _GROUP, _PARAMETER, _REST = 6.0, 3.0, 2.0, 1.0, 0.8  # what a word weighs, by where it stands
_READ = 400  # characters of documentation, beyond the first line
_WORDS = 16  # of a question


class Index:
    """An index of entries; `ranked` gives their places."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._count = len(entries)
        self._where: dict[str, dict[int, float]] = {}
        self._names: list[frozenset[str]] = []
        for place, (group, name, doc, parameters) in enumerate(entries):
            first, _, rest = doc.strip().partition("\n")
            words = list(stems(name))
            self._names.append(frozenset(words))
            self._add(place, _REST, stems(rest[:_READ]))
            self._add(place, _PARAMETER, stems(" ".join(parameters)))
            self._add(place, _GROUP, stems(group))
            self._add(place, _FIRST, stems(first[:_READ]))
            self._add(place, _NAME, words)

    def _add(self, place: int, weight: float, words: Iterable[str]) -> None:
        for word in words:
            self._where.setdefault(word, {})[place] = weight  # the weightiest place comes last

    def ranked(self, query: str) -> list[int]:
        """The places of what the words are about, the best first; what is as good stays in its order."""
        asked = list(dict.fromkeys(stems(query[:400])))
        words = [word for word in asked if word not in _IDLE_STEMS][:_WORDS] or asked[:_WORDS]
        few = [word for word in words if len(self._where.get(word, ())) <= self._count / 2]
        words = few or words  # what half of them have tells little, and takes long
        scores: dict[int, float] = {}
        heard: Counter[int] = Counter()
        named: dict[int, set[str]] = {}
        for word in words:
            for place, (score, meant) in self._scored(word).items():
                scores[place] = scores.get(place, 0.0) + score
                heard[place] += 1
                if meant in self._names[place]:
                    named.setdefault(place, set()).add(meant)
        for place in scores:
            scores[place] *= heard[place] / len(words)
            scores[place] *= 1 + len(named.get(place, ())) / max(1, len(self._names[place]))
        return sorted(scores, key=lambda place: (-scores[place], place))

    def _scored(self, word: str) -> dict[int, tuple[float, str]]:
        """What each place scores for one word of a question, and the word that it has for it."""
        best: dict[int, tuple[float, str]] = {}
        for meant, likeness in self._meant(word):
            there = self._where[meant]
            rare = math.log(1 + self._count / len(there))
            for place, weight in there.items():
                score = weight * likeness * rare
                if place not in best or best[place][0] < score:
                    best[place] = (score, meant)
        return best

    def _meant(self, word: str) -> list[tuple[str, float]]:
        """The words of the index that a word may mean, and how sure that is."""
        if word in self._where:
            alike = [(one, 0.6) for one in _ALIKE_STEMS.get(word, ()) if one in self._where and one != word]
            return [(word, 1.0), *alike]
        alike = [(one, 0.6) for one in _ALIKE_STEMS.get(word, ()) if one in self._where]
        return alike or self._near(word)

    def _near(self, word: str) -> list[tuple[str, float]]:
        if len(word) < 3:
            return []
        start = bisect_left(self._sorted, word)
        longer = [(one, 0.7) for one in self._sorted[start : start + 20] if one.startswith(word)]
        if longer:
            return longer
        shared: Counter[str] = Counter()
        for pair in _pairs(word):
            shared.update(self._by_pair.get(pair, ()))
        likely = [one for one, _ in shared.most_common(40)]
        near = [(one, difflib.SequenceMatcher(None, word, one).ratio()) for one in likely]
        return sorted([(one, 0.8 * ratio) for one, ratio in near if ratio >= 0.72], key=lambda pair: -pair[1])[:3]

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._where)

    @cached_property
    def _by_pair(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for word in self._sorted:
            for pair in _pairs(word):
                found.setdefault(pair, []).append(word)
        return found


def _pairs(word: str) -> set[str]:
    return {word[at : at + 2] for at in range(len(word) - 1)}


def stems(text: str) -> Iterator[str]:
    """The words of a text, as they are compared: `createIssues` and `creating an issue` have the same two."""
    return (_stem(word) for word in _WORD.findall(text))


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    """
    >>> [_stem(word) for word in ("Issues", "creating", "create", "stopped", "queries", "class")]
    ['issu', 'creat', 'creat', 'stop', 'query', 'class']
    """
    word = word.lower()
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, least in (("ing", 6), ("ed", 5)):
        if len(word) >= least and word.endswith(ending):
            word = word[: -len(ending)]
            return word[:-1] if word[-1] == word[-2] and word[-1] not in "lsz" else word
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


_IDLE_STEMS = frozenset(map(_stem, _IDLE.split()))
_ALIKE_STEMS: dict[str, frozenset[str]] = {}
for _line in _ALIKE:
    for _word in stems(_line):
        _ALIKE_STEMS[_word] = _ALIKE_STEMS.get(_word, frozenset()) | frozenset(stems(_line))

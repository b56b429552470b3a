"""A module that code wrote to is put back; where nobody wrote, it is not even looked at."""

from __future__ import annotations

from types import ModuleType

import pytest

from codeact.guest import kept


@pytest.fixture
def module() -> ModuleType:
    made = ModuleType("made")
    vars(made).update(one=1, two=2)
    kept.before(made)
    vars(made).update(two="own")
    return made


def test_what_was_written_is_put_back_and_what_is_new_stays(module: ModuleType) -> None:
    it = kept.Kept(module, ["two"])
    vars(module).update(one=0, two=0, mine=3)
    it.put_back()
    assert (module.one, module.two, module.mine) == (1, "own", 3)
    del module.one
    it.put_back()
    assert module.one == 1


def test_what_is_added_belongs_to_it(module: ModuleType) -> None:
    it = kept.Kept(module)
    it.add({"three": 3})
    del module.three
    it.put_back()
    assert module.three == 3


def test_it_is_lifted_for_a_moment_and_laid_back(module: ModuleType) -> None:
    it = kept.Kept(module, ["two"])
    assert it.lift() is None
    module.one = module.mine = 0  # type: ignore[attr-defined]
    del module.two
    written = it.lift()
    assert (module.one, module.two, module.mine) == (1, "own", 0)
    it.add({"three": 3})
    it.lay(written)
    assert (module.one, module.mine, module.three, hasattr(module, "two")) == (0, 0, 3, False)
    it.put_back()
    assert (module.one, module.two) == (1, "own")


def test_a_write_is_noticed_and_a_look_is_none() -> None:
    names = {"one": 1}
    written = kept.writes(names)
    if not kept._are_counted():
        assert written() != written()
        return
    then = written()
    assert names["one"] == 1 and "two" not in names and written() == then
    names["one"] = 2
    assert written() != then

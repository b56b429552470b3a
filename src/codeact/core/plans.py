"""What the model is told of plans and of a last answer: how they are asked for, and which plan counts."""

from __future__ import annotations

from collections.abc import Sequence

from .actions import Form
from .untrusted import inline

_FIRST = """\
Before you begin, plan. Say in a few lines what is known, what has to be found out, and which steps lead to the answer.
Write words, no code, and call nothing: nothing of this reply is run."""

_NEXT = """\
Before you go on, look at your plan again. Say in a few lines what of it is done, what you have learned that changes
it, and which steps are left. Write the whole plan anew.
Write words, no code, and call nothing: nothing of this reply is run."""

_LAST = """\
No step is left. Give the best answer that you have from what you know by now, and say in it what is not certain:"""


_HOW: dict[Form, str] = {
    "code": "one block that calls final_answer(value).",
    "json": "one call of final_answer.",
    "text": "one line that begins with `Answer:`.",
}


def wanted(step: int, steps: int, plan: str = "", objections: Sequence[str] = ()) -> str:
    """The question for a plan, after `step` of `steps` replies; `objections` are those to the plans just made."""
    if objections:
        why = f": {inline(objections[-1], 1000)}" if objections[-1] else "."
        return f"The user does not allow this plan{why}\nMake another one, in words, with no code and no calls."
    text = _NEXT if plan else _FIRST
    left = steps - step
    return f"{text}\nYou have {left} {'reply' if left == 1 else 'replies'} to act in."


def stands(plan: str, changed: bool) -> str:
    """What is said of the plan that counts from here on."""
    if not plan.strip():
        return "There is no plan. Go on without one."
    if changed:
        return f"The user has changed the plan. This one counts:\n\n{plan}\n\nGo on by it."
    return "Go on by this plan."


def last_answer_wanted(form: Form) -> str:
    """The question for an answer when the steps are used up."""
    return f"{_LAST} {_HOW[form]}"

"""A model whose replies are paid for: reserved in a ledger before it is asked, settled after."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from .core.budget import cost
from .core.events import Delta, ReasoningDelta, TextDelta
from .core.messages import Prompt, Reply, Usage
from .core.weight import of_declaration, of_message, of_text
from .ledger import Ledger
from .ports import Emit, Model

Bill = Callable[[str, Usage, float | None], None]  # the model, what it used, what that cost if it is known

Around = Callable[[str, Prompt], AbstractContextManager[Callable[[Reply], None]]]  # a question; it is told the reply


class Metered:
    """`model` within a ledger; `bill` is told of every reply. Raises BudgetExhausted where there is no room for one."""

    def __init__(self, model: Model, ledger: Ledger, bill: Bill | None = None, around: Around | None = None) -> None:
        self._model = model
        self._ledger = ledger
        self._bill = bill
        self._around = around or _alone

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The model's reply."""
        hold = await self._ledger.reserve(self.name, weight(prompt) if self._ledger.weighs else 0)
        heard: list[str] = []

        def watch(delta: Delta) -> None:
            if isinstance(delta, TextDelta | ReasoningDelta):
                heard.append(delta.text)
            emit(delta)

        usage = None  # of a reply that never began
        try:
            with self._around(self.name, prompt) as told:
                reply = await self._model.ask(prompt, watch)
                told(reply)
            usage = reply.usage
            heard = [reply.text, reply.reasoning, *(call.arguments for call in reply.tool_calls)]
        except BaseException:
            usage = Usage() if heard else None  # one that was cut off costs what nobody tells
            raise
        finally:
            self._ledger.settle(hold, usage, of_text("".join(heard)))
            if usage is not None and self._bill is not None:
                self._bill(self.name, usage, cost(hold.price, usage))
        return reply


def _alone(model: str, prompt: Prompt) -> AbstractContextManager[Callable[[Reply], None]]:
    return nullcontext(lambda reply: None)


def weight(prompt: Prompt) -> int:
    """About how many tokens a model reads of it."""
    return sum(map(of_message, prompt.messages)) + sum(map(of_declaration, prompt.tools))

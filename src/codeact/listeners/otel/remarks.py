"""What happens in no time: a name and what stands beside it, for the span that it happened in."""

from __future__ import annotations

from codeact.core.events import (
    ApprovalAsked,
    ApprovalGiven,
    BudgetEnded,
    BudgetWarned,
    CodeRefused,
    Compacted,
    Connected,
    Delta,
    Discarded,
    Event,
    InterpreterLost,
    InterpreterRestored,
    PlanMade,
    UserSaid,
    Waiting,
)

from .words import Attributes, Written


def remark_of(item: Event | Delta, written: Written) -> tuple[str, Attributes] | None:
    """What is remarked of it; None of most, which are spans, or parts of them."""
    match item:
        case Waiting(why):
            return "codeact.model.waiting", {"codeact.reason": written.text(why)}
        case Discarded(why):
            return "codeact.model.discarded", {"codeact.reason": written.text(why)}
        case ApprovalAsked(key, _, tool):
            return "codeact.approval.asked", {"gen_ai.tool.name": tool, "gen_ai.tool.call.id": key}
        case ApprovalGiven(key, tool, decision):
            about: Attributes = {"gen_ai.tool.name": tool, "gen_ai.tool.call.id": key}
            return "codeact.approval.given", {**about, "codeact.decision": decision}
        case CodeRefused(_, complaints):
            return "codeact.cell.refused", {"codeact.complaints": len(complaints)}
        case Connected(_, host, port, _, refused):
            about = {"server.address": written.text(host), "server.port": port}
            return "codeact.connected", {**about, "codeact.allowed": refused is None}
        case InterpreterLost(gone) | InterpreterRestored(gone):
            how = "lost" if isinstance(item, InterpreterLost) else "restored"
            return f"codeact.interpreter.{how}", {"codeact.reason": written.text(gone.why)}
        case BudgetWarned(kind, spent, limit):
            amounts: Attributes = {"codeact.budget.spent": spent, "codeact.budget.limit": limit}
            return "codeact.budget.warned", {"codeact.budget": kind, **amounts}
        case BudgetEnded(kind):
            return "codeact.budget.ended", {"codeact.budget": kind}
        case Compacted(goal):
            return "codeact.compacted", {"codeact.goal": goal}
        case PlanMade(step):
            return "codeact.plan.made", {"codeact.step": step}
        case UserSaid():
            return "codeact.user.said", {}
        case _:
            return None

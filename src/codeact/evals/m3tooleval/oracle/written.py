"""A plan as code: its arguments, and the body of its policy."""

from __future__ import annotations

import ast
import inspect

from .policies import Plan, Policy


def source_of(plan: Plan) -> str:
    """The cell that does it, and that shows the answer."""
    body = [*(ast.parse(f"{name} = {value!r}").body[0] for name, value in plan.arguments.items())]
    *rest, last = _function(plan.policy).body
    if not isinstance(last, ast.Return) or last.value is None:
        raise TypeError(f"{plan.policy.__name__} does not end with what it answers")
    answer = ast.unparse(last.value)
    ending = [] if answer == "answer" else [f"answer = {answer}"]
    parts = [f"import {name}" for name in plan.imports]
    parts += [ast.unparse(_function(one)) for one in plan.before]
    return "\n".join([*parts, *map(ast.unparse, [*body, *rest]), *ending, "answer"])


def _function(policy: Policy) -> ast.FunctionDef:
    (found,) = ast.parse(inspect.getsource(policy)).body
    if not isinstance(found, ast.FunctionDef):
        raise TypeError(f"{policy!r} is no function")
    return ast.fix_missing_locations(_Bare().visit(found))  # type: ignore[no-any-return]


class _Bare(ast.NodeTransformer):
    """Without annotations: nobody writes them in a cell."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.Assign([node.target], node.value or ast.Constant(None))

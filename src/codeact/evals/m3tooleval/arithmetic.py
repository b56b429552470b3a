"""A calculator for expressions of numbers: it reads them, and evaluates nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

_LONGEST = 2_000  # characters
_LARGEST = 1e4  # an exponent

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_CALLS: dict[str, Callable[..., Any]] = {"abs": abs, "max": max, "min": min, "round": round, "sum": sum}


def calculator(expression: str) -> float | str:
    """The value of an expression; a text that says so where there is none."""
    try:
        if len(expression) > _LONGEST:
            raise ValueError("too long")
        value: float = _value(ast.parse(expression.strip(), mode="eval").body)
        return value
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return f"Failed to evaluate expression: {expression}"


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.BinOp(left, operation, right) if type(operation) in _BINARY:
            one, other = _value(left), _value(right)
            if isinstance(operation, ast.Pow) and (abs(other) > _LARGEST or abs(one) > _LARGEST):
                raise ValueError("too large")
            return _BINARY[type(operation)](one, other)
        case ast.UnaryOp(operation, operand) if type(operation) in _UNARY:
            return _UNARY[type(operation)](_value(operand))
        case ast.List(items) | ast.Tuple(items):
            return [_value(item) for item in items]
        case ast.Call(ast.Name(name), arguments, []) if name in _CALLS:
            return _CALLS[name](*map(_value, arguments))
        case _:
            raise ValueError("no arithmetic")

"""Formulas of named scores, as `click * conversion ** 0.5`."""

import ast
import math
from collections.abc import Collection, Mapping
from typing import Any

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
_STRUCTURE = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Load)


class Formula:
    """Arithmetic (+ - * / ** and brackets) over names and numbers.

    Args:
        text: the formula.
        names: what it may speak of.

    Raises:
        ValueError: it is no arithmetic, or speaks of something else, or of nothing.
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.text = text
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            raise ValueError(f"{text!r} is no formula: {error.msg}") from None
        used = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                used.add(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                node.value = _number(node.value, text)
            elif not isinstance(node, _OPERATORS + _STRUCTURE):
                part = ast.unparse(node) or type(node).__name__
                raise ValueError(f"{text!r}: {part!r} is none of names, numbers, + - * / ** and brackets")
        if unknown := sorted(used - set(names)):
            raise ValueError(f"{text!r}: {', '.join(unknown)} is none of {', '.join(sorted(names))}")
        if not used:
            raise ValueError(f"{text!r} speaks of none of {', '.join(sorted(names))}")
        self.names = frozenset(used)
        self._code = compile(ast.fix_missing_locations(tree), "formula", "eval")
        try:
            self({name: 0.3 + 0.11 * place for place, name in enumerate(names)})
        except ArithmeticError as error:
            raise ValueError(f"{text!r} cannot be computed: {error}") from None

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Returns the formula of values that know arithmetic: numbers, arrays, tensors."""
        # What is left of Python in the tree is arithmetic alone.
        return eval(self._code, {"__builtins__": {}}, {name: values[name] for name in self.names})


def _number(value: int | float, text: str) -> float:
    """A constant of a formula as float."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{text!r}: a number is too large")
    return number

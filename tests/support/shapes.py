"""Types and shapes are checked of functions that are made once, not of those inside of others.

jaxtyping checks every function of `emoact` while the tests run. A function inside another one is
made anew at every call of the outer one, and its checks are compiled anew with it, which took
two thirds of the processor time of an analysis. `conftest.py` imports this before it imports
`emoact`.
"""

import ast

from jaxtyping._import_hook import JaxtypingTransformer

_checked = JaxtypingTransformer.visit_FunctionDef


def _checked_if_outermost(self: JaxtypingTransformer, node: ast.FunctionDef) -> ast.FunctionDef:
    inside = any(isinstance(parent, ast.FunctionDef) for parent in self._parents)
    return node if inside else _checked(self, node)


JaxtypingTransformer.visit_FunctionDef = _checked_if_outermost  # type: ignore[method-assign]

"""Types and shapes are checked where checks cost less than what they check.

Not so in a function inside another one, whose checks would be compiled at every call of the outer
one, and in the reader of pickles. `conftest.py` imports this before it imports `emoact`.
"""

import ast

from jaxtyping._import_hook import JaxtypingTransformer, _JaxtypingFinder

OPCODES = tuple(f"emoact.store.read.{name}" for name in ("machine", "opcodes", "resolve"))

_checked = JaxtypingTransformer.visit_FunctionDef
_is_checked = _JaxtypingFinder.should_instrument


def _checked_if_outermost(self: JaxtypingTransformer, node: ast.FunctionDef) -> ast.FunctionDef:
    inside = any(isinstance(parent, ast.FunctionDef) for parent in self._parents)
    return node if inside else _checked(self, node)


def _is_checked_and_no_opcode(self: _JaxtypingFinder, module_name: str) -> bool:
    return module_name not in OPCODES and _is_checked(self, module_name)


JaxtypingTransformer.visit_FunctionDef = _checked_if_outermost  # type: ignore[method-assign]
_JaxtypingFinder.should_instrument = _is_checked_and_no_opcode  # type: ignore[method-assign]

"""Activation files as other people write them, and an equality that `pickle.load` decides."""

import io
import pickle
import pickletools
import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from emoact.store.read.tokens import BFloat16Array
from tests.support.units import contract_metadata

Array = np.ndarray[Any, Any]


def payload(
    *,
    n_layers: int = 2,
    lengths: tuple[int, ...] = (3, 5, 4),
    d_model: int = 6,
    activation: Callable[[Array], object] = lambda array: array,
    token: Callable[[Array], object] = torch.from_numpy,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A file of the report's time: the contract without any addition of emoact."""
    rng = np.random.default_rng(7)

    def site() -> list[list[object]]:
        return [
            [
                activation(rng.standard_normal((length, d_model)).astype(np.float32))
                for length in lengths
            ]
            for _ in range(n_layers)
        ]

    return {
        "residual_stream": site(),
        "mlp_output": site(),
        "tokens": [token(np.arange(length, dtype=np.int64) + 11) for length in lengths],
        "token_strings": [[f"Ġt{at}" for at in range(length)] for length in lengths],
        "labels": ["anger"] * len(lengths),
        "metadata": {
            **contract_metadata(
                "gpt2", "anger", n_layers=n_layers, d_model=d_model, n_samples=len(lengths)
            ),
            **(metadata or {}),
        },
    }


def dump_in_python(value: object, protocol: int) -> bytes:
    """Stream of the pickler written in Python, which differs from the one in C."""
    target = io.BytesIO()
    pickle._Pickler(target, protocol=protocol).dump(value)
    return target.getvalue()


def spell_as_numpy_1(stream: bytes) -> bytes:
    """The same stream with numpy 1's module names, without frames (their lengths would change)."""
    return _rewrite(stream, b"numpy._core.", b"numpy.core.")


def without_frames(stream: bytes) -> bytes:
    """The same stream without FRAME opcodes, so that damage is not noticed by a frame's length."""
    return _rewrite(stream, b"numpy._core.", b"numpy._core.")


def _rewrite(stream: bytes, old: bytes, new: bytes) -> bytes:
    marks = [(opcode, argument, at) for opcode, argument, at in pickletools.genops(stream)]
    ends = [at for _, _, at in marks[1:]] + [len(stream)]
    pieces = []
    for (opcode, argument, at), end in zip(marks, ends, strict=True):
        piece = stream[at:end]
        if opcode.name == "FRAME":
            continue
        if opcode.name == "GLOBAL":
            piece = piece.replace(old, new)
        elif opcode.name == "SHORT_BINUNICODE" and str(argument).startswith(old.decode()):
            name = piece[2:].replace(old, new)
            piece = piece[:1] + bytes([len(name)]) + name
        pieces.append(piece)
    return b"".join(pieces)


def difference(ours: Any, theirs: Any, where: str = "value") -> str | None:
    """Where two values differ, or None; tensors of `theirs` count as the arrays they hold."""
    if isinstance(theirs, torch.Tensor):
        return _tensor_difference(ours, theirs.detach(), where)
    if isinstance(theirs, np.ndarray):
        return _array_difference(ours, theirs, where)
    if isinstance(theirs, bytes | bytearray):
        return None if bytes(theirs) == ours else where
    if type(ours) is not type(theirs):
        return f"{where}: {type(ours)} for {type(theirs)}"
    if isinstance(theirs, dict):
        if list(map(repr, ours)) != list(map(repr, theirs)):
            return f"{where}: keys {list(ours)} for {list(theirs)}"
        return _first(ours.values(), theirs.values(), list(theirs), where)
    if isinstance(theirs, list | tuple):
        if len(ours) != len(theirs):
            return f"{where}: {len(ours)} for {len(theirs)} entries"
        return _first(ours, theirs, range(len(theirs)), where)
    if isinstance(theirs, float):
        return None if struct.pack("<d", ours) == struct.pack("<d", theirs) else where
    if isinstance(theirs, np.generic):
        return None if ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes() else where
    return None if ours == theirs else f"{where}: {ours!r} for {theirs!r}"


def _first(
    ours: Iterable[Any], theirs: Iterable[Any], names: Iterable[Any], where: str
) -> str | None:
    for mine, other, name in zip(ours, theirs, names, strict=True):
        found = difference(mine, other, f"{where}[{name!r}]")
        if found:
            return found
    return None


def _tensor_difference(ours: Any, theirs: torch.Tensor, where: str) -> str | None:
    if theirs.dtype == torch.bfloat16:
        if not isinstance(ours, BFloat16Array):
            return f"{where}: {type(ours)} for bfloat16"
        return _array_difference(ours.float32(), theirs.float().numpy(), where)
    return _array_difference(ours, theirs.numpy(), where)


def _array_difference(ours: Any, theirs: Array, where: str) -> str | None:
    if type(ours) is not np.ndarray:
        return f"{where}: {type(ours)} for an array"
    # numpy turns bytes into native order when it unpickles protocol 4 and below; we keep the view.
    native = ours.dtype.newbyteorder("=")
    if native != theirs.dtype.newbyteorder("=") or ours.shape != theirs.shape:
        return f"{where}: {ours.dtype}{ours.shape} for {theirs.dtype}{theirs.shape}"
    same = ours.astype(native).tobytes() == theirs.astype(native).tobytes()
    return None if same else f"{where}: other values"

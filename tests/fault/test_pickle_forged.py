"""Forged numpy and torch values are refused before numpy could ever see them."""

import pickle
from pathlib import Path

import numpy as np
import torch

from emoact.errors import FileRefusedError
from emoact.store.read.closed import load_closed
from tests.support.assembler import array, dtype, frombuffer, scalar, stream, tensor
from tests.support.forged_values import forged
from tests.support.honest import difference


def test_the_same_values_without_the_forgery_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    for raw in (
        array(),
        frombuffer(bytes(24), dtype(), (2, 3), "C"),
        scalar(dtype(), bytes(4)),
        tensor(),
    ):
        path.write_bytes(stream(raw))
        theirs = pickle.loads(stream(raw))
        assert isinstance(theirs, np.ndarray | np.generic | torch.Tensor)
        assert difference(load_closed(path), theirs) is None


def test_every_forged_value_is_refused_at_a_byte_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    accepted, malformed, seen = [], [], 0
    for title, content in forged():
        path.write_bytes(content)
        seen += 1
        try:
            load_closed(path)
        except FileRefusedError as error:
            if "malformed" in error.reason:
                malformed.append(f"{title}: {error.reason}")
        else:
            accepted.append(title)
    assert accepted == []
    assert malformed == []
    assert seen > 2_000

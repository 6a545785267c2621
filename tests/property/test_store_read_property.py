"""Random honest values read equal to what `pickle.load` makes of them."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emoact.store.read.closed import interpret
from tests.support.honest import difference, dump_in_python, without_frames

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
KEYS = TEXT | st.integers(-(2**63), 2**63 - 1)
DTYPES = st.sampled_from(
    ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f4", ">i8", "U3"]
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
TORCH = st.sampled_from(
    [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool]
)


@st.composite
def arrays(draw: st.DrawFn) -> object:
    """An array of any supported dtype, in any memory layout."""
    dtype = np.dtype(draw(DTYPES))
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    elements = st.text(characters, max_size=3) if dtype.kind == "U" else None
    array = draw(hnp.arrays(dtype, draw(SHAPES), elements=elements))
    layout = draw(st.sampled_from(["c", "f", "reversed", "strided", "permuted"]))
    if layout == "f":
        return np.asfortranarray(array)
    if array.ndim and layout == "reversed":
        return array[::-1]
    if array.ndim and layout == "strided":
        return array[..., ::2]
    return array.transpose(draw(st.permutations(range(array.ndim))))


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """A tensor, or a view into a larger one."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
    values = draw(hnp.arrays(np.int8, shape))
    tensor = torch.from_numpy(values).to(draw(TORCH))
    for dimension in range(tensor.ndim):
        start = draw(st.integers(0, tensor.shape[dimension]))
        tensor = tensor.narrow(dimension, start, tensor.shape[dimension] - start)
    return tensor.permute(draw(st.permutations(range(tensor.ndim))))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**500), 2**500)
    | st.floats()
    | TEXT
    | st.binary(max_size=400)
    | st.sampled_from([np.float32, np.float64, np.int64]).map(lambda kind: kind(7))
)
VALUES = st.recursive(
    SCALARS | arrays() | tensors(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict)
        | inner.map(lambda value: [value, value, {"again": value}])
    ),
    max_leaves=12,
)
PICKLERS: list[Callable[[Any, int], bytes]] = [
    lambda value, protocol: pickle.dumps(value, protocol=protocol),
    dump_in_python,
    lambda value, protocol: without_frames(pickle.dumps(value, protocol=protocol)),
]


@settings(max_examples=300, deadline=None)
@given(value=VALUES, protocol=st.integers(2, 5), pickler=st.sampled_from(PICKLERS))
def test_any_honest_value_reads_equal_to_pickle_load(
    value: object, protocol: int, pickler: Callable[[Any, int], bytes]
) -> None:
    stream = pickler(value, protocol)
    ours = interpret(memoryview(stream), Path("a.pkl"))
    assert difference(ours, pickle.loads(stream)) is None

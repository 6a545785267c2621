"""Random honest values read equal to what `pickle.load` makes of them."""

import io
import pickle
import pickletools
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emoact.sites import SiteName, site_names
from emoact.store.pickle_opcodes import plain
from emoact.store.read.closed import interpret
from emoact.store.write import lay_out, write_unit
from tests.support.honest import difference, dump_in_python, without_frames
from tests.support.units import sample_unit

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


TEXTS = st.text(st.characters(), max_size=300)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=30,
)
SITE_SETS = st.lists(st.sampled_from(site_names()), min_size=1, unique=True).map(tuple)


@given(PLAIN)
def test_plain_values_come_back_equal(value: Any) -> None:
    found = pickle.loads(b"\x80\x04" + plain(value, "value") + b".")
    # Equal and of equal types: repr tells 1 from True and 1.0, and -0.0 from 0.0.
    assert repr(found) == repr(value)


@settings(deadline=None, max_examples=40)
@given(
    sites=SITE_SETS,
    n_layers=st.integers(1, 3),
    d_model=st.integers(1, 9),
    lengths=st.lists(st.integers(0, 9), max_size=6).map(tuple),
    seed=st.integers(0, 2**32),
    metadata=st.dictionaries(TEXTS, PLAIN, max_size=4),
)
def test_units_of_every_shape_come_back_equal(
    sites: tuple[SiteName, ...],
    n_layers: int,
    d_model: int,
    lengths: tuple[int, ...],
    seed: int,
    metadata: dict[str, Any],
) -> None:
    unit = sample_unit(
        sites=sites,
        n_layers=n_layers,
        d_model=d_model,
        lengths=lengths,
        seed=seed,
        metadata=metadata,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_unit(Path(folder) / "unit.pkl", shard=unit, **unit.parts())
        data = (Path(folder) / "unit.pkl").read_bytes()
    pickletools.dis(data, out=io.StringIO())
    found, expected = pickle.loads(data), unit.payload()
    assert repr(found.pop("metadata")) == repr(expected.pop("metadata"))
    _assert_same(found, {key: expected[key] for key in found})
    assert set(found) == set(expected)
    assert list(found)[:5] == [
        "residual_stream", "mlp_output", "tokens", "token_strings", "labels"
    ]  # fmt: skip


def _assert_same(found: Any, expected: Any) -> None:
    """Equal values and types, tokens as torch tensors, arrays as numpy makes them."""
    if isinstance(found, torch.Tensor):
        assert found.dtype == torch.int64
        np.testing.assert_array_equal(found.numpy(), expected, strict=True)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected, strict=True)
        assert type(found) is np.ndarray
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert found.flags.aligned
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            _assert_same(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_same(one, other)
    else:
        assert found == expected


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    sites=SITE_SETS,
    lengths=st.lists(st.integers(0, 5), max_size=8).map(tuple),
    draft=st.floats(allow_nan=False),
)
def test_any_order_of_puts_gives_the_bytes_of_a_unit_written_at_once(
    data: st.DataObject, sites: tuple[SiteName, ...], lengths: tuple[int, ...], draft: float
) -> None:
    unit = sample_unit(sites=sites, lengths=lengths, metadata={"seconds": 0.5})
    places = [
        (*place, at) for place, arrays in unit.activations.items() for at in range(len(arrays))
    ]
    with tempfile.TemporaryDirectory() as folder:
        once, bit_by_bit = Path(folder) / "once.pkl", Path(folder) / "bit_by_bit.pkl"
        expected = write_unit(once, shard=unit, **unit.parts())
        laid_out = {**unit.parts(), "metadata": {"seconds": draft}}
        with lay_out(bit_by_bit, layout=unit.layout, **laid_out) as file:
            for site, layer, sample in data.draw(st.permutations(places)):
                file.put(site, layer, sample, unit.rows(site, layer, sample))
            for site, layer, sample in places:
                np.testing.assert_array_equal(
                    file.rows(site, layer, sample), unit.rows(site, layer, sample), strict=True
                )
            assert write_unit(bit_by_bit, shard=file, **unit.parts()) == expected
        assert bit_by_bit.read_bytes() == once.read_bytes()

"""Honest files are read equal to `pickle.load`, for every pickler and protocol."""

import mmap
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.errors import FileRefusedError
from emoact.store.read.closed import load_closed
from emoact.store.reading import read
from tests.fixtures.numpy1 import make as numpy1
from tests.support.honest import difference, payload, spell_as_numpy_1

PROTOCOLS = (2, 3, 4, 5)
ARRAYS: dict[str, Callable[[Any], object]] = {
    "float32": lambda array: array,
    "float16": lambda array: array.astype(np.float16),
    "float64": lambda array: array.astype(np.float64),
    "big-endian": lambda array: array.astype(">f4"),
    "fortran": np.asfortranarray,
    "strided": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    "reversed": lambda array: array[::-1],
    "read-only": lambda array: np.frombuffer(array.tobytes(), np.float32).reshape(array.shape),
    "tensor": torch.from_numpy,
    "tensor-half": lambda array: torch.from_numpy(array).half(),
    "tensor-double": lambda array: torch.from_numpy(array).double(),
    "tensor-bfloat16": lambda array: torch.from_numpy(array).bfloat16(),
    "tensor-transposed": lambda array: torch.from_numpy(array.T.copy()).T,
    "tensor-slice": lambda array: torch.from_numpy(np.pad(array, ((1, 2), (3, 1))))[1:-2, 3:-1],
    "tensor-gradient": lambda array: torch.from_numpy(array).requires_grad_(),
}
TOKENS: dict[str, Callable[[Any], object]] = {
    "tensor": torch.from_numpy,
    "array": lambda array: array,
    "list": lambda array: array.tolist(),
    "int32": lambda array: torch.from_numpy(array).int(),
    "view of a batch": lambda array: torch.from_numpy(np.stack([array, array]))[1],
}


def write(path: Path, stream: bytes) -> Path:
    path.write_bytes(stream)
    return path


def assert_reads_like_pickle(path: Path, stream: bytes) -> None:
    assert difference(load_closed(write(path, stream)), pickle.loads(stream)) is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_every_array_is_read_as_pickle_does(tmp_path: Path, kind: str, protocol: int) -> None:
    stream = pickle.dumps(payload(activation=ARRAYS[kind]), protocol=protocol)
    assert_reads_like_pickle(tmp_path / "a.pkl", stream)
    for layer, samples in enumerate(pickle.loads(stream)["residual_stream"]):
        for sample, theirs in enumerate(samples):
            ours = read(tmp_path / "a.pkl").residual_stream[layer][sample]
            tensor = isinstance(theirs, torch.Tensor)
            expected = theirs.detach().float().numpy() if tensor else theirs.astype(np.float32)
            assert ours.dtype == np.float32
            assert not ours.flags.writeable
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", TOKENS)
def test_every_kind_of_tokens_reads_as_int64(tmp_path: Path, kind: str, protocol: int) -> None:
    stream = pickle.dumps(payload(token=TOKENS[kind]), protocol=protocol)
    assert_reads_like_pickle(tmp_path / "a.pkl", stream)
    for ids, length in zip(read(tmp_path / "a.pkl").tokens, (3, 5, 4), strict=True):
        assert ids.dtype == np.int64
        assert ids.tolist() == list(range(11, 11 + length))


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["float32", "fortran", "strided", "float16"])
def test_the_names_of_numpy_1_read_the_same(tmp_path: Path, kind: str, protocol: int) -> None:
    extra = {"scalar": np.float64(2.5), "words": np.array(["a", "bc"])}
    value = payload(activation=ARRAYS[kind], metadata=extra)
    stream = spell_as_numpy_1(pickle.dumps(value, protocol=protocol))
    assert b"numpy._core" not in stream
    assert b"numpy.core" in stream
    assert difference(load_closed(write(tmp_path / "a.pkl", stream)), pickle.loads(stream)) is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_files_that_numpy_1_wrote_hold_what_was_put_in(protocol: int) -> None:
    path = Path(numpy1.__file__).with_name(f"protocol{protocol}.pkl")
    assert b"numpy.core" in path.read_bytes()
    value = load_closed(path)
    assert difference(value, numpy1.payload()) is None
    unit = read(path)
    np.testing.assert_array_equal(unit.residual_stream[1][0], numpy1.activation(0, 1, 0))
    np.testing.assert_array_equal(unit.mlp_output[0][1], numpy1.activation(1, 0, 1))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "extra",
    [
        {"integers": [0, 255, 256, 65535, 65536, -1, 2**31, -(2**31), 2**63, -(2**100), 2**400]},
        {"floats": [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324]},
        {"texts": ["", "é", "感謝", "𝛼", "x" * 255, "y" * 256, "z" * 70_000, "ß" * 40_000]},
        {"numpy_texts": [np.str_("née"), np.str_("感謝"), np.bool_(False)]},
        {"arrays": [np.array(1.5), np.zeros((0, 4)), np.zeros(0), np.ones((2, 3, 4)).T]},
        {"arrays": [np.array([True, False]), np.array(["ab", "感謝", ""]), np.array("x")]},
        {"expanded": torch.ones(1, 3).expand(4, 3)},
        {"dtype": np.dtype("float32"), "other": np.dtype(">i8")},
        {np.str_("key"): 1, np.int64(3): 2},
    ],
    ids=lambda extra: next(iter(map(str, extra))),
)
def test_metadata_are_as_of_pickle(tmp_path: Path, extra: dict[str, Any], protocol: int) -> None:
    stream = pickle.dumps(payload(metadata=extra), protocol=protocol)
    assert_reads_like_pickle(tmp_path / "a.pkl", stream)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_parts_stay_shared(tmp_path: Path, protocol: int) -> None:
    array, words = np.ones((2, 3), np.float32), ["a", "b"]
    value = {"one": [array, words], "two": (array, words, [words])}
    stream = pickle.dumps(value, protocol=protocol)
    assert_reads_like_pickle(tmp_path / "a.pkl", stream)
    ours = load_closed(tmp_path / "a.pkl")
    assert ours["one"][0] is ours["two"][0]
    assert ours["one"][1] is ours["two"][2][0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_long_lists_and_dicts_written_in_batches_read_whole(tmp_path: Path, protocol: int) -> None:
    value = {"list": list(range(3500)), "dict": {f"k{at}": at for at in range(2500)}}
    assert_reads_like_pickle(tmp_path / "a.pkl", pickle.dumps(value, protocol=protocol))


def test_arrays_are_read_only_views_of_the_file(tmp_path: Path) -> None:
    stream = pickle.dumps(payload(n_layers=1), protocol=5)
    unit = read(write(tmp_path / "a.pkl", stream))
    array = unit.residual_stream[0][0]
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1.0
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        array.flags.writeable = True


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "EMPTY_SET|__builtin__.set|builtins.set"),
        (frozenset({1}), "FROZENSET|MARK|frozenset"),
        (1 + 2j, "complex"),
        (np.zeros(2, np.complex64), "dtype 'c8'"),
        (np.zeros(2, object), "dtype 'O8'"),
        (np.zeros(2, "S3"), "dtype 'S3'"),
        (np.zeros(2, "M8[s]"), "dtype 'M8'"),
        (np.zeros(2, [("a", "f4")]), "dtype 'V4'"),
        (np.recarray(1, "f4"), "numpy.rec"),
        (np.ma.masked_array([1.0]), "numpy.ma"),
        (torch.nn.Parameter(torch.ones(1)), "_rebuild_parameter"),
        (torch.ones(1).to_sparse(), "sparse"),
        (torch.ones(1, dtype=torch.complex64), "ComplexFloatStorage"),
        (torch.ones(1, dtype=torch.uint16), "_rebuild_tensor_v3"),
        (torch.ones(1, dtype=torch.complex64).conj().imag, "ComplexFloatStorage|not plain"),
        (Path("x"), "pathlib"),
        (2**600, "integer of"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_contract_never_needs_is_refused_by_name(
    tmp_path: Path, value: object, said: str, protocol: int
) -> None:
    write(tmp_path / "a.pkl", pickle.dumps({"x": value}, protocol=protocol))
    with pytest.raises(FileRefusedError, match=said) as caught:
        load_closed(tmp_path / "a.pkl")
    assert caught.value.offset is not None
    assert caught.value.remedy

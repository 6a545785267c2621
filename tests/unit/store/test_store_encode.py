"""The contract pickle, read by a plain `pickle.load` and looked at opcode by opcode."""

import dataclasses
import hashlib
import io
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.errors import EmoactError
from emoact.sites import site_names
from emoact.store.pickle_opcodes import plain
from emoact.store.write import write_unit
from tests.support.units import SampleUnit, sample_unit


def _encode(unit: SampleUnit, folder: Path) -> bytes:
    write_unit(folder / "unit.pkl", shard=unit, **unit.parts())
    return (folder / "unit.pkl").read_bytes()


def test_every_tensor_has_a_storage_of_its_own_of_exactly_its_length(tmp_path: Path) -> None:
    unit = sample_unit(lengths=(5, 5, 2))
    tokens = pickle.loads(_encode(unit, tmp_path))["tokens"]
    assert [tensor.untyped_storage().nbytes() for tensor in tokens] == [40, 40, 16]
    assert len({tensor.untyped_storage().data_ptr() for tensor in tokens}) == 3
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in tokens)
    tokens[0][0] = -1
    assert tokens[1].tolist() == unit.tokens[1].tolist()
    hooks = [tensor._backward_hooks for tensor in tokens]
    assert hooks[0] == OrderedDict()
    assert hooks[0] is not hooks[1]


def test_arrays_share_no_memory(tmp_path: Path) -> None:
    found = pickle.loads(_encode(sample_unit(), tmp_path))
    arrays = [
        array for key in ("residual_stream", "mlp_output") for row in found[key] for array in row
    ]
    for index, array in enumerate(arrays):
        array[...] = index
    assert [float(array.max()) for array in arrays] == list(map(float, range(len(arrays))))


# What numpy 1.26 and 2 both have; 1.26 offers `numpy._core` for reading numpy 2's pickles and there
# only `multiarray`, so that `numpy._core.numeric._frombuffer` of protocol 5 would not load.
GLOBALS = {
    "numpy._core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
    "torch._utils _rebuild_tensor_v2",
    "torch.storage _load_from_bytes",
    "collections OrderedDict",
}


def test_the_globals_are_those_that_old_and_new_readers_have(tmp_path: Path) -> None:
    data = _encode(sample_unit(sites=site_names()), tmp_path)
    found, strings = [], ["", ""]
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "STACK_GLOBAL":
            found.append(" ".join(strings))
        elif isinstance(argument, str):
            strings = [strings[1], argument]
    assert sorted(found) == sorted(GLOBALS)


def test_the_opcodes_are_sound_and_of_protocol_4(tmp_path: Path) -> None:
    data = _encode(sample_unit(sites=site_names()), tmp_path)
    pickletools.dis(data, out=io.StringIO())
    opcodes = list(pickletools.genops(data))
    assert data[:2] == b"\x80\x04"
    assert max(opcode.proto for opcode, _, _ in opcodes) == 4
    assert opcodes[-1][2] == len(data) - 1


def test_every_array_starts_at_a_cache_line_of_the_file(tmp_path: Path) -> None:
    unit = sample_unit(lengths=tuple(range(1, 70)), d_model=3, n_layers=2)
    data = _encode(unit, tmp_path)
    for samples in unit.activations.values():
        for array in samples:
            assert data.index(array.tobytes()) % 64 == 0


def test_the_same_unit_gives_the_same_bytes(tmp_path: Path) -> None:
    unit = sample_unit(sites=site_names())
    # Fresh strings too: which of them are one object in memory must not show.
    turned = dataclasses.replace(
        unit,
        activations=dict(reversed(unit.activations.items())),
        token_strings=[["".join(list(text)) for text in texts] for texts in unit.token_strings],
    )
    assert _encode(unit, tmp_path) == _encode(turned, tmp_path)


def test_the_bytes_of_a_known_unit_do_not_change(tmp_path: Path) -> None:
    """Hashes outlive versions of emoact: other bytes need another schema version."""
    sites = ("resid_pre", "mlp_out", "resid_post", "attn_out", "pattern")
    drawn = sample_unit(sites=sites, metadata={"n": 1, "x": [0.5, None, True, -7, 1 << 40, "é"]})
    unit = dataclasses.replace(
        drawn,
        activations={
            place: [
                np.arange(array.size, dtype=np.float32).reshape(array.shape) for array in arrays
            ]
            for place, arrays in drawn.activations.items()
        },
        tokens=[np.arange(len(ids)) for ids in drawn.tokens],
    )
    digest = hashlib.sha256(_encode(unit, tmp_path)).hexdigest()
    assert digest == "3c0ca9af3a344045a4fc7b330ddc17e3ca7b27b2a63bf403abe7be9f708d6a64"


VALUES: list[Any] = [
    0, 1, 255, 256, 65535, 65536, -1, -128, -129, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63,
    -(2**63), 2**64, 1 << 2032, -(1 << 2039), 1 << 2040, 1 << 9000, -(1 << 9000), 0.0, -0.0, 0.1,
    1e308, 5e-324, float("inf"), float("nan"), True, False, None, "", "a", "é", "\U0001f600",
    "x" * 255, "x" * 256, "é" * 128, "\ud800", "a\0b", [], {}, [[]], [{}], {"": {}},
    {"a": [1, {"b": [None]}]}, [1] * 3000, {str(n): n for n in range(2000)},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:30])
def test_a_plain_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    data = b"\x80\x04" + plain(value, "value") + b"."
    assert pickle.dumps(pickle.loads(data), 4) == pickle.dumps(value, 4)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {"b": [0, np.float64(1)]}}, r"metadata\['a'\]\['b'\]\[1\] is a numpy.float64"),
        ({"a": np.int64(1)}, r"metadata\['a'\] is a numpy.int64"),
        ({"a": np.str_("x")}, r"metadata\['a'\] is a numpy.str_"),
        ({"a": np.bool_(True)}, r"metadata\['a'\] is a numpy.bool"),
        ({"a": np.zeros(2)}, r"metadata\['a'\] is a numpy.ndarray"),
        ({"a": torch.zeros(2)}, r"metadata\['a'\] is a torch.Tensor"),
        ({"a": (1, 2)}, r"metadata\['a'\] is a tuple"),
        ({"a": {1}}, r"metadata\['a'\] is a set"),
        ({"a": b"x"}, r"metadata\['a'\] is a bytes"),
        ({"a": Path("x")}, r"metadata\['a'\] is a pathlib.*Path"),
        ({"a": OrderedDict()}, r"metadata\['a'\] is a collections.OrderedDict"),
        ({"a": Text("x")}, r"metadata\['a'\] is a .*Text"),
        ({"a": {1: 2}}, r"metadata\['a'\] has the key 1"),
        ({np.str_("k"): 1}, "metadata has the key"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_other_metadata_are_refused(value: dict[Any, Any], said: str, tmp_path: Path) -> None:
    unit = sample_unit()
    with pytest.raises(EmoactError, match=said):
        write_unit(tmp_path / "unit.pkl", shard=unit, **{**unit.parts(), "metadata": value})
    assert list(tmp_path.iterdir()) == []
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(EmoactError, match="deeper than 64 levels"):
        plain({"a": itself}, "metadata")

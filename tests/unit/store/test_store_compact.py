"""Compact files: what zarr finds in them, and that every bit comes back."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import emoact
from emoact.errors import EmoactError
from emoact.schema import Precision
from emoact.sites import SiteName, site, site_names
from emoact.store.compact.arrays import LEVELS, decode, encode
from emoact.store.compact.prefixes import share_prefixes
from emoact.store.compact.writing import round_values, write_compact
from emoact.store.protocol import Written
from tests.support.units import SampleUnit, contract_metadata, sample_unit

TOKENS = ([7, 1, 2, 3], [7], [7, 1, 2, 9, 9, 4, 5], [7, 1, 8], [3, 1])
"""Prompts that begin alike in several ways, and one that begins otherwise."""


def compact_unit(
    *, sites: tuple[SiteName, ...] = ("resid_pre", "mlp_out"), precision: Precision = "lossless"
) -> SampleUnit:
    """A unit whose rows depend on the prefix alone, as those of a causal model do."""
    lengths = tuple(map(len, TOKENS))
    metadata = contract_metadata("gpt2", "joy", n_layers=3, d_model=6, n_samples=5, sites=sites)
    metadata["provenance"] = {"precision": precision}
    unit = sample_unit(sites=sites, lengths=lengths, metadata=metadata)
    activations = {}
    for (name, layer), samples in unit.activations.items():
        made = []
        for ids, rows in zip(TOKENS, samples, strict=True):
            own = rows.copy()
            if site(name).has_vectors:
                for position in range(len(ids)):
                    seed = [layer, len(name), *ids[: position + 1]]
                    own[position] = np.random.default_rng(seed).normal(size=rows.shape[1:])
            made.append(own)
        activations[name, layer] = made
    tokens = [np.array(ids, dtype=np.int64) for ids in TOKENS]
    return dataclasses.replace(unit, activations=activations, tokens=tokens)


def write(unit: SampleUnit, folder: Path, name: str = "activations_joy.zarr.zip") -> Written:
    return write_compact(folder / name, shard=unit, **unit.parts())


def opened_by_zarr(path: Path) -> Any:
    return zarr.open_group(zarr.storage.ZipStore(path, read_only=True), mode="r")


def bits(array: Any) -> Any:
    return np.ascontiguousarray(array).view(np.uint32)


def check_equal(unit: SampleUnit, path: Path) -> None:
    found = emoact.read(path)
    for (name, layer), samples in unit.activations.items():
        place = layer - site(name).layer_range(unit.layout.n_layers).start
        for sample, array in enumerate(samples):
            assert (bits(found.site(name)[place][sample]) == bits(array)).all()
    assert [ids.tolist() for ids in found.tokens] == [ids.tolist() for ids in unit.tokens]
    assert list(map(list, found.token_strings)) == unit.token_strings
    assert list(found.labels) == unit.labels
    assert found.metadata == unit.metadata


def test_zarr_opens_it_in_five_lines(tmp_path: Path) -> None:
    unit = compact_unit()
    write(unit, tmp_path)
    group = opened_by_zarr(tmp_path / "activations_joy.zarr.zip")
    nodes, offsets = group["index"][:], group["offsets"][:]
    for layer in range(3):
        rows = group["residual_stream"][:, layer][nodes]
        for sample, array in enumerate(unit.activations["resid_pre", layer]):
            assert (rows[offsets[sample] : offsets[sample + 1]] == array).all()
    assert group["tokens"][:].tolist() == [token for ids in TOKENS for token in ids]
    assert group.attrs["labels"] == unit.labels
    assert group.attrs["metadata"]["model_name"] == "gpt2"


def test_each_distinct_prefix_is_there_once(tmp_path: Path) -> None:
    write(compact_unit(), tmp_path)
    group = opened_by_zarr(tmp_path / "activations_joy.zarr.zip")
    prefixes = {tuple(ids[: end + 1]) for ids in TOKENS for end in range(len(ids))}
    assert group["mlp_output"].shape == (len(prefixes), 3, 6)


@pytest.mark.parametrize("name", site_names())
def test_every_site_comes_back_bit_for_bit(name: SiteName, tmp_path: Path) -> None:
    unit = compact_unit(sites=tuple({"resid_pre", name}))
    write(unit, tmp_path)
    check_equal(unit, tmp_path / "activations_joy.zarr.zip")
    assert zipfile.ZipFile(tmp_path / "activations_joy.zarr.zip").testzip() is None


@pytest.mark.parametrize("layer", [0, 2])
def test_rows_of_one_prefix_that_differ_are_both_kept(layer: int, tmp_path: Path) -> None:
    unit = compact_unit()
    unit.activations["mlp_out", layer][3][0, 0] += 1
    write(unit, tmp_path)
    check_equal(unit, tmp_path / "activations_joy.zarr.zip")


def test_layers_larger_than_a_chunk_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emoact.store.compact.arrays.CHUNK_BYTES", 4 * 6 * 4)
    unit = compact_unit(sites=("resid_pre", "pattern"))
    write(unit, tmp_path)
    check_equal(unit, tmp_path / "activations_joy.zarr.zip")
    group = opened_by_zarr(tmp_path / "activations_joy.zarr.zip")
    assert group["residual_stream"].chunks == (4, 1, 6)


def test_the_same_unit_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        write(compact_unit(), tmp_path),
        write(compact_unit(), tmp_path, "other.zarr.zip"),
    )
    data = (tmp_path / "other.zarr.zip").read_bytes()
    assert first == second == Written(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


@given(arrays(np.uint32, st.integers(0, 40)), st.integers(0, 31), st.sampled_from(LEVELS))
def test_every_bit_comes_back_whatever_the_last_bits_are(
    whole: Any, n_zero: int, level: int
) -> None:
    values = (whole >> n_zero << n_zero).view(np.float32)
    found = decode(encode(values, level=level), shape=values.shape, dtype="float32")
    assert found.tobytes() == values.tobytes()


def test_numbers_of_bfloat16_are_packed_as_such() -> None:
    values = np.random.default_rng(0).normal(size=70_000).astype(np.float32)
    short = (bits(values) & 0xFFFF0000).view(np.float32)
    assert len(encode(short)) < 0.5 * len(encode(values))
    # Only the first numbers are looked at; what follows them comes back all the same.
    values[:66_000] = short[:66_000]
    found = decode(encode(values), shape=values.shape, dtype="float32")
    assert found.tobytes() == values.tobytes()


@pytest.mark.parametrize("lengths", [(), (1,)])
def test_small_units_come_back(lengths: tuple[int, ...], tmp_path: Path) -> None:
    metadata = contract_metadata("gpt2", "joy", n_layers=3, d_model=6, n_samples=len(lengths))
    unit = sample_unit(lengths=lengths, metadata=metadata)
    write(unit, tmp_path)
    if lengths:
        check_equal(unit, tmp_path / "activations_joy.zarr.zip")
    else:
        with pytest.raises(EmoactError):
            emoact.read(tmp_path / "activations_joy.zarr.zip")


def test_names_in_use_are_found_at_positions_of_their_prompts() -> None:
    sharing = share_prefixes([np.array(ids, dtype=np.int64) for ids in TOKENS])
    prefixes = [tuple(ids[: end + 1]) for ids in TOKENS for end in range(len(ids))]
    seen = list(dict.fromkeys(prefixes))
    assert sharing.index.tolist() == [seen.index(prefix) for prefix in prefixes]
    assert sharing.shared == (0, 1, 3, 2, 0)
    assert sharing.owners == (-1, 0, 0, 0, -1)


def test_prefixes_that_a_second_pass_rounded_otherwise_are_shared_within_that_pass(
    tmp_path: Path,
) -> None:
    unit = compact_unit()
    once = {key: rows + rows for key, rows in unit.activations.items()}
    last = {key: [each * np.float32(1 + 1e-6) for each in rows] for key, rows in once.items()}
    half = len(TOKENS)
    twice = dataclasses.replace(
        unit,
        layout=dataclasses.replace(unit.layout, lengths=unit.layout.lengths * 2),
        activations={key: once[key][:half] + last[key][half:] for key in once},
        tokens=unit.tokens * 2,
        token_strings=unit.token_strings * 2,
        labels=unit.labels * 2,
        metadata={**unit.metadata, "n_samples": 2 * half},
    )
    write(twice, tmp_path)
    check_equal(twice, tmp_path / "activations_joy.zarr.zip")
    group = opened_by_zarr(tmp_path / "activations_joy.zarr.zip")
    n_distinct = len({tuple(ids[: end + 1]) for ids in TOKENS for end in range(len(ids))})
    assert group["residual_stream"].shape[0] == 2 * n_distinct


FLOATS = arrays(np.float32, 20, elements=st.floats(width=32))
PRECISIONS: dict[Precision, tuple[int, float]] = {"rel1e-3": (9, 1e-3), "rel8e-3": (6, 8e-3)}


@given(values=FLOATS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_is_to_the_nearest_and_within_its_bound(
    precision: Precision, values: np.ndarray
) -> None:
    n_bits, bound = PRECISIONS[precision]
    values = np.where(np.abs(values) > 3e38, np.float32(1), values)
    rounded = round_values(values, precision)
    normal = np.isfinite(values) & (np.abs(values) >= np.finfo(np.float32).tiny)
    mantissa, exponent = np.frexp(values[normal].astype(np.float64))
    scale = 2.0 ** (n_bits + 1)
    nearest = np.ldexp(np.rint(mantissa * scale) / scale, exponent)
    assert (rounded[normal] == nearest).all()
    exact = values[normal].astype(np.float64)
    assert (np.abs(rounded[normal] - exact) <= bound * np.abs(exact)).all()
    assert (bits(rounded[~normal]) == bits(values[~normal])).all()


def test_a_value_that_would_become_infinite_is_told(tmp_path: Path) -> None:
    unit = compact_unit(precision="rel8e-3")
    unit.activations["mlp_out", 2][4][0, 0] = np.finfo(np.float32).max
    with pytest.raises(EmoactError, match="cannot be rounded to rel8e-3"):
        write(unit, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounded_files_hold_rounded_values(precision: Precision, tmp_path: Path) -> None:
    unit = compact_unit(precision=precision)
    write(unit, tmp_path)
    found = emoact.read(tmp_path / "activations_joy.zarr.zip")
    array = unit.activations["resid_pre", 1][2]
    assert (found.residual_stream[1][2] == round_values(array, precision)).all()

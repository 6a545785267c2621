"""The file in which a unit's activations gather."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from emoact.errors import EmoactError
from emoact.sites import site_names
from emoact.store.locks import remove_stale_files
from emoact.store.shard import ShardLayout, UnitShard
from tests.support.units import sample_unit

UNIT = sample_unit(sites=site_names())
LAYOUT = UNIT.layout


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[UnitShard]:
    """A shard of the unit."""
    shard = UNIT.shard(tmp_path / "s.safetensors")
    yield shard
    shard.close_and_remove()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[UnitShard]:
    """A shard without any array yet."""
    shard = UnitShard.create(tmp_path / "s.safetensors", layout=LAYOUT)
    yield shard
    shard.close_and_remove()


def test_the_file_is_what_the_safetensors_library_expects(shard: UnitShard) -> None:
    with shard.path.open("rb") as raw:
        # The format asks that tensors be aligned, and the library does not check it.
        assert int.from_bytes(raw.read(8), "little") % 8 == 0
    with safe_open(shard.path, framework="numpy") as file:
        offsets = file.get_tensor("offsets")
        patterns = file.get_tensor("pattern_offsets")
        assert offsets.tolist() == [0, 4, 5, 12]
        assert patterns.tolist() == [0, 2 * 16, 2 * 17, 2 * 66]
        names = {f"{site}.{layer}" for site, layer in UNIT.activations}
        assert set(file.keys()) == names | {"offsets", "pattern_offsets"}
        for (site, layer), samples in UNIT.activations.items():
            tensor = file.get_tensor(f"{site}.{layer}")
            rows = [array.reshape(-1) if site == "pattern" else array for array in samples]
            np.testing.assert_array_equal(tensor, np.concatenate(rows), strict=True)


def test_an_array_that_is_not_contiguous_is_saved_by_its_values(empty: UnitShard) -> None:
    array = np.arange(48, dtype=np.float32).reshape(6, 8).T[::2]
    empty.put("mlp_out", 0, 0, array)
    np.testing.assert_array_equal(empty.rows("mlp_out", 0, 0), array)


@pytest.mark.parametrize("shape", [(3, 6), (4, 5), (4,), (6, 4), (1, 4, 6)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...], empty: UnitShard) -> None:
    with pytest.raises(ValueError, match=r"resid_pre layer 1 sample 0 has shape .*not \(4, 6\)"):
        empty.put("resid_pre", 1, 0, np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize(
    ("site", "layer", "sample"),
    [("resid_pre", 3, 0), ("resid_pre", -1, 0), ("resid_post", 0, 0), ("mlp_out", 0, 3)],
)
def test_a_place_that_the_layout_does_not_have_is_refused(
    site: Any, layer: int, sample: int, empty: UnitShard
) -> None:
    with pytest.raises((KeyError, IndexError)):
        empty.put(site, layer, sample, np.zeros((4, 6), dtype=np.float32))


def test_samples_are_not_counted_from_the_end(shard: UnitShard) -> None:
    last = UNIT.activations["resid_pre", 0][2]
    with pytest.raises(IndexError, match="sample -1"):
        shard.put("resid_pre", 0, -1, last)
    with pytest.raises(IndexError, match="sample -1"):
        shard.rows("resid_pre", 0, -1)


def test_an_activation_that_was_never_computed_is_named_and_never_read_as_zeros(
    empty: UnitShard,
) -> None:
    empty.put("resid_pre", 0, 0, UNIT.activations["resid_pre", 0][0])
    with pytest.raises(EmoactError, match="resid_pre layer 0 sample 1 was never computed"):
        empty.rows("resid_pre", 0, 1)


def test_short_reads_and_writes_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, pread = os.pwrite, os.pread

    def write_little(descriptor: int, data: Any, position: int) -> int:
        return pwrite(descriptor, bytes(data[:7]), position)

    def read_little(descriptor: int, size: int, position: int) -> bytes:
        return pread(descriptor, min(size, 5), position)

    monkeypatch.setattr(os, "pwrite", write_little)
    monkeypatch.setattr(os, "pread", read_little)
    shard = UNIT.shard(tmp_path / "s.safetensors")
    for (site, layer), samples in UNIT.activations.items():
        for sample, array in enumerate(samples):
            np.testing.assert_array_equal(shard.rows(site, layer, sample), array)
    shard.close_and_remove()


def test_a_file_cut_short_from_outside_is_an_error_and_not_zeros(shard: UnitShard) -> None:
    os.truncate(shard.path, shard.path.stat().st_size - 4)
    with pytest.raises(EmoactError, match="could not be read back"):
        shard.rows("pattern", 2, 2)


def test_the_space_is_there_before_the_first_array(tmp_path: Path) -> None:
    layout = ShardLayout(sites=("resid_pre",), n_layers=4, d_model=256, lengths=(256,))
    shard = UnitShard.create(tmp_path / "s.safetensors", layout=layout)
    assert layout.n_bytes == 4 * 256 * 256 * 4
    assert shard.path.stat().st_blocks * 512 >= layout.n_bytes
    shard.close_and_remove()


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, None])
def test_where_space_cannot_be_reserved_the_file_works_all_the_same(
    code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "refused") if code else AttributeError("posix_fallocate")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    shard = UNIT.shard(tmp_path / "s.safetensors")
    array = UNIT.activations["mlp_out", 2][2]
    np.testing.assert_array_equal(shard.rows("mlp_out", 2, 2), array)
    shard.close_and_remove()


@pytest.mark.parametrize("can_reserve", [True, False])
def test_a_unit_larger_than_the_disk_is_refused_at_once_and_leaves_nothing(
    can_reserve: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "refused")

    if not can_reserve:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    status = os.statvfs(tmp_path)
    rows = status.f_blocks * status.f_frsize // (4 * 1024) + 1
    layout = ShardLayout(sites=("resid_pre",), n_layers=2, d_model=1024, lengths=(rows,))
    with pytest.raises(EmoactError, match=r"[\d,]+ bytes are needed and [\d,]+ bytes are free"):
        UnitShard.create(tmp_path / "s.safetensors", layout=layout)
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "s.safetensors").write_bytes(b"torn")
    shard = UNIT.shard(tmp_path / "s.safetensors")
    array = UNIT.activations["mlp_out", 0][0]
    np.testing.assert_array_equal(shard.rows("mlp_out", 0, 0), array)
    shard.close_and_remove()


def test_what_a_live_run_holds_is_left_alone(shard: UnitShard) -> None:
    with pytest.raises(EmoactError, match="being written by another process"):
        UnitShard.create(shard.path, layout=LAYOUT)
    np.testing.assert_array_equal(shard.rows("mlp_out", 0, 0), UNIT.activations["mlp_out", 0][0])


def test_dead_shards_and_empty_folders_go_and_live_ones_stay(tmp_path: Path) -> None:
    partial = tmp_path / ".partial"
    live = UNIT.shard(partial / "r1" / "gpt2" / "live.safetensors")
    for name in ("r1/gpt2/dead.safetensors", "r2/gpt2/dead.safetensors"):
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_bytes(b"torn")
    remove_stale_files(partial)
    assert [path for path in partial.rglob("*") if path.is_file()] == [live.path]
    assert not (partial / "r2").exists()
    live.close_and_remove()
    remove_stale_files(partial)
    assert list(tmp_path.iterdir()) == []
    remove_stale_files(partial)


def test_a_folder_swept_up_before_its_shard_was_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    sweeps: list[Any] = []

    def sweep_then_open(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_EXCL and not sweeps:
            sweeps.append(path)
            remove_stale_files(tmp_path / ".partial")
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", sweep_then_open)
    shard = UNIT.shard(tmp_path / ".partial" / "r1" / "gpt2" / "s.safetensors")
    assert len(sweeps) == 1
    assert shard.path.exists()
    shard.close_and_remove()


def test_a_shard_taken_for_a_dead_ones_between_creation_and_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, path = fcntl.flock, tmp_path / "s.safetensors"
    removed: list[Path] = []

    def remove_then_lock(descriptor: int, operation: int) -> None:
        if not removed:
            path.unlink()
            removed.append(path)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    shard = UnitShard.create(path, layout=LAYOUT)
    assert path.stat().st_ino == os.fstat(shard._descriptor).st_ino
    shard.close_and_remove()


def test_closing_gives_the_file_back_and_twice_is_harmless(tmp_path: Path) -> None:
    shard = UNIT.shard(tmp_path / "s.safetensors")
    shard.close_and_remove()
    shard.close_and_remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sites": ()}, "sites is"),
        ({"sites": ("resid_pre", "resid_pre")}, "sites is"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"d_model": 0}, "d_model 0"),
        ({"lengths": (3, -1)}, "shortest sample -1"),
        ({"sites": ("pattern",)}, "needs n_heads"),
    ],
)
def test_an_impossible_layout_is_refused(change: dict[str, Any], said: str) -> None:
    sound: dict[str, Any] = {"sites": ("resid_pre",), "n_layers": 1, "d_model": 1, "lengths": (1,)}
    with pytest.raises(ValueError, match=said):
        ShardLayout(**(sound | change))

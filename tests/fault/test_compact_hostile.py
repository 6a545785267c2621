"""Compact files made to deceive are refused, each within a second of work and 200 MB."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.defuse import defusing
from tests.support.hostile_archives import HOSTILE, by_chance, honest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and RLIMIT_AS are Linux's")

GROWTH = 200 << 20
CPU_SECONDS = 1.0
BY_CHANCE = int(os.environ.get("EMOACT_HOSTILE_ARCHIVES", "1000"))

Defuse = Callable[[bytes], dict[str, Any]]


@pytest.fixture(scope="module")
def defuse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Defuse]:
    path = tmp_path_factory.mktemp("hostile") / "activations_joy.zarr.zip"
    with defusing(GROWTH) as read:

        def ask(data: bytes) -> dict[str, Any]:
            path.write_bytes(data)
            told = read(path)
            assert "died" not in told
            assert told["cpu_seconds"] < CPU_SECONDS
            assert "memory" not in told["reason"]
            assert "malformed (" not in told["reason"]
            return told

        yield ask


def test_the_honest_file_is_read(defuse: Defuse) -> None:
    assert not defuse(honest())["refused"]


@pytest.mark.parametrize("name", HOSTILE)
def test_each_idea_is_refused(name: str, defuse: Defuse) -> None:
    assert defuse(HOSTILE[name]())["refused"]


def test_files_changed_by_chance_are_refused_or_honest(defuse: Defuse) -> None:
    refused = [defuse(by_chance(seed))["refused"] for seed in range(BY_CHANCE)]
    # Some changes leave an honest file: of a text in the metadata, or of numbers and checksum.
    assert 0.7 * BY_CHANCE < sum(refused) < BY_CHANCE

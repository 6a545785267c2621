"""Damaged files are read or refused, and nothing else; EMOACT_FUZZ_SECONDS sets for how long."""

import os
import pickle
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emoact.errors import FileRefusedError
from emoact.store.contract import check_finite
from emoact.store.read.closed import interpret
from emoact.store.reading import describe, unit_of
from tests.support.honest import difference
from tests.support.mutations import mutate, seeds

pytestmark = pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")

SECONDS = float(os.environ.get("EMOACT_FUZZ_SECONDS", "5"))
SEED = int(os.environ.get("EMOACT_FUZZ_SEED", "0"))


def use(data: bytes) -> None:
    """Do with a file what pages do: open it, describe it, touch every value."""
    path = Path("damaged.pkl")
    value = interpret(memoryview(data), path)
    # What the closed reader takes holds closed names only, so pickle may say what it means.
    assert difference(value, pickle.loads(data)) is None
    unit = unit_of(path, value)
    describe(unit)
    check_finite(unit)
    for site in unit.sites:
        for samples in unit.site(site):
            for array, length in zip(samples, unit.lengths, strict=False):
                assert array.dtype == np.float32
                assert array.shape[-1] == unit.d_model or site == "pattern"
                assert array.shape[-2] == length


def test_the_undamaged_files_are_read() -> None:
    for data in seeds():
        use(data)


def test_damaged_files_are_read_or_refused(record_property: Callable[[str, object], None]) -> None:
    files, random_ = seeds(), random.Random(SEED)
    until = time.monotonic() + SECONDS
    tried, reasons = 0, []
    while time.monotonic() < until or tried < 300:
        data = mutate(random_, files)
        tried += 1
        try:
            use(data)
        except FileRefusedError as error:
            reasons.append(error.reason)
    record_property("points", tried)
    assert [reason for reason in reasons if "malformed" in reason or not reason] == []
    assert tried / 4 < len(reasons) < tried

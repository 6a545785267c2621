"""Fair data sets are accused no more often than promised; the seeds were fixed beforehand."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from scripts.calibrate_audit import ALLOWED, SEEDS, verdict_on


def test_of_forty_fair_data_sets_few_are_accused() -> None:
    accused = [seed for seed in SEEDS[:40] if verdict_on(seed, permutations=400).accused]
    # 5 % and two standard errors
    assert len(accused) <= 40 * 0.05 + 2 * math.sqrt(40 * 0.05 * 0.95), accused


@pytest.mark.slow
def test_of_two_hundred_fair_data_sets_at_most_sixteen_are_accused() -> None:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        verdicts = list(pool.map(verdict_on, SEEDS, chunksize=10))
    assert len(verdicts) == 200
    assert sum(bool(verdict.accused) for verdict in verdicts) <= ALLOWED
    p_values = [p for verdict in verdicts for name, p in verdict.p_values]
    assert sum(p <= 0.05 for p in p_values) / len(p_values) == pytest.approx(0.05, abs=0.02)

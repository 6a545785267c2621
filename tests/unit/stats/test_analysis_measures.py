import numpy as np
import pytest

from emoact.positions import spans_from
from emoact.stats.norms.tables import prompt_means, prompt_medians
from emoact.store.summaries import measures
from emoact.store.summaries.measures import measure_site, measure_steps

LENGTHS = (5, 1, 9, 2)


def layers(seed: int = 0, d_model: int = 10) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        [rng.normal(2, 3, size=(n, d_model)).astype(np.float32) for n in LENGTHS] for _ in range(3)
    ]


@pytest.mark.parametrize("block", [3, 4096])
@pytest.mark.parametrize("start", [0, 1])
def test_statistics_equal_numpy(block: int, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "_BLOCK_TOKENS", block)
    arrays = layers()
    found = measure_site(arrays, lengths=LENGTHS, content=spans_from(LENGTHS, start))
    for layer, samples in enumerate(arrays):
        every = np.concatenate(samples).astype(np.float64)
        content = np.concatenate([sample[start:] for sample in samples]).astype(np.float64)
        np.testing.assert_allclose(found.l2[layer], np.linalg.norm(every, axis=1), rtol=1e-12)
        np.testing.assert_allclose(found.l1[layer], np.abs(every).sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(found.mean[layer], content.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.sd[layer], content.std(axis=0), rtol=1e-12)
        np.testing.assert_allclose(
            found.typical[layer], np.median(np.abs(content), axis=0), rtol=1e-6
        )
        order = np.argsort(-np.abs(every), axis=1)[:, :3]
        np.testing.assert_array_equal(found.top_dims[layer], order)
        np.testing.assert_array_equal(
            found.top_values[layer], np.take_along_axis(np.concatenate(samples), order, axis=1)
        )
        assert not found.n_bad[layer].any()
        for prompt, sample in enumerate(samples):
            if len(sample) > start:
                expected = sample[start:].astype(np.float64).mean(axis=0)
                np.testing.assert_allclose(found.pooled[layer, prompt], expected, rtol=1e-6)
            else:
                assert np.isnan(found.pooled[layer, prompt]).all()


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_medians_of_odd_and_even_counts_are_numpys(count: int) -> None:
    rows = np.random.default_rng(count).normal(size=(count, 6)).astype(np.float32)
    (found,) = measure_site([[rows]], lengths=[count], content=[(0, count)]).typical
    np.testing.assert_array_equal(found, np.median(np.abs(rows), axis=0))


def test_tokens_that_are_no_numbers_are_counted_and_left_out_of_dimensions() -> None:
    arrays = layers()
    arrays[1][2][4, 6] = np.nan
    arrays[1][2][4, 7] = np.inf
    found = measure_site(arrays, lengths=LENGTHS, content=spans_from(LENGTHS, 1))
    assert found.n_bad.sum() == found.n_bad[1, 5 + 1 + 4] == 2
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.typical).all()
    assert not np.isfinite(found.l2[1, 10])


def test_the_share_of_the_mlp_is_one_where_it_does_everything() -> None:
    resid, mlp = layers(1), layers(2)
    alone = [
        [after - before for before, after in zip(*pair, strict=True)]
        for pair in zip(resid, [*resid[1:], resid[0]], strict=True)
    ]
    found = measure_steps(resid, alone)
    np.testing.assert_allclose(found["mlp_share"], 1.0, rtol=1e-6)
    found = measure_steps(resid, mlp)
    before, after = np.concatenate(resid[0]), np.concatenate(resid[1])
    part, step = np.concatenate(mlp[0]).astype(float), after.astype(float) - before
    expected = (part * step).sum(axis=1) / (step * step).sum(axis=1)
    np.testing.assert_allclose(found["mlp_share"][0], expected, rtol=1e-6)
    np.testing.assert_allclose(found["step"][0], np.linalg.norm(step, axis=1), rtol=1e-6)


def test_means_and_medians_by_prompt_leave_out_what_comes_before_the_content() -> None:
    norms = np.arange(17.0)[None]
    np.testing.assert_array_equal(
        prompt_means(norms, LENGTHS, spans_from(LENGTHS, 1)), [[2.5, np.nan, (7 + 14) / 2, 16.0]]
    )
    np.testing.assert_array_equal(
        prompt_medians(norms, LENGTHS, spans_from(LENGTHS, 4)), [[4.0, np.nan, 12.0, np.nan]]
    )

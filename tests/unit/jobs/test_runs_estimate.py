import json
from pathlib import Path

import pytest

from emoact.jobs import estimate as estimating
from emoact.jobs.estimate import ModelWork, count_or_guess, estimate_run, unit_bytes
from emoact.jobs.rates import Rate, Rates, learn, rate_key, read_rates
from emoact.jobs.snapshot import Snapshot
from emoact.schema import DType, ExtractionOptions, Generation
from tests.support.numpy_engine import D_MODEL, N_HEADS, N_LAYERS
from tests.support.run_files import SAVED, a_config, a_model, an_event
from tests.support.stand_in_world import World

ALL_SITES = ExtractionOptions(sites=("resid_pre", "mlp_out", "resid_post", "attn_out", "pattern"))


def some_work(**changes: object) -> ModelWork:
    fields = {
        **vars(a_model("tiny")),
        "directory": None,
        "n_layers": 12,
        "d_model": 768,
        "n_heads": 12,
        "n_parameters": 124_000_000,
        "texts": {"anger": ["four words are here"] * 50},
    }
    return ModelWork(**{**fields, **changes})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_disk_is_exact_arithmetic() -> None:
    work = some_work(n_layers=3, d_model=5, n_heads=2)
    plain = ExtractionOptions()
    assert unit_bytes(work, plain, n_tokens=7, n_tokens_squared=0) == 7 * 5 * 4 * 3 * 2
    # Four arrays per layer but for the last residual stream, and 2 heads of 3 x 3 + 4 x 4.
    every = 7 * 5 * 4 * (3 * 3 + 1) + 3 * 2 * (9 + 16) * 4
    assert unit_bytes(work, ALL_SITES, n_tokens=7, n_tokens_squared=25) == every


def test_the_disk_estimate_is_what_the_arrays_occupy(world: World) -> None:
    world.write_dataset(emotions=("anger",), n_samples=20)
    config = world.config(world.model(), options=ALL_SITES)
    view = world.wait(world.start(config).run_id)
    (unit,) = view.units
    n_tokens = unit.n_tokens or 0
    work = some_work(n_layers=N_LAYERS, d_model=D_MODEL, n_heads=N_HEADS)
    arrays = unit_bytes(work, ALL_SITES, n_tokens=n_tokens, n_tokens_squared=20 * 6**2)
    per_array = 120
    n_arrays = 20 * (N_LAYERS * 4 + 1)
    assert arrays < (unit.size or 0) < arrays + n_arrays * per_array + 20_000


def test_a_first_guess_says_so_and_gives_way_to_a_measured_one(cache: Path, tmp_path: Path) -> None:
    guess = estimate_run([some_work()], ExtractionOptions(), results=tmp_path)
    assert guess.rate_source == "guessed"
    key = rate_key("tiny", ExtractionOptions())
    cache.mkdir()
    document = {"models": {key: {"tokens_per_s": 100.0, "ready_s": 3.0, "runs": 1}}}
    (cache / "rates.json").write_text(json.dumps(document))
    measured = estimate_run([some_work()], ExtractionOptions(), results=tmp_path)
    assert measured.rate_source == "measured"
    assert measured.seconds == pytest.approx(3.0 + measured.n_tokens / 100.0)
    other = estimate_run([some_work()], ExtractionOptions(dtype="bfloat16"), results=tmp_path)
    assert other.rate_source == "guessed", "a rate belongs to its dtype"


def test_responses_have_tokens_and_a_rate_of_their_own(cache: Path, tmp_path: Path) -> None:
    learn(a_config(tmp_path), finished(tmp_path))
    work = some_work()
    plain = estimate_run([work], ExtractionOptions(), results=tmp_path)
    options = ExtractionOptions(generation=Generation(max_tokens=7))
    longer = estimate_run([work], options, results=tmp_path)
    n_prompts = sum(len(texts) for texts in work.texts.values())
    assert longer.n_tokens == plain.n_tokens + 7 * n_prompts
    assert (plain.rate_source, longer.rate_source) == ("measured", "guessed")


def test_what_needs_fetching_takes_longer(cache: Path, tmp_path: Path) -> None:
    ready = estimate_run([some_work()], ExtractionOptions(), results=tmp_path)
    fetched = estimate_run(
        [some_work(needs="download", download_bytes=500_000_000)],
        ExtractionOptions(),
        results=tmp_path,
    )
    assert fetched.seconds > ready.seconds + 10


def test_units_on_disk_take_neither_time_nor_room(cache: Path, tmp_path: Path) -> None:
    nothing = estimate_run([some_work(texts={})], ExtractionOptions(), results=tmp_path)
    assert (nothing.seconds, nothing.disk_bytes, nothing.memory_bytes) == (0.0, 0, 0)


def test_the_peak_holds_the_largest_unit_twice(cache: Path, tmp_path: Path) -> None:
    texts = {"small": ["x"] * 10, "large": ["x"] * 100}
    estimate = estimate_run([some_work(texts=texts)], ExtractionOptions(), results=tmp_path)
    assert estimate.peak_disk_bytes - estimate.disk_bytes == estimate.disk_bytes * 100 // 110


def test_too_little_disk_or_memory_gives_a_warning_with_figures(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "free_bytes", lambda _path: 1_000_000)
    monkeypatch.setattr(estimating, "free_memory", lambda: 50_000_000)
    estimate = estimate_run([some_work()], ExtractionOptions(), results=tmp_path)
    disk, memory = estimate.warnings
    assert "1.00 MB free" in disk
    assert "50.0 MB of memory" in memory
    monkeypatch.setattr(estimating, "free_bytes", lambda _path: None)
    monkeypatch.setattr(estimating, "free_memory", lambda: None)
    assert estimate_run([some_work()], ExtractionOptions(), results=tmp_path).warnings == ()


def test_tokens_are_counted_by_the_models_own_tokenizer(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = count_or_guess(str(tmp_path), ["a a a", "b a"])
    assert (found.total, found.total_squared, found.counted) == (5, 13, True)
    many = count_or_guess(str(tmp_path), ["a a"] * 5000)
    assert (many.total, many.total_squared) == (10_000, 20_000)
    with (tmp_path / "tokenizer.json").open("a") as file:
        file.write(" " * 20_000_000)
    assert count_or_guess(str(tmp_path), ["a a a"]).counted is False


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_without_a_tokenizer_tokens_are_guessed(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    found = count_or_guess(str(tmp_path), ["thank you for the soup", "x"])
    assert found.counted is False
    assert 4 <= found.total <= 8


def finished(tmp_path: Path, *, seconds: float = 2.0, elapsed: float = 20.0) -> Snapshot:
    tiny = {"model": "tiny", "emotion": "neutral"}
    neutral = {**SAVED, **tiny, "seconds": seconds, "n_samples": 2, "n_tokens": 20}
    return Snapshot.before(a_config(tmp_path)).after_all(
        [
            an_event("turn"),
            an_event("step", 1.0, step="load", model="tiny"),
            an_event("unit_started", 5.0, model="tiny", emotion="anger"),
            an_event("unit_saved", 7.0, **{**SAVED, "seconds": seconds}),
            an_event("unit_saved", elapsed, **neutral),
        ]
    )


def test_a_run_teaches_its_rate_and_loading_time(cache: Path, tmp_path: Path) -> None:
    learn(a_config(tmp_path), finished(tmp_path))
    key = rate_key("tiny", ExtractionOptions())
    assert read_rates().models == {key: Rate(tokens_per_s=15.0, ready_s=4.0, runs=1)}
    learn(a_config(tmp_path), finished(tmp_path, seconds=1.0))
    assert read_rates().models[key] == Rate(tokens_per_s=22.5, ready_s=4.0, runs=2)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"models": {"x": 1}}', b"\xff" * 100])
def test_a_damaged_memory_is_made_anew(cache: Path, tmp_path: Path, content: bytes) -> None:
    cache.mkdir()
    (cache / "rates.json").write_bytes(content)
    assert read_rates() == Rates()
    learn(a_config(tmp_path), finished(tmp_path))
    assert len(read_rates().models) == 1


def test_an_unwritable_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "file"))
    learn(a_config(tmp_path), finished(tmp_path))
    assert read_rates() == Rates()


def test_half_precision_is_expected_to_be_slow_without_instructions_for_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(dtype: DType, *, has_half: bool) -> float:
        monkeypatch.setattr(estimating, "has_half", lambda: has_half)
        found = estimate_run([some_work()], ExtractionOptions(dtype=dtype), results=tmp_path)
        return found.models[0].n_tokens / found.models[0].tokens_per_s

    assert seconds("bfloat16", has_half=True) == seconds("float32", has_half=False)
    assert seconds("bfloat16", has_half=False) > 2 * seconds("float32", has_half=False)

"""The bench runs every way, and their answers agree. How fast they are is not tested."""

import itertools
import shutil
from pathlib import Path

import pytest

from emoact.bench.bench import Request, bench
from emoact.bench.clicks import click_times
from emoact.bench.contest import numbered
from emoact.bench.limit import Shape, linear_shapes, product_rate
from emoact.bench.peak import peak_of
from emoact.bench.result import BenchResult, Spread
from emoact.bench.subject import RUN
from emoact.data import read_prompts
from emoact.errors import RequestError
from emoact.store.protocol import STORES
from tests.support.families import tiny_config
from tests.support.planted_scenarios import plant_scenarios
from tests.support.tiny_models import FOUR, save_tiny, seeded_model
from tests.support.typed import Typed

SHORT = Path(__file__).parents[2] / "fixtures" / "short_prompts.jsonl"
WAYS = [
    "transformer_lens",
    "hugging_face",
    "hugging_face_batches",
    "emoact_prefix_tree",
    "emoact_sorted_batches",
    "emoact_one_at_a_time",
]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    lines = SHORT.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join([*lines[:5], *lines[50:55]]), encoding="utf-8")
    return path


@pytest.mark.parametrize("family", FOUR)
def test_every_way_gives_the_same_activations(family: str, dataset: Path, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / family)
    request = Request(model=str(folder), dataset=dataset, repeat=1, every=2, memory=False)
    result = bench(request)
    assert [way.name for way in result.ways] == WAYS
    assert max(way.difference for way in result.ways) < 1e-5
    _check_counts(result)


def _check_counts(result: BenchResult) -> None:
    ways = {way.name: way for way in result.ways}
    single, tree = ways["transformer_lens"], ways["emoact_prefix_tree"]
    assert single.n_samples == 6, "every second prompt of two units of five"
    assert tree.n_samples == 10
    assert tree.n_tokens == result.dataset["n_tokens"]
    # A local window cuts trees, and a cut computes what both sides share twice.
    assert result.dataset["distinct_nodes"] <= tree.n_computed < tree.n_tokens
    batches = ways["hugging_face_batches"]
    assert batches.n_computed >= tree.n_tokens
    assert {ratio.slow for ratio in result.ratios} == set(WAYS) - {"emoact_prefix_tree"}
    for ratio in result.ratios:
        slow = ways[ratio.slow]
        expected = (tree.n_samples / tree.seconds[0]) / (slow.n_samples / slow.seconds[0])
        assert ratio.spread.median == pytest.approx(expected)


def test_the_command_prints_one_document(dataset: Path, tmp_path: Path, typed: Typed) -> None:
    folder = save_tiny("llama", tmp_path / "llama")
    words = ["bench", "--model", str(folder), "--dataset", str(dataset), "--repeat", "2", "--json"]
    document = typed(*words, "--speed-only").json
    assert len(document["ways"][0]["seconds"]) == 2
    assert document["limit_gflops"][0] > 0
    assert document["memory"] == []


def test_the_memory_of_a_way_is_that_of_a_process_of_its_own(tmp_path: Path) -> None:
    peak = peak_of(str(save_tiny("gpt2", tmp_path)), RUN, [["one two", "three"], ["four"]])
    # A process with torch, and at least the model.
    assert 50_000_000 < peak.before <= peak.most


def test_copies_of_prompts_share_nothing_but_their_beginning() -> None:
    texts = numbered(["a b", "c d"], 3)
    assert texts == ["a b", "c d", "2 a b", "2 c d", "3 a b", "3 c d"]


def test_the_layers_of_a_block_are_counted_with_their_memory_layout() -> None:
    gpt2 = linear_shapes(seeded_model(tiny_config("gpt2", 100)))
    assert gpt2 == {
        Shape(32, 96, outputs_adjacent=True): 3,
        Shape(32, 32, outputs_adjacent=True): 3,
        Shape(32, 128, outputs_adjacent=True): 3,
        Shape(128, 32, outputs_adjacent=True): 3,
    }
    llama = linear_shapes(seeded_model(tiny_config("llama", 100)))
    assert llama[Shape(32, 64, outputs_adjacent=False)] == 6
    assert llama[Shape(32, 16, outputs_adjacent=False)] == 6


def test_the_limit_weighs_shapes_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {Shape(32, 48, outputs_adjacent=True): 2, Shape(48, 32, outputs_adjacent=False): 1}
    ticks = itertools.count()
    # Every look at the clock is a second after the one before, so that each product takes one.
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    rate = product_rate(shapes, seconds=0.0, rows=10)
    assert rate == pytest.approx(3 * 2e-9 * 10 * 32 * 48 / 3.0)


def test_the_spread_is_the_middle_and_the_ends() -> None:
    spread = Spread.of([3.0, 1.0, 2.0])
    assert (spread.lowest, spread.median, spread.highest) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("option", ["--repeat", "--every"])
def test_no_rounds_are_refused(option: str, typed: Typed) -> None:
    assert f"{option} is 0; 1 or more is allowed" in typed("bench", option, "0", code=2).err


def test_the_short_prompts_are_two_hundred_different_ones() -> None:
    data = read_prompts(SHORT)
    assert {emotion: len(data.of(emotion)) for emotion in data.emotions} == {
        "gratitude": 50,
        "apology": 50,
        "anger": 50,
        "neutral": 50,
    }
    assert len({prompt.text for prompt in data.prompts}) == 200


BOUNDS = {"lossless": 0.0, "rel1e-3": 1e-3, "rel8e-3": 8e-3}


def test_every_store_and_precision_is_measured(tmp_path: Path, typed: Typed) -> None:
    paths = plant_scenarios(tmp_path, emotions=("anger", "neutral"))
    found = typed("bench", "--store", "--results", tmp_path, "--json").json["stores"]
    assert [(each["store"], each["precision"]) for each in found] == [
        (store.name, precision) for store in STORES[:2] for precision in store.precisions
    ]
    assert found[0]["n_bytes"] == sum(path.stat().st_size for path in paths)
    for each in found:
        bound = BOUNDS[each["precision"]]
        assert 0.1 * bound <= each["relative_error"] <= bound
    typed("bench", "--store", "--results", tmp_path / "without files", code=2)


def test_clicks_need_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(RequestError, match="there is none"):
        click_times(tmp_path)

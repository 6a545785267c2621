"""Steering equals a loop over plain Hugging Face, and its command works from files to verdict."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from emoact.causes.continuation import continued
from emoact.causes.loaded import design_of_units, scenarios_of
from emoact.causes.passes import UpperLayers
from emoact.causes.settings import SteerSettings
from emoact.causes.steer import STEER, SteerRequest
from emoact.causes.steering import split_scenarios
from emoact.errors import RequestError
from emoact.extraction.generation import stop_tokens
from emoact.schema import ExtractionOptions, Generation, Processing
from tests.support.brute_force import TEXTS, log_probs, steered_logits
from tests.support.families import tiny_config
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import engine_of, save_tiny, seeded_model, small_tokenizer, texts_of
from tests.support.tiny_results import shipped, tiny_results
from tests.support.typed import Typed

LAYER, N_SCENARIOS = 1, 10


@pytest.mark.parametrize("processing", ["raw", "tl_compat"])
@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "gpt_neo", "llama", "gemma3_text"])
def test_steering_equals_a_plain_loop(family: str, processing: Processing, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / "model")
    options = ExtractionOptions(sites=("resid_pre",), processing=processing)
    engine = engine_of(folder, options, texts=TEXTS)
    texts = texts_of(engine, TEXTS)
    plain = hugging_face(folder)
    # More than fit in one pass, so that several passes are joined.
    vectors = np.random.default_rng(0).normal(size=(40, engine.facts.d_model))
    vectors[0] = 0
    for layer in range(engine.facts.n_layers):
        upper = UpperLayers(engine.bridge, texts, layer=layer, direct=processing == "raw")
        for chosen in ([0, 2, 1], [1]):
            found = upper.log_probs(vectors, chosen)
            for at, text in enumerate(chosen):
                for vector in (0, 1, 39):
                    ids = texts[text].ids.tolist()
                    expected = log_probs(plain, ids, layer, vectors[vector])
                    assert np.abs(found[at][vector] - expected).max() < 1e-5


@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "llama", "gemma3_text"])
def test_a_steered_continuation_is_that_of_plain_hugging_face(family: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / "model")
    options = ExtractionOptions(sites=("resid_pre",))
    engine = engine_of(folder, options, texts=TEXTS)
    (prompt,) = engine.tokenise(TEXTS[:1])
    vector = 3 * np.random.default_rng(1).normal(size=engine.facts.d_model)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    found = {
        start: continued(
            engine,
            prompt,
            layer=1,
            vector=vector,
            generation=Generation(max_tokens=6),
            from_last=start > 1,
        )
        for start in (1, len(prompt.ids) - 1)
    }
    # Small matrices are multiplied in one thread; extraction has its own number again.
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    plain = hugging_face(folder)
    for start, both in found.items():
        for name, added in (("plain", 0 * vector), ("steered", vector)):
            ids = prompt.ids.tolist()
            while len(ids) < len(prompt.ids) + 6:
                best = int(steered_logits(plain, ids, 1, added, start)[-1].argmax())
                if best in stop_tokens(engine.bridge):
                    break
                ids.append(best)
            strings = engine.bridge.tokenizer.batch_decode([[token] for token in ids])
            assert list(both[name].strings) == strings
            assert both[name].n_prompt == len(prompt.ids)
            expected = log_probs(plain, ids, 1, vector, start) - log_probs(
                plain, ids, 1, 0 * vector
            )
            np.testing.assert_allclose(both[name].difference[1:], expected, atol=1e-5)
    for wrong, message in (
        ({"layer": 9}, "layer is 9; the model has the layers 0 to"),
        ({"vector": vector[:5]}, "the direction has 5 numbers"),
        ({"generation": Generation(max_tokens=90)}, "the context has 96"),
    ):
        asked_for = {"layer": 1, "vector": vector, "generation": Generation(max_tokens=6), **wrong}
        with pytest.raises(RequestError, match=message):
            continued(engine, prompt, **asked_for)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Activations of a tiny model on a few of the shipped prompts."""
    with tiny_results(tmp_path_factory.mktemp("steer"), rows=shipped(N_SCENARIOS)) as folder:
        yield folder


def asked(results: Path, *words: str) -> list[str]:
    return ["steer", "--results", str(results), "--emotion", "anger", *words]


def test_own_is_the_change_that_plain_hugging_face_gives(results: Path, typed: Typed) -> None:
    words = asked(results, "--layer", str(LAYER), "--dose", "1", "--dose", "-2", "--json")
    found = typed(*words).json
    train, test = found["train_scenarios"], found["test_scenarios"]
    assert len(train) == 6
    assert len(test) == 4
    assert not set(train) & set(test)
    (snapshot,) = (results.parent / "hub-home").glob("hub/*/snapshots/*")
    plain = hugging_face(snapshot)
    tokens: dict[str, dict[str, list[int]]] = {}
    tokenizer = AutoTokenizer.from_pretrained(snapshot)
    from emoact import read_all

    units = tuple(read_all(results))
    for unit in units:
        tokens[unit.emotion] = {
            str(prompt["scenario_id"]): ids.tolist()
            for prompt, ids in zip(unit.prompts or (), unit.tokens, strict=True)
        }

    @functools.cache
    def pooled(label: str, scenario: str) -> np.ndarray:
        streams = hugging_face_activations(plain, tokens[label][scenario])["resid_pre"]
        return np.asarray(streams[LAYER][1:].mean(axis=0))

    def direction(label: str, scenarios: Sequence[str]) -> np.ndarray:
        own, neutral = ([pooled(each, s) for s in scenarios] for each in (label, "neutral"))
        return np.asarray(np.mean(own, axis=0) - np.mean(neutral, axis=0))

    def changes(label: str, vector: np.ndarray, scenarios: Sequence[str]) -> list[np.ndarray]:
        own = tokens[label]
        none = 0 * vector
        return [
            log_probs(plain, own[s], LAYER, vector) - log_probs(plain, own[s], LAYER, none)
            for s in scenarios
        ]

    def of_split(seed: int, dose: float) -> float:
        design = design_of_units(units)
        names = scenarios_of(units)
        split = split_scenarios(design, names, design.labels, SteerSettings(), seed=seed)
        vector = dose * direction("anger", split.train_scenarios)
        return float(np.concatenate(changes("anger", vector, split.test_scenarios)).mean())

    others = ("apology", "gratitude")

    def behind(sentence: str) -> float:
        added = tokenizer(sentence + "\n", add_special_tokens=False)["input_ids"]
        said = []
        for ids in (tokens["anger"][s] for s in test):
            whole = [*ids[:1], *added, *ids[1:]]
            said.append(log_probs(plain, whole, 0, np.zeros(32))[len(added) :])
            said[-1] = said[-1] - log_probs(plain, ids, 0, np.zeros(32))
        return float(np.concatenate(said).mean())

    prompted = behind("I am so angry."), np.mean([behind(s) for s in found["neutral_prefixes"]])
    assert len(found["neutral_prefixes"]) == 5
    for effect in found["effects"]:
        vectors = {e: effect["dose"] * direction(e, train) for e in tokens}
        said = {label: changes(label, vectors["anger"], test) for label in tokens}
        own = {label: float(np.concatenate(each).mean()) for label, each in said.items()}
        directed = [np.concatenate(changes("anger", vectors[e], test)).mean() for e in others]
        splits = [of_split(seed, effect["dose"]) for seed in range(1, 6)]
        # Of four scenarios the ends are close to those of the lowest and of the highest one alone.
        each = np.array([change.mean() for change in said["anger"]])
        for name, alone in (
            ("own", each),
            ("delta", each - [change.mean() for change in said["neutral"]]),
        ):
            ends = effect[f"{name}_low"], effect[f"{name}_high"]
            assert ends == pytest.approx((alone.min(), alone.max()), abs=0.05 * np.ptp(alone))
        expected = {
            "own": own["anger"],
            "neutral": own["neutral"],
            "others": np.mean([own[e] for e in others]),
            "other_directions": np.mean(directed),
            "specificity_directions": own["anger"] - np.mean(directed),
            "prompt_only": prompted[0],
            "prompt_neutral": prompted[1],
            "own_splits_low": min(splits),
            "own_splits_high": max(splits),
        }
        assert {name: effect[name] for name in expected} == pytest.approx(expected, abs=1e-5)
        assert effect["n_random"] == 100
        assert effect["verdict"] in ("causal", "nothing")
    # Asked again, it is read from disk.
    again = typed(*words)
    assert again.json == found
    assert "started" not in again.err


def test_a_sweep_scores_six_scenarios_where_nothing_else_is_said(results: Path) -> None:
    sizes = {
        (layers, given): STEER.prepare(
            SteerRequest(
                results=results,
                settings=SteerSettings(
                    emotions=("anger",), layers=layers, doses=(1.0,), n_sentences=given
                ),
            )
        ).config.request["asked"]["settings"]["n_sentences"]
        for layers in ((1,), (0, 1))
        for given in (None, 3)
    }
    assert sizes == {((1,), None): None, ((1,), 3): 3, ((0, 1), None): 6, ((0, 1), 3): 3}


def test_a_direction_that_is_made_causal_is_called_causal(tmp_path: Path, typed: Typed) -> None:
    rows = shipped(24)
    model = seeded_model(tiny_config("llama", 2_000))
    tokenizer = small_tokenizer(d_vocab=2_000)
    anger, neutral = (
        np.bincount(
            np.concatenate(
                [tokenizer(row["text"])["input_ids"] for row in rows if row["emotion"] == label]
            ),
            minlength=2_000,
        )
        for label in ("anger", "neutral")
    )
    unit = np.random.default_rng(0).normal(size=32)
    unit /= np.linalg.norm(unit)
    # Words of anger alone write a direction, and along it all words of anger are more probable.
    with torch.no_grad():
        write, read = (anger > 0) & (neutral == 0), anger > 0
        model.model.embed_tokens.weight += 4 * torch.tensor(np.outer(write, unit)).float()
        model.lm_head.weight += 0.5 * torch.tensor(np.outer(read, unit)).float()
    with tiny_results(tmp_path, rows=rows, model=model) as folder:
        found = typed(*asked(folder, "--layer", str(LAYER), "--dose", "1", "--json")).json
    (effect,) = found["effects"]
    assert effect["verdict"] == "causal", effect
    assert effect["own"] > max(effect["random_95"], effect["shuffled_95"], 0)
    assert effect["p"] == pytest.approx(1 / 21)
    assert effect["specific"] in ("specific", "not specific")

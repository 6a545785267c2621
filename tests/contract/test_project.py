"""Projections on a direction and its logit lens equal plain Hugging Face."""

import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.causes.direction import Extremes, Passage, SavedDirection
from emoact.causes.direction_run import ends_of, token_strings
from emoact.causes.project import LONGEST, passages_of
from emoact.errors import RequestError
from emoact.models.cache import hash_of
from emoact.schema import ExtractionOptions
from emoact.store.reading import read
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import engine_of, save_tiny
from tests.support.tiny_results import FOLDER, TEXTS
from tests.support.typed import Typed

LAYER = 2
DIRECTION = ("--model", FOLDER, "--emotion", "anger", "--layer", str(LAYER))
ASKED = ("project", *DIRECTION)
NORMS = {
    "gpt2": "transformer.ln_f",
    "gpt_neo": "transformer.ln_f",
    "gpt_neox": "gpt_neox.final_layer_norm",
    "llama": "model.norm",
    "gemma3_text": "model.norm",
}


class Plain:
    """The direction from the plain model alone."""

    def __init__(self, results: Path) -> None:
        from transformers import AutoTokenizer

        snapshot = next(results.parent.glob("hub-home/hub/*/snapshots/*"))
        self.model = hugging_face(snapshot)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(snapshot)
        pooled = [self.stream(text)[1:].mean(axis=0) for text in TEXTS]
        self.neutral = np.mean(pooled[3:], axis=0)
        self.direction = np.mean(pooled[:3], axis=0) - self.neutral

    def stream(self, text: str) -> np.ndarray:
        ids = [self.tokenizer.bos_token_id, *self.tokenizer(text)["input_ids"]]
        return hugging_face_activations(self.model, ids)["resid_pre"][LAYER]


def plain_projections(results: Path, texts: Sequence[str]) -> list[np.ndarray]:
    """(x − mean of neutral) · unit direction of every position of the texts, BOS included."""
    plain = Plain(results)
    unit = plain.direction / np.linalg.norm(plain.direction)
    return [(plain.stream(text) - plain.neutral) @ unit for text in texts]


@torch.no_grad()
def plain_logits(model: Any, norm: str, vector: np.ndarray) -> np.ndarray:
    """Of a direction at a root mean square of 1, without biases, less the mean."""
    final, head = model.get_submodule(norm), model.get_output_embeddings()
    scaled = torch.tensor(vector / np.sqrt(np.mean(vector**2)), dtype=torch.float32)
    logits = head(final(scaled)) - head(final(torch.zeros_like(scaled)))
    return np.asarray((logits - logits.mean()).numpy())


@pytest.mark.parametrize("kind", NORMS)
def test_the_ends_of_a_direction_equal_plain_hugging_face(kind: str, tmp_path: Path) -> None:
    folder = save_tiny(kind, tmp_path / "model")
    options = ExtractionOptions(sites=("resid_pre",))
    engine = engine_of(folder, options, texts=TEXTS)
    vectors = np.random.default_rng(0).normal(size=(3, engine.facts.d_model))
    ends = ends_of(engine, vectors, 7)
    plain = hugging_face(folder)
    for direction, vector in enumerate(vectors):
        expected = plain_logits(plain, NORMS[kind], vector)
        order = np.argsort(-expected)
        np.testing.assert_allclose(ends.raised[direction], expected[order[:7]], atol=2e-5)
        np.testing.assert_allclose(ends.lowered[direction], expected[order[::-1][:7]], atol=2e-5)
        assert ends.raised_ids[direction].tolist() == order[:7].tolist()
    strings = token_strings(engine, ends)
    first = int(ends.raised_ids[0, 0])
    assert strings[first] == engine.bridge.tokenizer.decode([first])
    with pytest.raises(RequestError, match="has 5 numbers and the stream of this model 32"):
        ends_of(engine, vectors[:, :5], 7)


def test_tokens_are_named_and_chance_does_as_much(tiny: Path, typed: Typed) -> None:
    asked = ["lens", *DIRECTION, "--results", str(tiny), "--random", "40", "--top", "4"]
    found = typed(*asked, "--json").json
    plain = Plain(tiny)
    expected = plain_logits(plain.model, "model.norm", plain.direction)
    assert found["direction_norm"] == pytest.approx(np.linalg.norm(plain.direction), rel=1e-5)
    raised = [row for row in found["tokens"] if row["side"] == "raised"]
    order = np.argsort(-expected)[:4]
    assert [row["token_id"] for row in raised] == order.tolist()
    assert [row["logit"] for row in raised] == pytest.approx(expected[order], rel=1e-4)
    # Random weights: the first token of the direction is within the range of chance.
    assert found["above_random"] == {"raised": False, "lowered": False}
    assert "not above random" in found["sentences"][0]
    assert "The weights are random" in found["sentences"][-1]
    assert 0 < found["p_raised"] <= 1


def test_prompts_and_tokens_rank_as_by_hugging_face(tiny: Path, typed: Typed) -> None:
    found = typed(*ASKED, "--results", tiny, "--top", "4", "--json").json
    every = plain_projections(tiny, TEXTS)
    flat = np.sort(np.concatenate([own[1:] for own in every]))[::-1]
    for side, expected in (("most", flat[:4]), ("least", flat[::-1][:4])):
        rows = [row for row in found["tokens"] if row["side"] == side]
        assert [row["projection"] for row in rows] == pytest.approx(expected, abs=1e-4)
    means = [float(own[1:].mean()) for own in every]
    most = [row for row in found["passages"] if row["side"] == "most"]
    assert [row["projection"] for row in most] == pytest.approx(sorted(means)[:-5:-1], abs=1e-4)
    names = [f"anger-{i}" for i in range(3)] + [f"neutral-{i}" for i in range(3)]
    assert most[0]["passage"] == names[int(np.argmax(means))]
    assert found["n_tokens"] == len(flat)
    assert "project most on the direction of anger" in found["sentences"][0]


def test_a_sentence_is_followed_token_by_token(tiny: Path, typed: Typed) -> None:
    text = "How dare you break the plate."
    found = typed(*ASKED, "--results", tiny, "--text", text, "--json").json
    expected, *saved = plain_projections(tiny, [text, *TEXTS])
    along = [row["projection"] for row in found["tokens"]]
    assert along == pytest.approx(expected, abs=1e-4)
    assert found["projection"] == pytest.approx(expected[1:].mean(), abs=1e-4)
    below = [own[1:].mean() <= found["projection"] for own in saved]
    assert found["percentile"] == pytest.approx(100 * np.mean(below))
    tokens = np.concatenate([own[1:] for own in saved])
    shares = [100 * np.mean(tokens <= value + 1e-9) for value in along]
    # A saved token may lie within rounding of a typed one.
    assert [row["percentile"] for row in found["tokens"]] == pytest.approx(shares, abs=5)
    assert [row["part"] for row in found["tokens"]][:2] == ["template", "text"]


def test_a_file_is_read_passage_by_passage(tiny: Path, tmp_path: Path, typed: Typed) -> None:
    texts = ["You broke the cup.", "The bus leaves at ten.", "How dare you."]
    (tmp_path / "book.txt").write_text("\n\n".join(texts))
    asked = [*ASKED, "--results", str(tiny), "--file", str(tmp_path / "book.txt")]
    found = typed(*asked, "--top", "3", "--json").json
    every = plain_projections(tiny, texts)
    assert found["n_passages"] == 3
    assert found["n_tokens"] == sum(len(own) - 1 for own in every)
    flat = np.concatenate([own[1:] for own in every])
    assert found["mean"] == pytest.approx(flat.mean(), abs=1e-4)
    assert found["sd"] == pytest.approx(flat.std(), abs=1e-4)
    top = [row["projection"] for row in found["tokens"] if row["side"] == "most"]
    assert top == pytest.approx(np.sort(flat)[::-1][:3], abs=1e-4)
    most = next(row for row in found["passages"] if row["side"] == "most")
    best = int(np.argmax([own[1:].mean() for own in every]))
    assert (most["passage"], most["text"]) == (str(2 * best + 1), texts[best])
    # Asked again, it is read from disk.
    assert typed(*asked, "--top", "3", "--json").json == found


def test_another_width_is_refused_with_both(tiny: Path, tmp_path: Path, typed: Typed) -> None:
    from tests.support.planted import plant_grid

    copied = shutil.copytree(tiny, tmp_path / "results")
    plant_grid(copied, ["gpt2"], ["neutral"], n_samples=3)
    (other,) = copied.glob("activations/gpt2/*")
    shutil.copy(other, copied / "activations" / FOLDER / "activations_neutral.pkl")
    assert read(other).d_model != 32
    assert typed(*ASKED, "--results", copied, code=2).err


def test_passages_are_lines_and_pieces_of_long_ones(tmp_path: Path) -> None:
    word = "soup " * 1_000
    path = tmp_path / "text.txt"
    path.write_bytes(("\ufeffone\r\n\r\n  two\n" + word + "\nlast").encode())
    found = [(line, text) for line, text, _ in passages_of(path, hash_of(path))]
    assert found[:2] == [("1", "one"), ("3", "two")]
    assert found[-1] == ("5", "last")
    pieces = [text for line, text in found if line == "4"]
    assert " ".join(pieces).split() == word.split()
    assert max(map(len, pieces)) <= LONGEST
    (tmp_path / "bad.txt").write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(RequestError, match="is not UTF-8 near line 1"):
        list(passages_of(tmp_path / "bad.txt", ""))
    with pytest.raises(RequestError, match="has changed since"):
        list(passages_of(path, "0" * 64))


def test_a_million_tokens_take_no_more_memory_than_a_thousand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    direction = SavedDirection(vector=np.ones(4), neutral=np.zeros((2, 4), np.float32))
    rows = rng.normal(size=(1_000, 4)).astype(np.float32)
    strings = [f" {i}" for i in range(len(rows))]
    (tmp_path / "long.txt").write_text("many words in one line " * 50_000)

    def peak(n_passages: int) -> int:
        extremes = Extremes(5, "mean_content")
        tracemalloc.start()
        for number in range(n_passages):
            passage = Passage(name=str(number), strings=strings, content=(0, len(rows)))
            extremes.add(passage, direction.project(rows) + number % 7)
        for _ in passages_of(tmp_path / "long.txt", hash_of(tmp_path / "long.txt")):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert extremes.n_tokens == n_passages * len(rows)
        return most

    # A passage is 1,000 tokens here.
    assert peak(1_000) < 1.5 * peak(20)

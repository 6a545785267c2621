"""The logit lens of a direction equals plain Hugging Face, and says when chance does as much."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact.causes.lens_run import ends_of, token_strings
from emoact.cli import main
from emoact.errors import RequestError
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.store.reading import read
from tests.support.reference import hugging_face
from tests.support.tiny_models import engine_of, save_tiny
from tests.support.tiny_results import FOLDER, TEXTS, tiny_results

NORMS = {
    "gpt2": "transformer.ln_f",
    "gpt_neo": "transformer.ln_f",
    "gpt_neox": "gpt_neox.final_layer_norm",
    "llama": "model.norm",
    "gemma3_text": "model.norm",
}


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
    engine = engine_of(resolve_model(str(folder)), options, texts=TEXTS)
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


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with tiny_results(tmp_path_factory.mktemp("lens")) as folder:
        yield folder


ASKED = ("--model", FOLDER, "--emotion", "anger", "--layer", "2")


def own_direction(results: Path, layer: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Direction and mean of neutral, from the files."""
    means = []
    for emotion in ("anger", "neutral"):
        unit = read(results / "activations" / FOLDER / f"activations_{emotion}.pkl")
        rows = unit.residual_stream[layer]
        means.append(np.mean([row[1:].mean(axis=0, dtype=np.float64) for row in rows], axis=0))
    return means[0] - means[1], means[1]


def test_the_command_names_the_tokens_and_says_that_chance_does_as_much(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["lens", *ASKED, "--results", str(results), "--random", "40", "--top", "4", "--json"]
    capsys.readouterr()
    assert main(asked) == 0
    found = json.loads(capsys.readouterr().out)
    plain = hugging_face(next(results.parent.glob("hub-home/hub/*/snapshots/*")))
    vector, _ = own_direction(results)
    expected = plain_logits(plain, "model.norm", vector)
    assert found["direction_norm"] == pytest.approx(np.linalg.norm(vector), rel=1e-6)
    raised = [row for row in found["tokens"] if row["side"] == "raised"]
    order = np.argsort(-expected)[:4]
    assert [row["token_id"] for row in raised] == order.tolist()
    assert [row["logit"] for row in raised] == pytest.approx(expected[order], rel=1e-4)
    # Random weights: the first token of the direction is within the range of chance.
    assert found["above_random"] == {"raised": False, "lowered": False}
    assert "not above random" in found["sentences"][0]
    assert "The weights are random" in found["sentences"][-1]
    assert 0 < found["p_raised"] <= 1
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out) == found

"""Patterns that a run writes equal the eager attention of Hugging Face within float16."""

import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoact import read_all
from emoact.causes import patterns
from emoact.causes.attention import SHARES
from emoact.causes.patterns import PATTERNS, PatternWriter, packed, read_pattern, unpacked
from emoact.cli import main
from emoact.errors import FileRefusedError
from emoact.schema import ExtractionOptions
from emoact.store.layout import ResultsRoot
from tests.support.reference import hugging_face
from tests.support.tiny_models import Rows, engine_of, save_tiny
from tests.support.tiny_results import FOLDER, ROWS, TEXTS, tiny_results
from tests.support.typed import Typed

ASKED = ("attention", "--model", FOLDER, "--emotion", "anger", "--json")
HALF = 2.0**-11


@torch.no_grad()
def eager(model: Any, ids: list[int]) -> np.ndarray:
    """Weights `[layer, head, query, key]`."""
    found = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    return np.stack([weights[0].numpy() for weights in found])


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "gpt_neo", "llama", "gemma3_text"])
def test_what_is_kept_of_a_family_equals_eager_attention(kind: str, tmp_path: Path) -> None:
    folder = save_tiny(kind, tmp_path / "model")
    options = ExtractionOptions(sites=("pattern",))
    engine = engine_of(folder, options, texts=TEXTS)
    prompts = engine.tokenise(TEXTS)
    found = Rows()
    engine.forward(prompts, put=found.put)
    plain = hugging_face(folder)
    for sample, prompt in enumerate(prompts):
        expected = eager(plain, prompt.ids.tolist())
        layers = range(engine.facts.n_layers)
        pattern = np.stack([found["pattern", layer, sample] for layer in layers])
        np.testing.assert_allclose(pattern, expected, atol=1e-5)
        kept = packed(pattern, "triangles")
        assert kept["pattern"].dtype == np.float16
        np.testing.assert_allclose(unpacked(kept), expected, atol=HALF)
        reduced = packed(pattern, "reduced")
        largest = np.sort(expected, axis=-1)[..., ::-1][..., :8]
        np.testing.assert_allclose(reduced["weights"], largest, atol=HALF)
        # Entropies are below 8 bits, where float16 has steps of 1/256.
        logs = np.log2(np.where(expected > 0, expected, 1.0))
        expected_bits = -(expected * logs).sum(axis=-1)
        np.testing.assert_allclose(reduced["entropy"], expected_bits, atol=1 / 256)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    rows = [{**row, "text": " ".join([row["text"]] * 6)} for row in ROWS]
    with tiny_results(tmp_path_factory.mktemp("patterns"), rows=rows) as folder:
        yield folder


@pytest.mark.parametrize("budget", ["1000", "0"])
def test_patterns_are_read_prompt_by_prompt(results: Path, budget: str, typed: Typed) -> None:
    said = typed(*ASKED, "--results", results, "--budget", budget)
    found = said.json
    form: patterns.Form = "triangles" if budget == "1000" else "reduced"
    assert found["form"] == form
    assert ("more than the budget" in said.err) == (form == "reduced")
    path = Path(found["patterns"])
    # The size that was said beforehand is an upper bound, and no more than headers above.
    assert path.stat().st_size == found["size"] <= patterns.bytes_of([120] * 3, 3, 4, form)
    saved = next(each for each in PATTERNS.saved(ResultsRoot(results)) if each.id == found["id"])
    snapshot = next(results.parent.glob("hub-home/hub/*/snapshots/*"))
    plain = hugging_face(snapshot)
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(snapshot)
    rows, n_tokens = np.zeros((3, 4, 3)), 0
    for sample, text in enumerate(TEXTS[:3]):
        ids = [tokenizer.bos_token_id, *tokenizer(" ".join([text] * 6))["input_ids"]]
        expected = eager(plain, ids)
        read = read_pattern(saved, sample)
        if form == "triangles":
            np.testing.assert_allclose(read.pattern, expected, atol=HALF)
        else:
            kept = read.pattern > 0
            assert kept.sum(axis=-1).max() <= 8
            np.testing.assert_allclose(read.pattern[kept], expected[kept], atol=HALF)
            np.testing.assert_allclose(read.shares["first_mass"], expected[..., 0], atol=HALF)
        logs = np.log2(np.where(expected > 0, expected, 1.0))
        before = np.zeros(expected.shape[:-1])
        before[..., 1:] = np.diagonal(expected, offset=-1, axis1=-2, axis2=-1)
        shares = [-(expected * logs).sum(axis=-1), expected[..., 0], before]
        rows += np.stack([each[..., 1:].sum(axis=-1) for each in shares], axis=-1)
        n_tokens += len(ids) - 1
    means = np.array([[row[n] for n in SHARES] for row in found["heads"]])
    np.testing.assert_allclose(means, rows.reshape(-1, 3) / n_tokens, atol=1e-4)


def test_patterns_of_an_extraction_are_kept_compactly(
    results: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    plain = hugging_face(next(results.parent.glob("hub-home/hub/*/snapshots/*")))
    asked = ["extract", "--model", "lab/tiny", "--dataset", "prompts.jsonl", "--emotion", "anger"]
    sizes = {}
    for store, words in (
        ("pickle", ["--store", "pickle"]),
        ("compact", ["--store", "compact", "--precision", "rel1e-3"]),
    ):
        folder = tmp_path / store
        words += ["--site", "pattern", "--results", str(folder)]
        typed(*asked, *words)
        (unit,) = read_all(folder)
        sizes[store] = unit.path.stat().st_size
        for sample, ids in enumerate(unit.tokens):
            expected = eager(plain, ids.tolist())
            found = np.stack([layer[sample] for layer in unit.site("pattern")])
            np.testing.assert_allclose(found, expected, atol=HALF)
        typed("verify", "--results", folder)
    assert sizes["compact"] < 0.6 * sizes["pickle"]


def test_a_full_disk_is_named(results: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted((results / "runs").iterdir())
    monkeypatch.setattr(patterns, "free_bytes", lambda _path: 5_000)
    assert "5.00 kB of disk are free" in typed(*ASKED, "--results", results, code=2).err
    assert sorted((results / "runs").iterdir()) == before


def test_more_than_is_free_is_reduced_with_the_reason() -> None:
    sizes: dict[patterns.Form, int] = {"triangles": 900, "reduced": 300}
    assert patterns.form_for(sizes, 1_000, 5_000) == ("triangles", "")
    form, why = patterns.form_for(sizes, 1_000, 500)
    assert form == "reduced"
    assert "more than is free" in why


def test_patterns_of_short_prompts_are_whole_where_that_takes_less() -> None:
    sizes: dict[patterns.Form, int] = {"triangles": 340, "reduced": 800}
    assert patterns.form_for(sizes, 0, 500) == ("triangles", "")


def test_a_changed_file_is_refused(results: Path, tmp_path: Path) -> None:
    assert main([*ASKED, "--results", str(results)]) == 0
    copied = shutil.copytree(results, tmp_path / "results")
    saved = next(
        each for each in PATTERNS.saved(ResultsRoot(copied)) if each.found["form"] == "triangles"
    )
    path = saved.path.parent / patterns.FILE
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(FileRefusedError, match="not as written"):
        read_pattern(saved, 0)
    other = BytesIO()
    writer = PatternWriter(other, "triangles")
    writer.add(0, np.ones((3, 4, 2, 2)))
    writer.close()
    padded = other.getvalue().ljust(len(content), b"\0")
    path.write_bytes(padded)
    with pytest.raises(FileRefusedError):
        read_pattern(saved, 0)

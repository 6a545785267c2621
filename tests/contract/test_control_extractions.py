"""Control extractions of tiny real models, against one forward pass of Hugging Face at a time."""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from emoact.data.controls import shuffle_words
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.controls import compute_controls
from emoact.extraction.extractor import ActivationExtractor
from emoact.positions import Pooling
from emoact.schema import BosPolicy, ExtractionOptions
from emoact.store.controls import CONTEXTLESS, ControlSettings, UnitControls, shuffle_name
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import engine_of, save_tiny

SITES = ("resid_pre", "mlp_out")
TEXTS = (
    "Thank you for the soup, thank you.",
    "Sorry!",
    "You kept the keys again, and nobody could get in.",
)


@dataclass(frozen=True)
class Extracted:
    controls: UnitControls
    engine: BridgeEngine
    model: Any
    folder: Path

    def computed(self, name: str, pooling: Pooling) -> dict[str, np.ndarray]:
        settings = dataclasses.replace(self.controls.settings, pooling=pooling)
        controls = dataclasses.replace(self.controls, settings=settings)
        return compute_controls(controls, name, self.engine, lambda _: None)


def extracted(family: str, path: Path, bos: BosPolicy) -> Extracted:
    folder = save_tiny(family, path / "model")
    rows = "".join(f"{text}\tanger\n" for text in TEXTS)
    (path / "prompts.tsv").write_text(f"text\temotion\n{rows}")
    options = ExtractionOptions(bos=bos)
    (file,) = ActivationExtractor(str(folder), options=options).extract_dataset(
        path / "prompts.tsv", results=path / "results"
    )
    controls = UnitControls(
        root=ResultsRoot(path / "results"),
        unit=read(file),
        settings=ControlSettings(sites=SITES, pooling="mean_content", n_shuffles=20, seed=3),
    )
    engine = engine_of(folder, options, texts=TEXTS)
    return Extracted(controls, engine, hugging_face(folder), folder)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def with_bos(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    return extracted(request.param, tmp_path_factory.mktemp("controls"), "prepend")


def pooled(rows: np.ndarray, start: int, pooling: Pooling) -> np.ndarray:
    """The pooling by hand."""
    if pooling == "last":
        return np.asarray(rows[-1])
    return np.asarray(rows[start if pooling == "mean_content" else 0 :].mean(axis=0))


def check(found: np.ndarray, expected: np.ndarray) -> None:
    gap = np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert gap.max() < 1e-5


@pytest.mark.parametrize("pooling", ["mean_content", "last", "mean_all"])
def test_contextless_is_the_mean_of_lone_tokens(with_bos: Extracted, pooling: Pooling) -> None:
    found = with_bos.computed(CONTEXTLESS, pooling)
    tokenizer = AutoTokenizer.from_pretrained(with_bos.folder)
    bos = tokenizer.bos_token_id
    for prompt, text in enumerate(TEXTS):
        passes = [
            hugging_face_activations(with_bos.model, [bos, token])
            for token in tokenizer(text)["input_ids"]
        ]
        for site in SITES:
            for layer in range(3):
                before = passes[0][site][layer][:1]
                rows = np.concatenate([before, *(one[site][layer][1:] for one in passes)])
                check(found[site][prompt, layer], pooled(rows, 1, pooling))


@pytest.mark.parametrize("pooling", ["mean_content", "last", "mean_all"])
def test_a_shuffle_is_what_its_text_gives_by_itself(with_bos: Extracted, pooling: Pooling) -> None:
    found = with_bos.computed(shuffle_name(7), pooling)
    tokenizer = AutoTokenizer.from_pretrained(with_bos.folder)
    for prompt, text in enumerate(TEXTS):
        words = shuffle_words(text, prompt_id=with_bos.controls.ids[prompt], number=7, seed=3)
        ids = [tokenizer.bos_token_id, *tokenizer(words)["input_ids"]]
        alone = hugging_face_activations(with_bos.model, ids)
        for site in SITES:
            for layer in range(3):
                check(found[site][prompt, layer], pooled(alone[site][layer], 1, pooling))


def test_without_bos_contextless_is_the_token_alone(tmp_path: Path) -> None:
    world = extracted("llama", tmp_path, "none")
    found = world.computed(CONTEXTLESS, "mean_content")
    ids = AutoTokenizer.from_pretrained(world.folder)(TEXTS[0])["input_ids"]
    passes = [hugging_face_activations(world.model, [token]) for token in ids]
    for layer in range(3):
        rows = np.concatenate([one["resid_pre"][layer] for one in passes])
        check(found["resid_pre"][0, layer], rows.mean(axis=0))
    shutil.rmtree(tmp_path / "model")

"""The report's four tests: initialising the extractor, one text, several texts, a data set."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import emoact
from emoact.errors import RequestError
from emoact.schema import ExtractionOptions
from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("gpt2", tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def extractor(folder: Path) -> emoact.ActivationExtractor:
    return emoact.ActivationExtractor(str(folder))


def test_the_extractor_knows_its_model(extractor: emoact.ActivationExtractor) -> None:
    assert (extractor.model_name, extractor.n_layers, extractor.d_model) == ("tiny", 3, 32)
    assert extractor.facts.bos["token"] == "<|endoftext|>"
    assert extractor.facts.random_weights
    assert extractor.facts.self_check["additivity_error"] < 1e-5


def test_one_text_gives_both_sites(extractor: emoact.ActivationExtractor, folder: Path) -> None:
    sample = extractor.extract("Thank you for the soup.")
    assert sample.token_strings[0] == "<|endoftext|>"
    shape = (3, len(sample.tokens), 32)
    assert sample.residual_stream.shape == sample.mlp_output.shape == shape
    reference = hugging_face_activations(hugging_face(folder), sample.tokens.tolist())
    for layer in range(3):
        ours = sample.residual_stream[layer]
        assert largest_difference(ours, reference["resid_pre"][layer]) < 1e-5
        assert largest_difference(sample.mlp_output[layer], reference["mlp_out"][layer]) < 1e-5


def test_several_texts_equal_each_alone(extractor: emoact.ActivationExtractor) -> None:
    texts = ["Thank you for the soup.", "A", "You kept the keys again.", "Thank you for the keys."]
    samples = extractor.extract(texts)
    assert [sample.text for sample in samples] == texts
    for text, sample in zip(texts, samples, strict=True):
        alone = extractor.extract(text)
        assert sample.tokens.tolist() == alone.tokens.tolist()
        assert largest_difference(sample.mlp_output, alone.mlp_output.astype(np.float64)) < 1e-5
    assert extractor.extract([]) == []


def test_a_data_set_becomes_pickles(extractor: emoact.ActivationExtractor, tmp_path: Path) -> None:
    data = tmp_path / "mine.jsonl"
    rows = [("joy", "We won the match."), ("joy", "You came."), ("fear", "Something moved.")]
    lines = [json.dumps({"text": text, "emotion": emotion}) for emotion, text in rows]
    data.write_text("\n".join(lines))
    paths = extractor.extract_dataset(data, results=tmp_path / "results")
    assert [path.name for path in paths] == ["activations_joy.pkl", "activations_fear.pkl"]
    with paths[0].open("rb") as file:
        saved = pickle.load(file)
    assert saved["labels"] == ["joy", "joy"]
    assert len(saved["residual_stream"]) == 3
    sample = extractor.extract("You came.")
    assert torch.equal(saved["tokens"][1], torch.from_numpy(sample.tokens))
    assert saved["token_strings"][1] == list(sample.token_strings)
    for layer in range(3):
        ours = saved["residual_stream"][layer][1]
        assert ours.dtype == np.float32
        assert ours.flags.c_contiguous
        assert largest_difference(ours, sample.residual_stream[layer].astype(np.float64)) < 1e-5
    read = emoact.read(paths[0])
    np.testing.assert_array_equal(read.mlp_output[2][0], saved["mlp_output"][2][0])


def test_a_long_text_is_refused_or_cut(extractor: emoact.ActivationExtractor, folder: Path) -> None:
    long_text = "soup " * 200
    with pytest.raises(RequestError, match=r"tokens; tiny takes at most 96"):
        extractor.extract(long_text)
    cutting = emoact.ActivationExtractor(str(folder), options=ExtractionOptions(truncate=True))
    assert cutting.extract(long_text).residual_stream.shape == (3, 96, 32)


def test_a_site_that_was_not_asked_for_is_empty(folder: Path) -> None:
    options = ExtractionOptions(sites=("resid_pre",))
    sample = emoact.ActivationExtractor(str(folder), options=options).extract("Thank you.")
    assert sample.mlp_output.shape[0] == 0
    assert sample.residual_stream.shape[0] == 3

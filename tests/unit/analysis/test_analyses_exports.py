import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from emoact.analysis.key import InputFile
from emoact.analysis.save import save_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.analysis.steering import block_vectors, write_control_vector
from emoact.cli.analyze_command import write_steering_vector
from emoact.errors import RequestError
from emoact.stats.result import AnalysisResult
from emoact.store.layout import ResultsRoot


@pytest.fixture
def saved(root: ResultsRoot, analysed: tuple[AnalysisResult, Sequence[InputFile]]) -> SavedAnalysis:
    return save_analysis(root, *analysed)


def test_the_direction_of_a_layer_belongs_to_the_block_before(saved: SavedAnalysis) -> None:
    by_layer = saved.directions("other", "resid_pre")["anger"]
    vectors = block_vectors(saved, "other", "anger")
    assert list(vectors.vectors) == [0, 1, 2]
    for block, vector in vectors.vectors.items():
        np.testing.assert_array_equal(vector, by_layer[block + 1])


def test_a_control_vector_is_read_by_repeng(saved: SavedAnalysis, tmp_path: Path) -> None:
    path = tmp_path / "out" / "anger.gguf"
    vectors = block_vectors(saved, "other", "anger")
    write_control_vector(path, vectors, model_hint="llama")
    reader = GGUFReader(path)

    def text(key: str) -> str:
        field = reader.get_field(key)
        assert field is not None
        return bytes(field.parts[-1]).decode()

    assert text("general.architecture") == "controlvector"
    assert text("controlvector.model_hint") == "llama"
    assert text("emoact.contrast") == "mean(anger) - mean(neutral)"
    assert "random weights" in text("emoact.badges")
    count = reader.get_field("controlvector.layer_count")
    assert count is not None
    assert int(count.parts[-1][0]) == 2
    # llama.cpp and repeng know no vector for block 0.
    assert [tensor.name for tensor in reader.tensors] == ["direction.1", "direction.2"]
    for tensor in reader.tensors:
        block = int(tensor.name.split(".")[1])
        np.testing.assert_array_equal(tensor.data, vectors.vectors[block])
    assert [each.name for each in path.parent.iterdir()] == ["anger.gguf"]


def test_a_steering_vector_runs_no_code(saved: SavedAnalysis, tmp_path: Path) -> None:
    vectors = block_vectors(saved, "gpt2", "gratitude")
    beside = write_steering_vector(tmp_path / "gratitude.pt", vectors)
    fields = torch.load(tmp_path / "gratitude.pt", weights_only=True)
    # The fields of the library's dataclass, and no others.
    assert set(fields) == {"layer_activations", "layer_type"}
    assert fields["layer_type"] == "decoder_block"
    assert {type(block) for block in fields["layer_activations"]} == {int}
    for block, vector in vectors.vectors.items():
        tensor = fields["layer_activations"][block]
        assert tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.numpy(), vector)
    described = json.loads(beside.read_text())
    assert described["contrast"] == "mean(gratitude) - mean(neutral)"
    assert "random weights" in described["badges"]


def test_what_cannot_be_exported_is_refused(saved: SavedAnalysis) -> None:
    with pytest.raises(RequestError, match="no direction of 'joy' in gpt2; it has anger"):
        block_vectors(saved, "gpt2", "joy")
    with pytest.raises(RequestError, match="has no 'gpt3'"):
        block_vectors(saved, "gpt3", "anger")

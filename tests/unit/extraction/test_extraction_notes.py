"""The error of half precision is told during the run, and stands in the file."""

from pathlib import Path

import pytest

from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from emoact.jobs.request import ExtractRequest, prepare
from emoact.schema import DType, ExtractionOptions
from emoact.store.reading import read
from tests.support.tiny_models import save_tiny

ROWS = """\
{"id": "a", "emotion": "neutral", "text": "The train leaves at nine."}
{"id": "b", "emotion": "neutral", "text": "The train leaves at noon."}
"""


class _Listening(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, *words: object, **_: object) -> None:
        self.notes += map(str, words)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_run_says_how_far_half_precision_is_from_float32(dtype: DType, tmp_path: Path) -> None:
    folder = save_tiny("gpt2", tmp_path / "tiny")
    dataset = tmp_path / "rows.jsonl"
    dataset.write_text(ROWS, encoding="utf-8")
    request = ExtractRequest(
        models=(str(folder),),
        dataset=dataset,
        results=tmp_path / "results",
        options=ExtractionOptions(dtype=dtype),
    )
    reporter = _Listening()
    run_units(prepare(request), reporter=reporter, plans={})
    (path,) = (tmp_path / "results" / "activations").glob("*/*.pkl")
    provenance = read(path).provenance
    assert provenance is not None
    throughput = provenance["throughput"]
    assert throughput["n_distinct_prefixes"] < throughput["n_tokens"]
    if dtype == "float32":
        assert reporter.notes == []
        return
    error = provenance["self_check"]["dtype_error"]
    assert f"differs from float32 by up to {error['largest']:.1g}" in reporter.notes[0]

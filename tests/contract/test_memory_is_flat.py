"""Ten times the prompts need no more memory: what is computed goes to the disk, not to a list."""

from pathlib import Path

import pytest
from transformers import GPT2Config

from emoact.bench.peak import peak_of
from emoact.bench.subject import RUN
from tests.support.tiny_models import seeded_model, small_tokenizer

pytestmark = pytest.mark.fault

WORDS = "the soup was cold again and nobody came to the door when we rang for the third time"
LAYERS, WIDTH, COPIES = 4, 192, 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flat") / "gpt2"
    tokenizer = small_tokenizer()
    config = GPT2Config(
        n_layer=LAYERS, n_embd=WIDTH, n_head=4, vocab_size=len(tokenizer), n_positions=64
    )
    seeded_model(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_ten_times_the_prompts_need_no_more_memory(folder: Path) -> None:
    def peak(count: int) -> int:
        texts = [f"{number} {WORDS}" for number in range(count)]
        return peak_of(str(folder), RUN, [texts]).most

    tokens = len(small_tokenizer()(f"100 {WORDS}")["input_ids"]) + 1
    computed = (COPIES - COPIES // 10) * tokens * LAYERS * 2 * WIDTH * 4
    assert computed > 80e6, "the activations themselves would show"
    growth = peak(COPIES) - peak(COPIES // 10)
    assert growth < computed / 4

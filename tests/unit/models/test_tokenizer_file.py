from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from emoact.errors import RequestError
from emoact.models.tokenizer_file import count_tokens
from tests.support.loaded import loaded

TEXTS = ["Thank you for the soup.", "You ate it, all of it!", "é" * 30, "one"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return tokenizer


def test_counts_are_those_of_one_text_at_a_time(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    counts = count_tokens(path, TEXTS)
    assert counts.dtype == np.int64
    assert counts.tolist() == [len(tokenizer.encode(text).ids) - 1 for text in TEXTS]
    assert count_tokens(path, []).shape == (0,)
    cutting = Tokenizer.from_file(str(path))
    cutting.enable_truncation(2)
    cutting.enable_padding(length=50)
    cutting.save(str(path))
    assert count_tokens(path, TEXTS).tolist() == counts.tolist()


def test_a_missing_tokenizer_is_refused_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no such file.*\nInstall the model first"):
        count_tokens(tmp_path / "tokenizer.json", TEXTS)


def test_neither_torch_nor_the_tokenizers_package_is_imported_before_a_count() -> None:
    assert not loaded("import emoact.models.tokenizer_file") & {"torch", "tokenizers"}

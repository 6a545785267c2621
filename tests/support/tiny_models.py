"""Seeded models: tiny ones for fast tests, full-size twins in a hub cache.

Random weights say nothing about emotion; they test loading, parity, size and speed only.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    PreTrainedTokenizerFast,
)

from emoact.causes.passes import Text
from emoact.extraction.bridge_engine import BridgeEngine, load_engine
from emoact.extraction.engine import EngineRequest
from emoact.extraction.extractor import ActivationExtractor
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions
from tests.support.families import Family, tiny_config

FOUR = ("gpt2", "gpt_neox", "gpt_neo", "llama")
"""The families of the registry, on which every property is tested."""

_DATA = Path(__file__).parents[2] / "data" / "prompts.jsonl"


@functools.cache
def small_tokenizer(*, with_bos: bool = True, d_vocab: int = 600) -> PreTrainedTokenizerFast:
    """A byte-level BPE of that many tokens, trained on the shipped prompts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(_DATA)], trainer)
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"} if with_bos else {}
    # Untyped in transformers.
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)  # type: ignore[no-untyped-call]


def seeded_model(config: Any, seed: int = 0) -> Any:
    """A model with random weights, biases and norms included, large enough to matter."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.config.architectures = [type(model).__name__]
    model.config.emoact_random_weights = True
    return model.eval()


def save_tiny(family: str | Family, folder: Path, *, seed: int = 0, with_bos: bool = True) -> Path:
    """A local Hugging Face directory of a tiny model; returns it."""
    tokenizer = small_tokenizer(with_bos=with_bos)
    n = len(tokenizer)
    config = tiny_config(family, n) if isinstance(family, str) else family.config(n)
    seeded_model(config, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


ROLES = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""A chat template that names who speaks."""


def save_with_prompts(
    path: Path, texts: Sequence[str], family: str | Family = "gpt2", *, template: str = ROLES
) -> Path:
    """A tiny model with a chat template, beside `prompts.tsv` with each text in two classes."""
    folder = save_tiny(family, path / "model")
    (folder / "chat_template.jinja").write_text(template)
    rows = [f"{text}\t{emotion}\n" for emotion in ("anger", "neutral") for text in texts]
    (path / "prompts.tsv").write_text("text\temotion\n" + "".join(rows))
    return folder


def extracted(model: Path, results: Path, **options: Any) -> list[Path]:
    """The files of the prompts beside a model."""
    extractor = ActivationExtractor(str(model), options=ExtractionOptions(**options))
    return extractor.extract_dataset(model.parent / "prompts.tsv", results=results)


def engine_of(
    model: ModelSource | Path,
    options: ExtractionOptions | None = None,
    *,
    texts: Sequence[str],
    **how: Any,
) -> BridgeEngine:
    """The loaded and checked model."""
    source = resolve_model(str(model)) if isinstance(model, Path) else model
    options = options or ExtractionOptions()
    return load_engine(EngineRequest(source=source, options=options, texts=tuple(texts), **how))


def texts_of(engine: BridgeEngine, texts: Sequence[str], words: Sequence[int] = ()) -> list[Text]:
    """Texts that are changed behind their first token, and scored where their content is."""
    return [
        Text(ids=each.ids, changed_from=1, scored=each.content, words=tuple(words))
        for each in engine.tokenise(texts)
    ]


class Rows(dict[tuple[str, int, int], np.ndarray]):
    """Activations by site, layer and sample, as they are handed over."""

    def put(self, site: str, layer: int, sample: int, rows: np.ndarray) -> None:
        assert (site, layer, sample) not in self, "handed over twice"
        self[site, layer, sample] = rows.copy()


TWINS: dict[str, Any] = {
    "gpt2": GPT2Config(),
    "EleutherAI/pythia-160m": GPTNeoXConfig(
        num_hidden_layers=12,
        hidden_size=768,
        num_attention_heads=12,
        intermediate_size=3072,
        vocab_size=50_304,
        max_position_embeddings=2048,
        use_parallel_residual=True,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.25,
        },
    ),
    "EleutherAI/gpt-neo-125M": GPTNeoConfig(
        num_layers=12,
        hidden_size=768,
        num_heads=12,
        vocab_size=50_257,
        max_position_embeddings=2048,
        attention_types=[[["global", "local"], 6]],
        window_size=256,
    ),
}
"""Configurations of the report's three models, by hub id."""


def save_in_hub_cache(model: Any, hub_id: str, hf_home: Path, *, seed: int = 0) -> Path:
    """Put a model where an ordinary download would, so that its id resolves offline."""
    commit = f"{seed:040x}"
    repository = hf_home / "hub" / f"models--{hub_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    model.save_pretrained(snapshot)
    # Large enough for a prompt to have about as many tokens as with the real vocabulary.
    small_tokenizer(d_vocab=2_000).save_pretrained(snapshot)
    return snapshot


def save_twin(hub_id: str, hf_home: Path, *, seed: int = 0) -> Path:
    """A full-size model of the report with random weights, in a hub cache."""
    return save_in_hub_cache(seeded_model(TWINS[hub_id], seed), hub_id, hf_home, seed=seed)

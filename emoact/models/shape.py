"""Sizes of a model, read from its configuration without loading it."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from emoact.child import ask
from emoact.decode import decode, encode, read_json
from emoact.errors import RequestError
from emoact.files import open_regular
from emoact.models.cache import cache_root, keep
from emoact.models.source import ModelShape

_KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
"""Fields by which transformers fetches code from the hub, where the package `kernels` is there."""
_MAX_CONFIG_BYTES = 4_000_000
_SETTINGS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
"""Files of which a byte can take 90 in memory: one token of 10 MB took 0.9 GB."""
_SMALL = (".json", ".jinja", ".txt", ".model")
_LARGEST_SMALL = 200_000_000
TEXT_ONLY = "Choose a model of text alone; docs/models.md lists the families."
_MOST_PARTS = 10_000
"""Layers, heads or experts; the largest models have a few hundred of each."""
_COUNTS = frozenset({"n_layer", "n_layers", "n_head", "n_heads", "attention_heads"})
_MOST = {
    "n_layers": _MOST_PARTS,
    "d_model": 1_000_000,
    "n_heads": _MOST_PARTS,
    "d_vocab": 100_000_000,
    "context": 10**12,
}
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    struct.error,
)
_LAYOUT = (
    "A model directory holds config.json, tokenizer.json and *.safetensors, as `save_pretrained` "
    "writes them."
)


def check_files(directory: Path) -> None:
    """Check that transformers finds regular files of a usual size in a model's folder.

    It would wait for a pipe in place of `generation_config.json`, and read a device without end.

    Raises:
        RequestError: One is something else, or too large, or asks for an adapter.
    """
    if os.path.lexists(directory / "adapter_config.json"):
        raise RequestError(
            f"{directory} holds an adapter (adapter_config.json), whose weights no hash would name",
            remedy="Save the model with its adapter merged into its weights, or remove that file.",
        )
    for path in sorted([*directory.iterdir(), *directory.glob("additional_chat_templates/*")]):
        if path.suffix not in _SMALL or path.is_dir():
            continue
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise RequestError(f"{path} cannot be read: {error.strerror}", remedy=_LAYOUT) from None
        limit = _MAX_CONFIG_BYTES if path.name in _SETTINGS else _LARGEST_SMALL
        if size > limit:
            raise RequestError(
                f"{path} has {size:,} bytes; at most {limit:,} are read", remedy=_LAYOUT
            )


def check_against_weights(shape: ModelShape, n_parameters: int | None, where: Path) -> None:
    """Refuse a configuration that asks for more parameters than its weights have.

    transformers would make the missing ones, which can take all memory.

    Raises:
        RequestError: It does.
    """
    least = max(shape.d_vocab, shape.n_layers * shape.d_model) * shape.d_model
    if n_parameters is not None and least > n_parameters:
        raise RequestError(
            f"{where}: its sizes need at least {shown_number(least)} parameters, and its weights "
            f"have {n_parameters:,}",
            remedy="Compare the file with that of the model's publisher.",
        )


def read_config(directory: Path) -> dict[str, Any]:
    """`config.json` of a Hugging Face directory.

    Raises:
        RequestError: The file is missing, is not JSON, or requires code of a repository.
    """
    path = directory / "config.json"
    try:
        # Files of the hub's cache are links.
        config = read_json(path, limit=_MAX_CONFIG_BYTES, follow=True)
    except RequestError as error:
        raise RequestError(
            f"{directory} has no readable config.json: {error.message}", remedy=_LAYOUT
        ) from error
    if not isinstance(config, dict):
        raise RequestError(f"{path} holds a {type(config).__name__}; a JSON object is expected")
    _refuse_remote_code(config, path)
    return config


def _refuse_remote_code(config: Mapping[str, Any], path: Path) -> None:
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("auto_map") and not _in_transformers(value.get("model_type")):
                raise RequestError(
                    f"{path} requires code from the model's repository (auto_map), which emoact "
                    "does not run",
                    remedy="Use a model whose architecture is part of transformers.",
                )
            if "transformers_weights" in value:
                raise RequestError(
                    f"{path} names a file of weights itself (transformers_weights), which no hash "
                    "would name",
                    remedy="Call that file model.safetensors, and take the field out.",
                )
            kernel = next((each for name in _KERNELS if "/" in str(each := value.get(name))), None)
            if kernel is not None:
                raise RequestError(
                    f"{path} requires code from a repository of kernels ({kernel!r:.80}), which "
                    "emoact does not run",
                    remedy="Take that field out of the file.",
                )
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _in_transformers(model_type: object) -> bool:
    """True for an architecture of transformers, which then leaves code of the repository alone.

    transformers takes seconds to import, so its folders are looked at.
    """
    found = importlib.util.find_spec("transformers")
    if not isinstance(model_type, str) or not model_type.isidentifier() or found is None:
        return False
    places = found.submodule_search_locations or []
    # Unlike Path, it takes a name of any length.
    return any(os.path.isdir(f"{place}/models/{model_type}") for place in places)  # noqa: PTH112


def _check_counts(config: Mapping[str, Any], where: Path) -> None:
    """Refuse counts of parts that no model has; building it would take all memory."""
    for name, value in config.items():
        counts = name.startswith("num_") or name in _COUNTS
        if counts and isinstance(value, int) and not 0 <= value <= _MOST_PARTS:
            raise RequestError(
                f"{where}: {name} is {shown_number(value)}; at most {_MOST_PARTS:,} are loaded",
                remedy="Compare the file with that of the model's publisher.",
            )


def _checked(shape: ModelShape, where: Path) -> ModelShape:
    for name, most in _MOST.items():
        value = getattr(shape, name)
        if not 0 < value <= most:
            raise RequestError(
                f"{where}: {name} is {shown_number(value)}; 1 to {most:,} is expected",
                remedy="Compare the file with that of the model's publisher.",
            )
    return shape


def shown_number(value: int) -> str:
    """An integer; Python does not print one of more than 4,300 digits."""
    return f"{value:,}" if value.bit_length() <= 128 else "a very large integer"


def _first(config: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def shape_of_config(config: Mapping[str, Any], where: Path) -> ModelShape:
    """Sizes from a Hugging Face configuration.

    Raises:
        RequestError: A size is missing: the model is not a decoder-only language model; or it reads
            images or sound.
    """
    if isinstance(config.get("text_config"), dict):
        raise RequestError(
            f"{where}: {config.get('model_type')!s:.80} reads more than text", remedy=TEXT_ONLY
        )
    sizes = {
        "n_layers": _first(config, "n_layer", "num_hidden_layers", "num_layers", "n_layers"),
        "d_model": _first(config, "n_embd", "hidden_size", "d_model", "n_embed"),
        "n_heads": _first(
            config, "n_head", "num_attention_heads", "num_heads", "n_heads", "attention_heads"
        ),
        "d_vocab": _first(config, "vocab_size"),
    }
    for name, size in sizes.items():
        if size is None:
            raise RequestError(
                f"{where}: the configuration does not state {name} "
                f"(model_type {config.get('model_type')!r:.80})",
                remedy="emoact reads decoder-only (causal) language models.",
            )
    context = _first(
        config, "n_positions", "max_position_embeddings", "n_ctx", "seq_length", "max_seq_len"
    )
    _check_counts(config, where)
    known = {name: size for name, size in sizes.items() if size is not None}
    shape = ModelShape(
        model_type=str(config.get("model_type", "unknown")),
        context=context or 1_000_000_000,
        **known,
    )
    return _checked(shape, where)


def shape_of_gguf(path: Path, sha256: str) -> ModelShape:
    """Sizes from the header of a GGUF file, read by a process with limits once for each content.

    Raises:
        RequestError: The file is not a readable GGUF file, or lacks a size.
    """
    memory = cache_root() / "gguf" / sha256
    with suppress(RequestError):
        return _checked(decode(ModelShape, read_json(memory, limit=_MAX_CONFIG_BYTES)), path)
    try:
        found = decode(ModelShape, ask("emoact.models.shape:gguf_sizes", os.fspath(path)))
    except RequestError as error:
        raise RequestError(
            f"{path} cannot be read as a GGUF model: {error.message}",
            remedy="Compare its size and hash with those of its publisher.",
        ) from error
    keep(memory, json.dumps(encode(found)))
    return _checked(found, path)


def gguf_sizes(path: str) -> dict[str, Any]:
    """Sizes in the header of a GGUF file; called in a process with limits.

    Raises:
        RequestError: The file is not a readable GGUF file, or lacks a size.
    """
    from emoact.models.gguf_file import GgufFile

    try:
        fields = GgufFile(path).fields
        architecture = str(fields["general.architecture"].contents())

        def size(key: str) -> int:
            return int(fields[f"{architecture}.{key}"].contents())

        tokens = fields.get("tokenizer.ggml.tokens")
        return {
            "model_type": architecture,
            "n_layers": size("block_count"),
            "d_model": size("embedding_length"),
            "n_heads": size("attention.head_count"),
            "d_vocab": len(tokens.data) if tokens is not None else size("vocab_size"),
            "context": size("context_length"),
        }
    except _DAMAGE as error:
        raise RequestError(f"{type(error).__name__}: {error}") from error

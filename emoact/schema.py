"""The values that every part of emoact passes around; all frozen, all checked when built."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from emoact.decode import OPTIONAL, encode
from emoact.errors import RequestError
from emoact.sites import SiteName, saved_sites, site, site_names

Processing = Literal["raw", "tl_compat"]
BosPolicy = Literal["prepend", "none"]
DType = Literal["float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["lossless", "rel1e-3", "rel8e-3"]
"""Exactness of the values in a file: bit for bit, or with this relative error at most."""
MANTISSA_BITS: Mapping[Precision, int] = {"lossless": 23, "rel1e-3": 9, "rel8e-3": 6}
"""Bits of a float32 behind the point that are kept: at k of them, fewer than all 23, a value moves
by at most 2^-(k+1) of itself."""
Severity = Literal["error", "warning", "note"]

SCHEMA_VERSION = 1
"""Version of the pickle contract, of the unit key and of the run directory."""

MOST_GENERATED = 4096
"""Tokens of the longest response."""

_LABEL = re.compile(r"[\w-]+")
_LONGEST_LABEL = 1000
"""Characters of a label that are composed; 64 may be left."""


@functools.cache
def _many_marks() -> re.Pattern[str]:
    marks = (chr(code) for code in range(0x300, 0x1E95B) if unicodedata.combining(chr(code)))
    return re.compile(f"([{''.join(marks)}]{{64}})")


def normal(form: Literal["NFC", "NFKC"], text: str) -> str:
    """The text in a normal form, in a time that grows with its length.

    That of `unicodedata` grows with the square of the marks on one character, seconds for a prompt
    of nothing else. More marks than any language has are therefore put in order 64 at a time.
    """
    if text.isascii():
        return text
    return "".join(unicodedata.normalize(form, part) for part in _many_marks().split(text))


@functools.lru_cache(maxsize=1024)
def check_emotion(label: str) -> str:
    """Return the label in NFC when it may name a file, else refuse it.

    Raises:
        RequestError: The label is empty, longer than 64 characters, or has other characters than
            letters, digits, `_` and `-`.
    """
    name = unicodedata.normalize("NFC", label[:_LONGEST_LABEL])
    if not name or len(name) > 64 or not _LABEL.fullmatch(name):
        shown = repr(label if len(label) <= 80 else label[:77] + "...")
        raise RequestError(
            f"emotion label {shown} cannot name a file; letters, digits, '_' and '-' are allowed, "
            "1 to 64 of them",
            remedy='Rename the label in the data set, for example "mild_anger".',
        )
    return name


def _check_choice(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RequestError(f"{field} is {value!r}; allowed are {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One text with its class label."""

    id: str
    text: str
    emotion: str
    scenario_id: str | None = None
    subset: str | None = None
    lang: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The prompts of one file, in the order of the file.

    Attributes:
        prompts: At least one.
        notes: Sentences about rows of the file that are not among the prompts.
    """

    source: str
    sha256: str
    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...] = ()

    @property
    def emotions(self) -> tuple[str, ...]:
        """Labels in order of first appearance."""
        return tuple(dict.fromkeys(prompt.emotion for prompt in self.prompts))

    def of(self, emotion: str) -> tuple[Prompt, ...]:
        """The prompts of one emotion, in the order of the file."""
        return self._by_emotion.get(emotion, ())

    @functools.cached_property
    def _by_emotion(self) -> dict[str, tuple[Prompt, ...]]:
        found: dict[str, list[Prompt]] = {}
        for prompt in self.prompts:
            found.setdefault(prompt.emotion, []).append(prompt)
        return {emotion: tuple(prompts) for emotion, prompts in found.items()}


@dataclass(frozen=True, kw_only=True)
class ChatFormat:
    """The tokenizer's own chat template around every prompt, which is the user's turn.

    Attributes:
        system: System prompt before it; None leaves it to the template.
        assistant: Beginning of the response, put behind the template as it is.
    """

    system: str | None = field(default=None, metadata=OPTIONAL)
    assistant: str | None = field(default=None, metadata=OPTIONAL)

    @property
    def words(self) -> dict[str, str]:
        """Its form in files and keys."""
        return {"format": "template", **encode(self)}

    @property
    def command(self) -> list[str]:
        """Options of `emoact extract`."""
        # With "=", so that a text may begin with a dash.
        said = [f"--{name}={text}" for name, text in self.words.items() if name != "format"]
        return ["--chat", "template", *said]

    @classmethod
    def of(cls, words: object) -> ChatFormat | None:
        """The format that a file states; the inverse of `words`."""
        if not isinstance(words, Mapping):
            return None
        texts = {name: words.get(name) for name in ("system", "assistant")}
        return cls(**{name: text for name, text in texts.items() if isinstance(text, str)})


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A response of the model behind every prompt, whose activations are saved too.

    Attributes:
        max_tokens: Most tokens of a response.
        temperature: What logits are divided by before a token is drawn; None takes the most
            probable token (greedy).
    """

    max_tokens: int
    temperature: float | None = field(default=None, metadata=OPTIONAL)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.max_tokens <= MOST_GENERATED:
            raise RequestError(
                f"a response of {self.max_tokens:,} tokens is asked for; 1 to {MOST_GENERATED:,} "
                "are allowed"
            )
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise RequestError(
                f"the temperature is {self.temperature:g}; a number above 0 is needed",
                remedy="Leave it out to take the most probable token each time.",
            )
        if self.seed < 0:
            raise RequestError(f"the seed is {self.seed}; 0 or more is allowed")

    @property
    def words(self) -> dict[str, str | int]:
        """Its form in files and keys, which hold no floats."""
        if self.temperature is None:
            return {"tokens": "greedy", "max_tokens": self.max_tokens}
        return {
            "tokens": "sampled",
            "max_tokens": self.max_tokens,
            "temperature": repr(self.temperature),
            "seed": self.seed,
        }

    @property
    def command(self) -> list[str]:
        """Options of `emoact extract`."""
        words = ["--generate", str(self.max_tokens)]
        if self.temperature is not None:
            words += ["--temperature", repr(self.temperature), "--seed", str(self.seed)]
        return words

    @classmethod
    def of(cls, words: object) -> Generation | None:
        """The generation that a file states; the inverse of `words`. None where it states none."""
        try:
            fields = dict(words)  # type: ignore[call-overload]
            temperature = fields.get("temperature")
            return cls(
                max_tokens=int(fields["max_tokens"]),
                temperature=None if temperature is None else float(temperature),
                seed=int(fields.get("seed", 0)),
            )
        except (TypeError, ValueError, LookupError, OverflowError, RequestError):
            return None


@dataclass(frozen=True, kw_only=True)
class ExtractionOptions:
    """Everything beside model and prompts that decides what an activation is."""

    bos: BosPolicy = "prepend"
    processing: Processing = "raw"
    dtype: DType = "float32"
    sites: tuple[SiteName, ...] = field(default_factory=saved_sites)
    truncate: bool = False
    allow_nonadditive_mlp: bool = False
    device: Device = "auto"
    chat: ChatFormat | None = field(default=None, metadata=OPTIONAL)
    generation: Generation | None = field(default=None, metadata=OPTIONAL)
    precision: Precision = field(default="lossless", metadata=OPTIONAL)

    def __post_init__(self) -> None:
        _check_choice("precision", self.precision, get_args(Precision))
        _check_choice("bos", self.bos, get_args(BosPolicy))
        _check_choice("processing", self.processing, get_args(Processing))
        _check_choice("dtype", self.dtype, get_args(DType))
        _check_choice("device", self.device, get_args(Device))
        if not self.sites:
            raise RequestError(f"no site chosen; choose among {', '.join(site_names())}")
        if self.chat is not None and (self.truncate or self.bos == "none"):
            raise RequestError(
                "a chat template decides the first token and must be whole",
                remedy="Leave out --truncate and --bos none, or extract with --chat none.",
            )
        if self.generation is not None and self.truncate:
            raise RequestError(
                "a prompt that is cut has no room for a response",
                remedy="Leave out --truncate or --generate.",
            )
        asked = {site(name).name for name in self.sites}
        # One spelling for one request: the order in which sites were typed decides nothing.
        ordered = tuple(name for name in site_names() if name in asked)
        object.__setattr__(self, "sites", ordered)

    @property
    def label(self) -> str:
        """Short name of what differs from the defaults, such as `no-bos`; empty without."""
        said = (
            "chat" if self.chat else "no-bos" if self.bos == "none" else "",
            self.processing.replace("_", "-") if self.processing != "raw" else "",
            self.dtype if self.dtype != "float32" else "",
            self.precision if self.precision != "lossless" else "",
            "responses" if self.generation else "",
        )
        return "-".join(filter(None, said))


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a check found.

    Attributes:
        code: Short stable name, such as `hash_mismatch`.
        severity: `error` and `warning` make a check fail, `note` does not.
        where: File and field, or class of the data set.
        message: What was found, with its figures, and what is expected.
        remedy: What to do next.
    """

    code: str
    severity: Severity
    where: str
    message: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """A mapping of strings."""
        return dataclasses.asdict(self)

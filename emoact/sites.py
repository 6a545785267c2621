"""The sites: every kind of hook point that can be read, one record each.

Extraction, the pickle contract, readers, norms, statistics, pickers, charts, the report, `--site`
and the table in docs/methods.md are derived from `SITES` when they run. A further site whose arrays
have one of the known shapes needs a record here and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from emoact.errors import RequestError

SiteName = str
"""The `name` of a record in `SITES`."""
Shape = Literal["pos d_model", "pos head d_head", "head pos pos"]
"""Dimensions of the array of one prompt at one layer."""
Dash = Literal["solid", "dash", "dot", "dashdot", "longdashdot"]


@dataclass(frozen=True)
class Wording:
    """A text in both languages of the report."""

    en: str
    ja: str

    def of(self, language: str) -> str:
        """The text in `en` or `ja`."""
        return self.ja if language == "ja" else self.en


@dataclass(frozen=True, kw_only=True)
class Site:
    """One kind of hook point.

    Attributes:
        name: What `--site` takes.
        hook: TransformerLens' name of the hook, with `{l}` for the layer.
        key: Key of the pickle that holds the arrays.
        label: Title of a panel.
        words: The same within a sentence, without an article.
        definition: The values at layer l, in one phrase.
        formula: The same in symbols. x is the residual stream that enters a layer, a and m are what
            attention and MLP add to it.
        shape: Dimensions of one prompt's array. Norms and statistics need one vector for each
            position: heads are concatenated, and arrays without positions first have none.
        layers: Layers at which it is read. With `last` the pickle holds one list of prompts instead
            of a list for each layer.
        flag: Field of the metadata that says whether it was saved.
        is_added: A term of what a layer adds to the residual stream. The terms of all such sites
            must sum to the difference between the streams that enter two successive layers.
        dash: Line style.
        is_saved: Read unless other sites are asked for; its key is in every pickle.
        is_analysed: Analysed unless other sites are asked for.
    """

    name: SiteName
    hook: str
    key: str
    label: Wording
    words: Wording
    definition: Wording
    formula: str
    shape: Shape = "pos d_model"
    layers: Literal["all", "last"] = "all"
    flag: str | None = None
    is_added: bool = False
    dash: Dash = "solid"
    is_saved: bool = False
    is_analysed: bool = False

    @property
    def has_vectors(self) -> bool:
        """True when each position has a vector, so that norms and pooling are defined."""
        return self.shape.startswith("pos")

    def explained(self) -> str:
        """The hook as code, and the definition."""
        return f"`{self.hook}`: {self.definition.en}"

    def layer_range(self, n_layers: int) -> range:
        """The layers of a model at which the site is read."""
        return range(n_layers - 1 if self.layers == "last" else 0, n_layers)

    def hook_at(self, layer: int) -> str:
        """Full name of the hook at one layer."""
        return self.hook.format(l=layer)

    def array_shape(
        self, n_positions: int, *, d_model: int, n_heads: int, d_head: int
    ) -> tuple[int, ...]:
        """Shape of the array of one prompt at one layer."""
        sizes = {"pos": n_positions, "d_model": d_model, "head": n_heads, "d_head": d_head}
        return tuple(sizes[dimension] for dimension in self.shape.split())


SITES: tuple[Site, ...] = (
    Site(
        name="resid_pre",
        hook="blocks.{l}.hook_resid_pre",
        key="residual_stream",
        label=Wording("Residual stream", "残差ストリーム"),
        words=Wording("residual stream", "残差ストリーム"),
        definition=Wording(
            "the residual stream that enters layer l", "層lへの入力となる残差ストリーム"
        ),
        formula="x_l",
        flag="save_residual_stream",
        is_saved=True,
        is_analysed=True,
    ),
    Site(
        name="mlp_out",
        hook="blocks.{l}.hook_mlp_out",
        key="mlp_output",
        label=Wording("MLP output", "MLP出力"),
        words=Wording("MLP output", "MLP出力"),
        definition=Wording(
            "what the MLP of layer l adds to the residual stream",
            "層lのMLPが残差ストリームに加える値",
        ),
        formula="m_l",
        flag="save_mlp_output",
        is_added=True,
        dash="dash",
        is_saved=True,
        is_analysed=True,
    ),
    Site(
        name="resid_post",
        hook="blocks.{l}.hook_resid_post",
        key="residual_post",
        label=Wording("Residual stream after the last layer", "最終層後の残差ストリーム"),
        words=Wording("residual stream after the last layer", "最終層後の残差ストリーム"),
        definition=Wording(
            "the residual stream after the last layer", "最終層を出た残差ストリーム"
        ),
        formula="x_l + a_l + m_l",
        layers="last",
    ),
    Site(
        name="attn_out",
        hook="blocks.{l}.hook_attn_out",
        key="attn_output",
        label=Wording("Attention output", "Attention出力"),
        words=Wording("attention output", "attention出力"),
        definition=Wording(
            "what the attention of layer l adds to the residual stream",
            "層lのattentionが残差ストリームに加える値",
        ),
        formula="a_l",
        is_added=True,
        dash="longdashdot",
    ),
    Site(
        name="resid_mid",
        hook="blocks.{l}.hook_resid_mid",
        key="residual_mid",
        label=Wording("Residual stream before the MLP", "MLP前のresidual stream"),
        words=Wording("residual stream before the MLP", "MLP前のresidual stream"),
        definition=Wording(
            "the residual stream between attention and MLP of layer l",
            "層lのattentionとMLPの間のresidual stream",
        ),
        formula="x_l + a_l",
        dash="dashdot",
    ),
    Site(
        name="resid_post_all",
        hook="blocks.{l}.hook_resid_post",
        key="residual_post_all",
        label=Wording("Residual stream after each layer", "各層後の残差ストリーム"),
        words=Wording("residual stream after each layer", "各層後の残差ストリーム"),
        definition=Wording("the residual stream that leaves layer l", "層lを出た残差ストリーム"),
        formula="x_l + a_l + m_l",
        dash="dash",
    ),
    Site(
        name="z",
        hook="blocks.{l}.attn.hook_z",
        key="head_outputs",
        label=Wording("Head outputs", "ヘッド出力"),
        words=Wording("head outputs", "ヘッド出力"),
        definition=Wording(
            "the values that each head has gathered, before the output projection",
            "出力射影の前に各ヘッドが集めた値",
        ),
        formula="z_l",
        shape="pos head d_head",
        dash="dot",
    ),
    Site(
        name="pattern",
        hook="blocks.{l}.attn.hook_pattern",
        key="attention_pattern",
        label=Wording("Attention patterns", "Attentionパターン"),
        words=Wording("attention patterns", "attentionパターン"),
        definition=Wording(
            "the weights with which each position attends to the earlier ones",
            "各位置が先行する位置に向けるattentionの重み",
        ),
        formula="softmax(q kᵀ / √d_head)",
        shape="head pos pos",
        flag="save_attention",
    ),
)
"""In the order of every list, file and page. Tests may add a record for their duration."""


def site(name: SiteName) -> Site:
    """The record of a name; `RequestError` if there is no such site; lists those that there are."""
    for record in SITES:
        if record.name == name:
            return record
    raise RequestError(f"site is {name!r}; allowed are {', '.join(site_names())}")


def site_names() -> tuple[SiteName, ...]:
    """Every name, in order."""
    return tuple(record.name for record in SITES)


def vector_sites() -> tuple[SiteName, ...]:
    """Names of the sites with a vector at each position."""
    return tuple(record.name for record in SITES if record.has_vectors)


def in_order(names: Iterable[SiteName]) -> tuple[SiteName, ...]:
    """Those of the names that are sites with vectors, each once, in the order of `SITES`."""
    asked = set(names)
    return tuple(name for name in vector_sites() if name in asked)


def saved_sites() -> tuple[SiteName, ...]:
    """Names of the sites that an extraction saves unless others are asked for."""
    return tuple(record.name for record in SITES if record.is_saved)


def analysed_sites() -> tuple[SiteName, ...]:
    """Names of the sites that an analysis takes unless others are asked for."""
    return tuple(record.name for record in SITES if record.is_analysed)


def words(name: SiteName) -> str:
    """The site within an English sentence."""
    return site(name).words.en


def definitions(names: Iterable[SiteName]) -> str:
    """Names with their definitions, one sentence each."""
    return " ".join(f"{name}: {site(name).definition.en}." for name in names)


def sites_markdown() -> str:
    """The sites as a Markdown table for `docs/methods.md`."""
    lines = ["| site | hook | key of the pickle | array | definition |", "|---|---|---|---|---|"]
    for each in SITES:
        definition = f"{each.definition.en} ({each.formula})"
        shape = f"[{each.shape.replace(' ', ', ')}]"
        lines.append(f"| `{each.name}` | `{each.hook}` | `{each.key}` | `{shape}` | {definition} |")
    return "\n".join(lines)


def title(name: SiteName, language: str = "en") -> str:
    """The label of a site; the name itself where a file names a site of another version."""
    known = {record.name: record.label for record in SITES}
    return known[name].of(language) if name in known else name


def check_poolable(names: Iterable[SiteName]) -> None:
    """Raise `RequestError` for a site without a vector for each position."""
    for name in names:
        if not site(name).has_vectors:
            raise RequestError(
                f"the site {name} has no vectors to pool",
                remedy=f"Leave out --site {name}, or keep all positions (--keep all).",
            )

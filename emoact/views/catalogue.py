"""Every view, in the order of the tabs of its page.

Pages, exports, shell commands and the report ask this tuple when they are drawn.
"""

from __future__ import annotations

from typing import Any

from emoact.views.along import LENS, PROJECTIONS, TRAJECTORY
from emoact.views.attention import ATTENTION, ATTENTION_HEADS
from emoact.views.by_layer import BY_LAYER
from emoact.views.causes import ABLATIONS, DOSE_CURVES, STEERED_LAYERS
from emoact.views.contributions import OF_PROMPTS, OF_TOKENS
from emoact.views.cosines import COSINES
from emoact.views.dimensions import DIMENSIONS
from emoact.views.distribution import DISTRIBUTION
from emoact.views.growth import GROWTH
from emoact.views.heads import COMPONENTS, HEADS, LARGEST
from emoact.views.heatmap import HEATMAP
from emoact.views.layer_map import LAYER_MAP
from emoact.views.matrix import MATRIX
from emoact.views.norm_differences import NORM_DIFFERENCES
from emoact.views.norms import NORMS
from emoact.views.pairs import PAIRS
from emoact.views.plan import PLAN
from emoact.views.prompt import NEAREST, PROMPT_VIEW
from emoact.views.prompts import PROMPTS
from emoact.views.sentence import SENTENCE, SENTENCE_LAYERS, SENTENCE_TOKENS
from emoact.views.separation import SEPARATION
from emoact.views.stability import STABILITY
from emoact.views.strength import STRENGTH
from emoact.views.token_direction import TOKEN_DIRECTION
from emoact.views.transfer import TRANSFER
from emoact.views.view import View

VIEWS: tuple[View[Any], ...] = (
    NORMS,
    NORM_DIFFERENCES,
    HEATMAP,
    DISTRIBUTION,
    DIMENSIONS,
    GROWTH,
    PROMPT_VIEW,
    NEAREST,
    TOKEN_DIRECTION,
    SENTENCE,
    SENTENCE_TOKENS,
    SENTENCE_LAYERS,
    STRENGTH,
    STABILITY,
    SEPARATION,
    PAIRS,
    TRANSFER,
    COSINES,
    MATRIX,
    PROMPTS,
    BY_LAYER,
    LAYER_MAP,
    PLAN,
    HEADS,
    COMPONENTS,
    LARGEST,
    OF_PROMPTS,
    OF_TOKENS,
    ATTENTION,
    ATTENTION_HEADS,
    LENS,
    PROJECTIONS,
    TRAJECTORY,
    DOSE_CURVES,
    STEERED_LAYERS,
    ABLATIONS,
)


_OF_OTHERS = ("activations", "heads", "causes")
"""Pages of activation files and of results about causes."""


def of_page(page: str) -> tuple[View[Any], ...]:
    """The views of one page."""
    return tuple(view for view in VIEWS if view.page == page)


def of_analyses() -> tuple[View[Any], ...]:
    """The views whose source is a saved analysis."""
    return tuple(view for view in VIEWS if view.page not in _OF_OTHERS)


def views_markdown() -> str:
    """The views as a Markdown table for README.md."""
    lines = ["| page | view | question | choices in the address |", "|---|---|---|---|"]
    for view in VIEWS:
        choices = ", ".join(f"`{control.name}`" for control in view.controls)
        lines.append(f"| {view.page} | `{view.name}` | {view.question} | {choices} |")
    return "\n".join(lines)

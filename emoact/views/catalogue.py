"""Every view, in the order of the tabs of its page.

Pages, exports, shell commands and the report ask this tuple when they are drawn.
"""

from __future__ import annotations

from typing import Any

from emoact.views.by_layer import BY_LAYER
from emoact.views.cosines import COSINES
from emoact.views.layer_map import LAYER_MAP
from emoact.views.matrix import MATRIX
from emoact.views.plan import PLAN
from emoact.views.prompts import PROMPTS
from emoact.views.separation import SEPARATION
from emoact.views.stability import STABILITY
from emoact.views.strength import STRENGTH
from emoact.views.view import View

VIEWS: tuple[View[Any], ...] = (
    STRENGTH,
    STABILITY,
    SEPARATION,
    COSINES,
    MATRIX,
    PROMPTS,
    BY_LAYER,
    LAYER_MAP,
    PLAN,
)


def of_page(page: str) -> tuple[View[Any], ...]:
    """The views of one page."""
    return tuple(view for view in VIEWS if view.page == page)

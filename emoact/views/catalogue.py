"""Every view, in the order of the tabs of its page.

Pages, exports, shell commands and the report ask this tuple when they are drawn.
"""

from __future__ import annotations

from typing import Any

from emoact.views.separation import SEPARATION
from emoact.views.stability import STABILITY
from emoact.views.strength import STRENGTH
from emoact.views.view import View

VIEWS: tuple[View[Any], ...] = (STRENGTH, STABILITY, SEPARATION)


def of_page(page: str) -> tuple[View[Any], ...]:
    """The views of one page."""
    return tuple(view for view in VIEWS if view.page == page)

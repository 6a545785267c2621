"""A typed sentence taken apart: what every component adds to the projection of each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from emoact import numbers
from emoact.causes.heads import name_of
from emoact.causes.project import Along
from emoact.host.client import Looked
from emoact.positions import pool_sample
from emoact.views.trajectory import random_words, said_about

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Apart:
    """What the components add along a sentence.

    A contribution is the product with the unit direction, in model units; of each position those of
    all components sum to the product of the stream.

    Attributes:
        along: The direction.
        looked: The answer of the host.
    """

    along: Along
    looked: Looked

    @property
    def contributions(self) -> Float[np.ndarray, "component pos"]:
        """Contribution of every component at every position."""
        found: np.ndarray = self.looked.arrays["contributions"]
        return found

    @property
    def table(self) -> pd.DataFrame:
        """One row for each component, the largest first.

        `component`, `layer`, `head`, `kv_group`, `contribution` (pooled over the text), `token` and
        `position` where it is largest, and `at_token`, the contribution there.
        """
        import pandas as pd

        start, stop = self.looked.content
        pooled = [
            float(
                pool_sample(
                    row[:, None].astype(np.float32),
                    pooling=self.along.target.pooling,
                    content=self.looked.content,
                )[0]
            )
            for row in self.contributions
        ]
        most = start + np.abs(self.contributions[:, start:stop]).argmax(axis=1)
        table = pd.DataFrame(self.looked.components).assign(
            contribution=pooled,
            token=[self.looked.token_strings[at] for at in most],
            position=most,
            at_token=self.contributions[np.arange(len(most)), most],
        )
        whole = {name: table[name].astype("Int64") for name in ("layer", "head", "kv_group")}
        order = table["contribution"].abs().sort_values(ascending=False, kind="stable").index
        return table.assign(**whole).loc[order].reset_index(drop=True)

    @property
    def sentences(self) -> list[str]:
        """The components with the largest contributions."""
        rows = self.table.head(_NAMED).to_dict("records")
        named = [
            f"{name_of(row)} ({numbers.significant(row['contribution'])}, most at {row['token']!r})"
            for row in rows
        ]
        said = [
            f"To the projection of the sentence on the direction of {self.along.emotion} "
            f"{numbers.listed(named)} contribute most, in model units."
        ]
        return said + random_words(self.looked)

    @property
    def document(self) -> dict[str, Any]:
        """In plain JSON: components with their contribution at every token."""
        return {
            **said_about(self.along, self.looked),
            "tokens": list(self.looked.token_strings),
            "projection": (self.contributions.sum(axis=0)).tolist(),
            "components": [
                {**component, "contributions": row.tolist()}
                for component, row in zip(self.looked.components, self.contributions, strict=True)
            ],
            "sentences": self.sentences,
        }

"""A typed sentence taken apart: what every component adds to the projection of each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from emoact import numbers
from emoact.causes.heads import name_of
from emoact.causes.project import Along
from emoact.host.client import Looked
from emoact.positions import pool_sample
from emoact.views.trajectory import random_words, said_about

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 3
N_SHOWN = 12
"""Components that are shown token by token."""

OTHERS = "all others"


@dataclass(frozen=True, kw_only=True, eq=False)
class Apart:
    """Contributions of the components along a sentence.

    A contribution is the product with the unit direction, in model units; of each position those of
    all components sum to the product of the stream.
    """

    along: Along
    looked: Looked

    @property
    def contributions(self) -> Float[np.ndarray, "component pos"]:
        """Contribution of every component at every position."""
        found: np.ndarray = self.looked.arrays["contributions"]
        return found

    @property
    def names(self) -> list[str]:
        """Name of every component."""
        return [name_of(row) for row in self.looked.components]

    @property
    def pooled(self) -> Float[np.ndarray, " component"]:
        """Contribution of every component to the pooled text."""
        pooled: np.ndarray = pool_sample(
            self.contributions.T.astype(np.float32),
            pooling=self.along.target.pooling,
            content=self.looked.content,
        )
        return pooled

    @property
    def order(self) -> Int[np.ndarray, " component"]:
        """Rows of the components, the largest pooled contribution first."""
        return np.argsort(-np.abs(self.pooled), kind="stable")

    @property
    def by_token(self) -> pd.DataFrame:
        """One row for each token of the text, in order.

        `position`, `token`, `projection` (the sum of all components), the largest components by
        name, and `all others` together.
        """
        import pandas as pd

        places = np.arange(*self.looked.content)
        own, largest = self.contributions[:, places], self.order[:N_SHOWN]
        return pd.DataFrame(
            {
                "position": places,
                "token": [self.looked.token_strings[at] for at in places],
                "projection": own.sum(axis=0),
                **{self.names[row]: own[row] for row in largest},
                OTHERS: np.delete(own, largest, axis=0).sum(axis=0),
            }
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row for each component, the largest first.

        `component`, `layer`, `head`, `kv_group`, `contribution` (pooled over the text), `token` and
        `position` where it is largest, and `at_token`, the contribution there.
        """
        import pandas as pd

        start, stop = self.looked.content
        most = start + np.abs(self.contributions[:, start:stop]).argmax(axis=1)
        table = pd.DataFrame(self.looked.components).assign(
            contribution=self.pooled.astype(float),
            token=[self.looked.token_strings[at] for at in most],
            position=most,
            at_token=self.contributions[np.arange(len(most)), most],
        )
        whole = {name: table[name].astype("Int64") for name in ("layer", "head", "kv_group")}
        return table.assign(**whole).iloc[self.order].reset_index(drop=True)

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

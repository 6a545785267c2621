"""A typed sentence along a direction, and what every component adds to that of each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from emoact import numbers
from emoact.causes.heads import name_of
from emoact.causes.project import Along
from emoact.causes.saved import RANDOM_WORDS
from emoact.decode import encode
from emoact.host.client import Looked
from emoact.positions import pool_sample

if TYPE_CHECKING:
    import pandas as pd


_MOST = 0.5
"""Share of the absolute projections from which on one token is named."""
_NAMED = 3
N_SHOWN = 12
"""Components that are shown token by token."""
OTHERS = "all others"


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """A sentence along a direction."""

    along: Along
    looked: Looked

    @property
    def projections(self) -> np.ndarray:
        """(x − mean of neutral) · unit direction of every position, in model units."""
        return np.asarray(self.looked.arrays["projection"] - self.along.direction.origin)

    @property
    def pooled(self) -> float:
        """The projection of the pooled sentence."""
        rows = self.projections[:, None].astype(np.float32)
        pooled = pool_sample(rows, pooling=self.along.target.pooling, content=self.looked.content)
        return float(pooled[0])

    @property
    def table(self) -> pd.DataFrame:
        """One row for each position: `position`, `token`, `part`, `projection`, `percentile`.

        `percentile` is the percent of the tokens of saved prompts that project at most as much.
        """
        import pandas as pd

        start, stop = self.looked.content
        tokens = self.along.saved.tokens
        below = np.searchsorted(tokens, self.projections, side="right")
        share = 100 * below / len(tokens) if len(tokens) else np.full(len(below), np.nan)
        places = range(len(self.looked.token_strings))
        return pd.DataFrame(
            {
                "position": list(places),
                "token": self.looked.token_strings,
                "part": ["text" if start <= at < stop else "template" for at in places],
                "projection": self.projections,
                "percentile": share,
            }
        )

    @property
    def limit(self) -> float | None:
        """Size that 95 % of the saved tokens do not reach; None of pooled files."""
        tokens = np.abs(self.along.saved.tokens)
        return float(np.quantile(tokens, 0.95)) if len(tokens) else None

    @property
    def sentences(self) -> list[str]:
        """The projection of the sentence among the saved prompts."""
        along, pooled = self.along, self.pooled
        norm = numbers.significant(along.direction.norm)
        said = [
            f"The sentence projects {numbers.significant(pooled)} model units on the direction of "
            f"{along.emotion} ({along.target.site}, layer {along.target.layer}, "
            f"{along.target.pooling}), where 0 is the mean of {along.neutral} prompts and {norm} "
            f"that of {along.emotion}: {along.saved.percentile(pooled):.0f} % of the saved prompts "
            "of both classes lie at or below it."
        ]
        table = self.table[self.table["part"] == "text"]
        sizes = table["projection"].abs()
        if len(table) > 1 and sizes.max() > _MOST * sizes.sum():
            token = table["token"][sizes.idxmax()]
            said.append(
                f"The token {token!r} has {numbers.percent(sizes.max() / sizes.sum())} of the "
                "absolute projection: a single massive token decides the mean of the sentence."
            )
        return said + random_words(self.looked)

    @property
    def document(self) -> dict[str, Any]:
        """In plain JSON."""
        along = self.along
        return {
            **said_about(along, self.looked),
            "direction_norm": along.direction.norm,
            "projection": self.pooled,
            "percentile": along.saved.percentile(self.pooled),
            "tokens": self.table.to_dict("records"),
            "sentences": self.sentences,
        }


def said_about(along: Along, looked: Looked) -> dict[str, Any]:
    """Text and direction of an answer, in plain JSON."""
    return {
        "text": looked.text,
        "model": along.folder,
        "emotion": along.emotion,
        "neutral": along.neutral,
        "target": encode(along.target),
        "seconds": looked.seconds,
    }


def random_words(looked: Looked) -> list[str]:
    """Warning of an answer of random weights; nothing for trained ones."""
    return [RANDOM_WORDS] if looked.random_weights else []


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
        return np.asarray(self.looked.arrays["contributions"])

    @property
    def names(self) -> list[str]:
        """Name of every component."""
        return [name_of(row) for row in self.looked.components]

    @property
    def pooled(self) -> Float[np.ndarray, " component"]:
        """Contribution of every component to the pooled text."""
        rows = self.contributions.T.astype(np.float32)
        return pool_sample(rows, pooling=self.along.target.pooling, content=self.looked.content)

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

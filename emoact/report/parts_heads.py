"""Directions that were taken apart into what heads and MLPs add to them."""

from __future__ import annotations

from emoact import numbers
from emoact.causes.heads import ALPHA, shares_of, table_of
from emoact.causes.saved import SavedCause
from emoact.report.document import Marked, Section, bullets
from emoact.report.material import Material
from emoact.report.parts_views import view_blocks
from emoact.report.words import Words
from emoact.views import catalogue
from emoact.views.heads import Heads


def heads(material: Material, words: Words) -> tuple[Section, ...]:
    """The newest results, with their largest components; nothing where there is none."""
    source = Heads(saved=material.heads, lenses=material.lenses)
    views = catalogue.of_page("heads")
    blocks = view_blocks(source, views, words, random=material.random)
    if not blocks:
        return ()
    told = {
        choice["result"]: choice
        for view in views
        for choice in (view.in_report(source) if view.in_report else ())
    }
    said = [_answer(source.chosen(choice), words) for choice in told.values()]
    lenses = [lens for lens in map(source.lens, told.values()) if lens is not None]
    said += [_tokens(lens, words) for lens in lenses if not lens.found["random_weights"]]
    lead = [words("heads.lead"), bullets(said)]
    return (words.section("heads", [*lead, *blocks], level=3),)


def _answer(saved: SavedCause, words: Words) -> Marked:
    found, table = saved.found, table_of(saved)
    parts = {name: f"{100 * share:.0f}" for name, share in shares_of(saved).items()}
    return words(
        "heads.random" if found["random_weights"] else "heads.answer",
        model=found["model"],
        emotion=words.emotion(found["emotion"]),
        layer=found["target"]["layer"],
        heads=parts["head"],
        mlps=parts["mlp"],
        clear=int((table["p"] <= ALPHA).sum()),
        total=len(table),
    )


def _tokens(lens: SavedCause, words: Words) -> Marked:
    found = lens.found
    ends = {
        side: ", ".join(repr(row["token"]) for row in found["tokens"] if row["side"] == side)
        for side in ("raised", "lowered")
    }
    return words(
        "heads.lens" if any(found["above_random"].values()) else "heads.lens_chance",
        model=found["model"],
        emotion=words.emotion(found["emotion"]),
        layer=found["target"]["layer"],
        n=found["n_random"],
        p_raised=numbers.significant(found["p_raised"], 2),
        p_lowered=numbers.significant(found["p_lowered"], 2),
        **ends,
    )

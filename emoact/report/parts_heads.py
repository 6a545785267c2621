"""Directions that were taken apart into what heads and MLPs add to them."""

from __future__ import annotations

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
    source = Heads(saved=material.heads)
    views = catalogue.of_page("heads")
    blocks = view_blocks(source, views, words, random=material.random)
    if not blocks:
        return ()
    told = [
        source.chosen(choice)
        for view in views
        for choice in (view.in_report(source) if view.in_report else ())
    ]
    lead = [words("heads.lead"), bullets(_answer(saved, words) for saved in told)]
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

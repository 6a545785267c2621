"""Directions that were taken apart or added to the stream, and parts of the model taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emoact import numbers
from emoact.causes import ablate, steer, steer_result
from emoact.causes.heads import ALPHA, shares_of, table_of
from emoact.causes.saved import SavedCause
from emoact.report.document import Marked, Section, bullets
from emoact.report.material import Material
from emoact.report.parts_views import view_blocks
from emoact.report.words import Words
from emoact.views import catalogue
from emoact.views.causes import Causes
from emoact.views.heads import Heads
from emoact.views.view import Choice, View


def heads(material: Material, words: Words) -> tuple[Section, ...]:
    """The newest results, with their largest components; nothing where there is none."""
    source = Heads(saved=material.heads, lenses=material.lenses)
    views = catalogue.of_page("heads")
    blocks = view_blocks(source, views, words, random=material.random)
    if not blocks:
        return ()
    told = {choice["result"]: choice for choice in _choices(views, source)}
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


def _choices(views: Sequence[View[Any]], source: Any) -> list[Choice]:
    return [each for view in views if view.in_report for each in view.in_report(source)]


def causes(material: Material, words: Words) -> tuple[Section, ...]:
    """The newest results of steering and ablation; nothing where there is none."""
    source = Causes(steered=material.steered, ablated=material.ablated)
    views = catalogue.of_page("causes")
    blocks = view_blocks(source, views, words, random=material.random)
    if not blocks:
        return ()
    choices = _choices(views, source)
    steered, ablated = source.named(steer.KIND), source.named(ablate.KIND)
    said = [
        _steered(steered[choice["result"]], row, words)
        for choice in choices
        if "result" in choice
        for row in steer_result.strongest_of_each(steered[choice["result"]])
    ]
    for choice in choices:
        if "ablation" in choice:
            said += _ablated(ablated[choice["ablation"]], words)
    return (words.section("causes", [words("causes.lead"), bullets(said), *blocks], level=3),)


def _steered(saved: SavedCause, row: Mapping[str, Any], words: Words) -> Marked:
    found = saved.found
    where = {
        "model": found["model"],
        "emotion": words.emotion(row["emotion"]),
        "layer": row["layer"],
        "dose": f"{row['dose']:g}",
    }
    if found["random_weights"]:
        return words("causes.random", **where)
    key = "causes.specific" if row["specific"] == "specific" else f"causes.{row['verdict']}"
    return words(
        key if row["verdict"] == "causal" else "causes.nothing",
        **where,
        own=numbers.signed(row["own"]),
        random=numbers.signed(row["random_95"]),
        shuffled=numbers.signed(row["shuffled_95"]),
        others=numbers.signed(row["others"]),
        neutral=numbers.signed(row["neutral"]),
        p=numbers.significant(row["p"], 2),
    )


def _ablated(saved: SavedCause, words: Words) -> list[Marked]:
    found, settings = saved.found, saved.found["settings"]
    first = ablate.table_of(saved).to_dict("records")[0]
    where = {"model": found["model"], "emotion": words.emotion(settings["emotion"])}
    where["layer"] = settings["layer"]
    if found["random_weights"]:
        return [words("causes.ablated_random", **where)]
    total = words(
        "causes.ablated",
        **where,
        part=ablate.name_of(first),
        by=settings["by"],
        total=numbers.signed(first["total"], ".3g"),
        low=numbers.signed(first["low"], ".3g"),
        high=numbers.signed(first["high"], ".3g"),
        direct=numbers.signed(first["direct"], ".3g"),
        contrast=numbers.significant(found["contrast"]),
    )
    odds = ablate.odds_of(saved)
    return [total] if odds is None else [total, words("causes.odds", **where, **odds)]

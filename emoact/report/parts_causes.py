"""Directions that were taken apart or added to the stream, and parts of the model taken out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emoact import numbers
from emoact.causes import ablate, steer_result
from emoact.causes.heads import clear_of, sums_of, table_of
from emoact.causes.saved import SavedCause
from emoact.report.document import Marked, Section, bullets
from emoact.report.material import Material
from emoact.report.parts_views import view_blocks
from emoact.report.words import Words
from emoact.views import catalogue
from emoact.views.causes import Causes
from emoact.views.heads import Heads
from emoact.views.view import Choice


def heads_of(material: Material) -> Heads:
    """What the views of components show."""
    return Heads(saved=material.heads, lenses=material.lenses)


def causes_of(material: Material) -> Causes:
    """What the views of steering and ablation show."""
    return Causes(steered=material.steered, ablated=material.ablated)


def heads(material: Material, words: Words) -> tuple[Section, ...]:
    """The newest results, with their largest components; nothing where there is none."""
    source = heads_of(material)

    def said(choices: Sequence[Choice]) -> list[Marked]:
        told = {choice["result"]: choice for choice in choices}.values()
        answers = [_answer(source.chosen(choice), words) for choice in told]
        lenses = [lens for lens in map(source.lens, told) if lens is not None]
        return answers + [
            _tokens(lens, words) for lens in lenses if not lens.found["random_weights"]
        ]

    return _section("heads", source, said, material, words)


def _section(
    page: str,
    source: Any,
    said: Callable[[Sequence[Choice]], list[Marked]],
    material: Material,
    words: Words,
) -> tuple[Section, ...]:
    """Lead, sentences and figures of a page; nothing where there is no result."""
    views = catalogue.of_page(page)
    blocks = view_blocks(source, views, words, random=material.random)
    if not blocks:
        return ()
    choices = [each for view in views if view.in_report for each in view.in_report(source)]
    lead = [words(f"{page}.lead"), bullets(said(choices))]
    return (words.section(page, [*lead, *blocks], level=3),)


def _answer(saved: SavedCause, words: Words) -> Marked:
    found, (above, below) = saved.found, clear_of(saved)
    sums = {
        kind: [numbers.significant(value) for value in pair]
        for kind, pair in sums_of(saved).items()
    }
    return words(
        "heads.random" if found["random_weights"] else "heads.answer",
        model=found["model"],
        emotion=words.emotion(found["emotion"]),
        layer=found["target"]["layer"],
        norm=numbers.significant(found["direction_norm"]),
        heads=sums["head"][0],
        heads_chance=sums["head"][1],
        mlps=sums["mlp"][0],
        mlps_chance=sums["mlp"][1],
        above=len(above),
        below=len(below),
        total=len(table_of(saved)),
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


def causes(material: Material, words: Words) -> tuple[Section, ...]:
    """The newest results of steering and ablation; nothing where there is none."""
    source = causes_of(material)
    steered, ablated = source.named("steer"), source.named("ablate")

    def said(choices: Sequence[Choice]) -> list[Marked]:
        found: list[Marked] = []
        for choice in choices:
            if "result" in choice:
                found += _steering(steered[choice["result"]], words)
            else:
                found += _ablated(ablated[choice["ablation"]], words)
        return found

    return _section("causes", source, said, material, words)


def _steering(saved: SavedCause, words: Words) -> list[Marked]:
    """Effects of a result, what sentences before the texts do, and what is missing."""
    found, rows = saved.found, steer_result.strongest_of_each(saved)
    said = [_steered(saved, row, words) for row in rows]
    if found["random_weights"]:
        return said
    said.insert(0, words("causes.counts", model=found["model"], **steer_result.counts(saved)))
    said += [
        words(
            "causes.selected",
            model=found["model"],
            emotion=words.emotion(row["emotion"]),
            n=found["n_splits"],
        )
        for row in rows
        if steer_result.beyond_splits(row)
    ]
    said += [
        words(
            "causes.prompt",
            model=found["model"],
            emotion=words.emotion(row["emotion"]),
            prefix=f"“{found['prefixes'][row['emotion']]}”",
            prompt=numbers.signed(row["prompt_only"]),
            before=numbers.signed(row["prompt_neutral"]),
        )
        for row in rows
        if row["emotion"] in found["prefixes"]
    ]
    if doses := steer_result.broken_doses(saved):
        said.append(words("causes.broken", model=found["model"], doses=doses))
    if columns := steer_result.missing_columns(saved):
        said.append(words("causes.earlier", model=found["model"], columns=columns))
    return said


def _steered(saved: SavedCause, row: Mapping[str, Any], words: Words) -> Marked:
    found = saved.found
    where = {
        "model": found["model"],
        "emotion": words.emotion(row["emotion"]),
        "layer": row["layer"],
        "dose": numbers.short(row["dose"]),
    }
    if found["random_weights"]:
        return words("causes.random", **where)
    key = "causes.specific" if row["specific"] == "specific" else f"causes.{row['verdict']}"
    signed = {
        "directions": "other_directions",
        "random": "random_95",
        "shuffled": "shuffled_95",
        "splits_low": "own_splits_low",
        "splits_high": "own_splits_high",
        **{name: name for name in ("own", "others", "neutral")},
    }
    return words(
        key if row["verdict"] == "causal" else "causes.nothing",
        **where,
        **{name: numbers.signed(row[column]) for name, column in signed.items()},
        interval=steer_result.interval(row),
        scenarios=len(found["test_scenarios"]),
        p=numbers.significant(row["p"], 2),
    )


def _ablated(saved: SavedCause, words: Words) -> list[Marked]:
    found, settings = saved.found, saved.found["settings"]
    where = {"model": found["model"], "emotion": words.emotion(settings["emotion"])}
    where["layer"] = settings["layer"]
    if found["random_weights"]:
        return [words("causes.ablated_random", **where)]
    where |= {"contrast": numbers.significant(found["contrast"]), "by": settings["by"]}
    where |= {"n": len(found["ablations"]), "scenarios": len(found["test_scenarios"])}
    shown = ablate.shown_of(saved).to_dict("records")
    total = words(
        "causes.ablated" if shown else "causes.ablated_none",
        **where,
        **(ablate.change_of(shown[0]) if shown else {}),
        broken=len(ablate.broken_of(saved)),
        limit=f"{ablate.BREAKING:g}",
    )
    odds = ablate.odds_of(saved)
    return [total] if odds is None else [total, words("causes.odds", **where, **odds)]

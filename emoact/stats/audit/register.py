"""Register of English texts: classes of words and verb forms that should not depend on emotion.

The classes come from word lists and endings. They are rough, and rough in the same way for every
emotion, which is what a comparison needs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence

from emoact.stats.audit.text import Texts, words_of

_LEAST_ENGLISH = 0.4
"""Share of listed words from which texts without a language count as English; it is about 0.7 in
English and below 0.3 in other languages."""

_LISTS = {
    "numerals": "two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty "
    "ninety hundred hundreds thousand thousands million millions dozen dozens twice",
    "dates": "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays "
    "thursdays fridays saturdays sundays january february march april june july august september "
    "october november december noon midnight o'clock",
    "time": "today yesterday tomorrow tonight morning afternoon evening night week month year "
    "weekend hour minute day mornings evenings nights weeks months years hours minutes days",
    "negation": "no not never nothing nobody none neither nor nowhere without cannot can't don't "
    "won't didn't isn't wasn't doesn't couldn't wouldn't shouldn't haven't hasn't hadn't aren't "
    "weren't ain't",
    "reason": "because so since therefore thus hence",
    "contrast": "but yet although though however unless instead despite",
    "order": "when while before after until whenever once as",
    "condition": "if whether",
    "praise": "good better best well nice kind kinder great fine easy easier useful helpful handy "
    "comfortable right perfect lovely beautiful clean safe safely patient gentle soft fresh warm "
    "quiet quietly wonderful generous clever smart important precious favorite fair careful "
    "carefully pleasant clear simple cool calm bright excellent worth ready sturdy practical",
    "criticism": "bad worse worst badly poor poorly awful terrible terribly cruel rude selfish "
    "selfishly stupid filthy lazy lazily careless carelessly clumsy wrong late loud noisy hard "
    "harder difficult useless dirty ugly broken dull boring silly low awkward messy slow slower "
    "heavy tight dangerous ridiculous nasty mean sick cold freezing hungry exhausted ruined "
    "garbage crooked plain dark worn",
    "degree": "so too very really quite just even still all every whole much more most completely "
    "ever enough only always rather such single",
    "past": "was were had did went came got gave took made said saw found kept left lost sat stood "
    "told brought bought built held met paid put ran read sent slept sold spent swept taught "
    "thought threw tore woke won wore wrote knew led fell felt flew forgot froze grew heard hid "
    "hung let lent drove drank drew ate broke began chose cut dug hit hurt rang sang sank set "
    "shook shut spoke stole stuck swam understood rode",
    "present": "am is are do does have has i'm you're we're they're i've you've we've they've "
    "it's that's don't doesn't isn't aren't haven't hasn't",
    "future": "will shall won't i'll you'll we'll they'll he'll she'll it'll",
    "modal": "can could may might must should would ought cannot can't couldn't shouldn't "
    "wouldn't i'd you'd we'd they'd",
    "base": "accept add appreciate apologize ask be believe bring buy call carry check choose "
    "clean close come cook count cover cut do drop eat explain feel fill find finish fix "
    "forget forgive get give go grab hand hang have help hold hope keep know lay leave "
    "lend let lift like listen look love make mark meet mind move need open owe pack park "
    "pass pay pick place plan play point pour practice prefer pull push put read remember "
    "return rinse run save say see send set share show sit sleep sort spread start stay "
    "step stop store take talk tell think tie try turn use wait wake walk want wash watch "
    "water wear work write",
    "first person": "i me my mine myself i'm i've i'd i'll we us our ours ourselves we're we've "
    "we'd we'll",
    "second person": "you your yours yourself yourselves you're you've you'd you'll",
    "third person": "he him his himself he's he'd he'll she her hers herself she's she'd she'll it "
    "its itself it's it'd it'll they them their theirs themselves they're they've they'd they'll",
    "adverb": "never still just all really always also only even",
    "no subject after": "let make made help helped thank to with of for and or",
    "not past": "need indeed hundred feed speed seed shed breed weed bleed",
    "not ing": "thing things king ring spring sing bring string wing swing morning evening nothing "
    "something everything anything during wedding ceiling building",
    "grammar": "a an the of in on at to for from with by and or that this these those there here "
    "who which what how where why than then into out up down over off about be been being",
}
_WORDS = {name: frozenset(words.split()) for name, words in _LISTS.items()}
FUNCTION_WORDS = frozenset().union(
    *(_WORDS[f"{person} person"] for person in ("first", "second", "third")),
    *(_WORDS[name] for name in ("numerals", "dates", "time", "negation", "reason", "contrast")),
    *(_WORDS[name] for name in ("order", "condition", "degree", "present", "future", "modal")),
    *(_WORDS[name] for name in ("adverb", "grammar")),
)
"""Words of grammar and register, which name no emotion."""
_KNOWN = FUNCTION_WORDS.union(*_WORDS.values())

Sentence = tuple[tuple[str, ...], bool]
"""Words of a sentence, and True where it ends in a question mark."""


def sentences_of(text: str) -> list[Sentence]:
    """Sentences of a text, split at full stops, exclamation marks and question marks."""
    parts = re.findall(r"([^.!?]+)([.!?]?)", text)
    return [(words_of(part), mark == "?") for part, mark in parts if words_of(part)]


Marker = Callable[[tuple[str, ...], bool], bool]
"""Presence of a class in one sentence."""


def _any_of(*lists: str) -> Marker:
    """A word of one of the lists."""
    wanted = frozenset().union(*(_WORDS[name] for name in lists))
    return lambda words, _: not wanted.isdisjoint(words)


def _numerals(words: Sequence[str], _: bool) -> bool:
    return any(word in _WORDS["numerals"] or any(map(str.isdigit, word)) for word in words)


def is_past(word: str) -> bool:
    """Irregular past form, or a word in -ed."""
    regular = word.endswith("ed") and len(word) > 3 and word not in _WORDS["not past"]
    return regular or word in _WORDS["past"]


def _is_ing(word: str) -> bool:
    return word.endswith("ing") and len(word) > 4 and word not in _WORDS["not ing"]


def _imperative(words: Sequence[str], asked: bool) -> bool:
    """A base form at the beginning, or after `please`, `so` or `but`."""
    before = ("please", "do", "don't", "never", "not")
    first = next((word for word in words if word not in before), "")
    opens = first in _WORDS["base"] and not asked
    return opens or _follows(words, ("please", "so", "but"), _WORDS["base"])


def _follows(words: Sequence[str], first: Collection[str], second: Collection[str]) -> bool:
    return any(one in first and two in second for one, two in itertools.pairwise(words))


def _present(words: Sequence[str], _: bool) -> bool:
    base = _follows(words, ("i", "we", "you", "they"), _WORDS["base"])
    return base or not _WORDS["present"].isdisjoint(words)


def _perfect(words: Sequence[str], _: bool) -> bool:
    have = ("have", "has", "had", "i've", "you've", "we've", "they've")
    return any(
        word in have and any(map(is_past, words[place + 1 : place + 3]))
        for place, word in enumerate(words)
    )


def _you_acts(words: Sequence[str], _: bool) -> bool:
    """`You` before a verb, where it is no object of the word before it."""
    verbs = _WORDS["base"] | _WORDS["modal"] | _WORDS["future"] | _WORDS["present"]
    return not {"you're", "you've", "you'd", "you'll"}.isdisjoint(words) or any(
        word == "you"
        and before not in _WORDS["no subject after"]
        and (after in verbs | _WORDS["adverb"] or after.endswith("ly") or is_past(after))
        for before, word, after in zip(("", *words), words, words[1:], strict=False)
    )


def _acts(*pronouns: str) -> Marker:
    ends = ("", "'m", "'s", "'re", "'ve", "'d", "'ll")
    forms = {pronoun + end for pronoun in pronouns for end in ends}
    return lambda words, _: not forms.isdisjoint(words)


MARKERS: dict[str, dict[str, Marker]] = {
    "numbers": {
        "numerals": _numerals,
        "weekdays, months or times of day": _any_of("dates"),
        "numerals, weekdays or months": lambda words, asked: (
            _numerals(words, asked) or _any_of("dates")(words, asked)
        ),
        "words of time": _any_of("time"),
    },
    "negation": {"negations": _any_of("negation")},
    "connectives": {
        "because, so or since": _any_of("reason"),
        "but, yet or although": _any_of("contrast"),
        "when, while, before or after": _any_of("order"),
        "if or whether": _any_of("condition"),
        "connectives": _any_of("reason", "contrast", "order", "condition"),
    },
    "evaluation": {
        "words of praise": _any_of("praise"),
        "words of criticism": _any_of("criticism"),
        "words of praise or criticism": _any_of("praise", "criticism"),
        "words of degree": _any_of("degree"),
    },
    "mood": {"imperatives": _imperative, "questions": lambda _, asked: asked},
    "tenses": {
        "past forms": lambda words, _: any(map(is_past, words)),
        "present forms": _present,
        "future forms": _any_of("future"),
        "modal verbs": _any_of("modal"),
        "perfect forms": _perfect,
        "forms in -ing": lambda words, _: any(map(_is_ing, words)),
    },
    "persons": {
        "pronouns of the first person": _any_of("first person"),
        "pronouns of the second person": _any_of("second person"),
        "pronouns of the third person": _any_of("third person"),
        "I or we as subject": _acts("i", "we"),
        "you as subject": _you_acts,
        "he, she or they as subject": _acts("he", "she", "they"),
    },
}
"""Classes by aspect."""


def is_english(texts: Texts) -> bool:
    """True where most prompts say that they are English, or look so."""
    said = [prompt.lang for prompt in texts.prompts]
    english = sum(lang is not None and lang.lower().startswith("en") for lang in said)
    unsaid = [words for lang, words in zip(said, texts.words, strict=True) if lang is None]
    if unsaid and looks_english(unsaid):
        english += len(unsaid)
    return 2 * english > len(said)


def looks_english(texts: Sequence[Sequence[str]]) -> bool:
    """True where enough words are in the lists."""
    words = [word for text in texts for word in text]
    return sum(word in _KNOWN for word in words) >= _LEAST_ENGLISH * max(1, len(words))

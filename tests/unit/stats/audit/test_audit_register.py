"""Register and single words: planted differences are named with their figures."""

import dataclasses
import re

import pytest

from emoact.schema import Dataset, Prompt
from emoact.stats.audit import AuditReport, Check, audit_dataset
from emoact.stats.audit.register import MARKERS, looks_english, sentences_of
from emoact.stats.audit.text import words_of
from scripts.calibrate_audit import fair_dataset


def check(report: AuditReport, aspect: str) -> Check:
    return next(one for one in report.checks if one.aspect == aspect)


@pytest.mark.parametrize(
    ("name", "having", "lacking"),
    [
        ("numerals", "I paid 40 dollars.", "I paid often."),
        ("numerals", "Twenty of us came.", "One of us came."),
        ("weekdays, months or times of day", "See you on Sunday.", "See you in the sun."),
        ("negations", "I didn’t go.", "I noticed it."),
        ("because, so or since", "It rained, so we left.", "It rained and we left."),
        ("words of praise", "A better seat.", "A seat."),
        ("imperatives", "Keep your hands off it.", "You keep your hands off it."),
        ("imperatives", "It is late. Please close the door.", "The door is close."),
        ("imperatives", "I am here, so call me.", "I call you."),
        ("imperatives", "Do not wait.", "Do you wait?"),
        ("questions", "It rained. Did you see it?", "Did you see it"),
        ("past forms", "You waited.", "I need a red bed, indeed."),
        ("past forms", "She went home.", "She goes home."),
        ("present forms", "We owe you.", "We owed you."),
        ("perfect forms", "You have not waited.", "I have a dog."),
        ("modal verbs", "I can't stay.", "I stay."),
        ("forms in -ing", "I am calling.", "Nothing this morning."),
        ("you as subject", "The soup you made is gone.", "I let you down with the soup."),
        ("you as subject", "You quietly paid.", "I ran with you."),
        ("I or we as subject", "I've paid.", "You paid me."),
        ("he, she or they as subject", "They'll pay.", "You paid them."),
    ],
)
def test_a_class_is_seen_where_a_reader_sees_it(name: str, having: str, lacking: str) -> None:
    has = next(markers[name] for markers in MARKERS.values() if name in markers)
    assert any(has(*sentence) for sentence in sentences_of(having))
    assert not any(has(*sentence) for sentence in sentences_of(lacking))


PLANTED = {
    "gratitude": ("eleven", "numbers", "Numerals occur in"),
    "anger": ("nobody", "negation", "Negations occur in"),
    "apology": ("although", "connectives", "But, yet or although occur in"),
    "neutral": ("cruel", "evaluation", "Words of criticism occur in"),
}


def test_planted_register_is_named_with_the_number_of_prompts() -> None:
    dataset = fair_dataset(0)
    prompts = []
    for row, prompt in enumerate(dataset.prompts):
        word = PLANTED[prompt.emotion][0]
        text = f"{word} {prompt.text}" if row // 4 % 5 else prompt.text
        prompts.append(dataclasses.replace(prompt, text=text))
    report = audit_dataset(dataclasses.replace(dataset, prompts=tuple(prompts)))
    assert not report.ok
    for emotion, (word, aspect, phrase) in PLANTED.items():
        found = check(report, aspect)
        assert found.outcome == "warning", found.verdict
        assert phrase in found.verdict
        having = sum(word in words_of(p.text) for p in prompts if p.emotion == emotion)
        counted = re.search(rf"(\d+) of 50 {emotion} prompts", found.verdict)
        assert counted
        assert int(counted[1]) >= having >= 25
        assert re.search(r"\(p = 0\.0\d+, corrected over \d+ tests\)", found.verdict)
    words = check(report, "single_words")
    assert words.outcome == "warning"
    assert all(f'"{word}" occurs in' in words.verdict for word, _, _ in PLANTED.values())


def japanese() -> Dataset:
    prompts = [
        Prompt(
            id=f"{emotion}-{row}",
            scenario_id=f"s{row}",
            emotion=emotion,
            text=f"{'月曜に' if emotion == 'neutral' and row % 3 else ''}友達と{thing}を見た。",
        )
        for row, thing in enumerate("山川海空星花鳥犬猫魚木森町家店駅橋道本絵茶米雪雨風雲光影石砂")
        for emotion in ("anger", "neutral")
    ]
    return Dataset(source="x", sha256="0" * 64, prompts=tuple(prompts))


def test_other_languages_are_tested_by_single_words_and_told_so() -> None:
    report = audit_dataset(japanese(), permutations=400)
    assert "word lists are English" in check(report, "register").verdict
    assert not {one.aspect for one in report.checks} & set(MARKERS)
    words = check(report, "single_words")
    assert words.outcome == "note"
    assert '"月" occurs in 20 of 30 neutral prompts and 0 of 30 anger prompts' in words.verdict


def test_english_is_recognised_by_its_words() -> None:
    english = "I am sorry that I was late when you came to the door."
    others = [
        "Ich bin sehr froh, dass du mir mit dem Umzug geholfen hast.",
        "Je te remercie de m'avoir aidé avec le déménagement hier soir.",
        "昨日は手伝ってくれてありがとう。",
    ]
    assert looks_english([words_of(english)])
    assert not looks_english([words_of(text) for text in others])

"""Chat templates of our own text: what is rendered, and what is refused with its reason."""

import json
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from tokenizers import normalizers

from emoact.errors import RequestError
from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from emoact.jobs.config import RunConfig
from emoact.jobs.request import ExtractRequest, prepare
from emoact.models.chat import check_chat, read_template
from emoact.schema import ChatFormat, ExtractionOptions
from tests.support.byte_tokenizer import byte_tokenizer
from tests.support.numpy_engine import stand_in_model

PLAIN = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}\n{% endfor %}[assistant]"
GEMMA = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
GEMMA += "{% endif %}<user>{{ messages[0]['content'] | trim }}<model>"


def folder(path: Path, template: str | None, *, normalizer: object = None) -> Path:
    """A model's folder with the template and a tokenizer of single bytes."""
    made = stand_in_model(path / "model")
    byte_tokenizer(normalizer).save(str(made / "tokenizer.json"))
    config = {"bos_token": "<s>"} if template is None else {"chat_template": template}
    (made / "tokenizer_config.json").write_text(json.dumps(config))
    return made


def asked(made: Path) -> RunConfig:
    dataset = made.with_name("prompts.tsv")
    dataset.write_text("text\temotion\nThank you.\tanger\n")
    options, results = ExtractionOptions(chat=ChatFormat()), made.with_name("results")
    return prepare(
        ExtractRequest(models=(str(made),), dataset=dataset, results=results, options=options)
    )


def test_text_is_the_user_turn_between_system_prompt_and_answer(tmp_path: Path) -> None:
    made = folder(tmp_path, PLAIN)
    chat = ChatFormat(system="Be kind.", assistant=" Well,")
    assert check_chat(made, "m", chat, ["user", "Ça va?"]) == [
        f"[system]Be kind.\n[user]{text}\n[assistant] Well," for text in ("user", "Ça va?")
    ]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "no chat template"),
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "stopped after 3 seconds or 512 MiB",
        ),
        ("{{ 'a' * 10 ** 10 }}", "too much memory"),
        ("{% for a in range(99999) %}{{ 'aaaaaaaaaaaaaaaaaaaa' }}{% endfor %}", "more text"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "itself without end"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{{ open('/etc/passwd').read() }}", "'open' is undefined"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "'__class__' of 'str' object is unsafe"),
        ("{% set n = namespace(__init__=1) %}", "no name of a field"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{% if %}", "TemplateSyntaxError"),
        ("[user]{{ messages[0]['content'] | upper }}", "changes|times"),
        ("[user]", "0 times"),
        ("{{ messages[0]['content'] }}{{ messages[0]['content'] }}", "2 times"),
        ("{{ messages[0]['content'] | replace('you', 'me') }}", "changes the prompt 'Thank you.'"),
    ],
)
def test_a_wrong_template_is_refused(template: str | None, reason: str, tmp_path: Path) -> None:
    made = folder(tmp_path, template)
    with pytest.raises(RequestError, match=reason) as refused:
        asked(made)
    assert refused.value.remedy
    assert not (tmp_path / "results").exists()


def test_a_template_broken_later_is_refused_before_loading(tmp_path: Path) -> None:
    made = folder(tmp_path, None)
    template = made / "chat_template.jinja"
    template.write_text(PLAIN)
    config = asked(made)
    template.write_text("{{ raise_exception('not today') }}")

    def load(*_: object) -> NoReturn:
        raise AssertionError("the model was loaded")

    with pytest.raises(RequestError, match="not today"):
        run_units(config, reporter=Quiet(), plans={}, engine_for=load)
    assert not list((tmp_path / "results").rglob("*.pkl*"))


def test_a_system_prompt_that_the_template_refuses_or_leaves_out_is_refused(tmp_path: Path) -> None:
    made = folder(tmp_path, GEMMA)
    assert check_chat(made, "m", ChatFormat(), [" Hi. "]) == ["<user>Hi.<model>"]
    with pytest.raises(RequestError, match="System role not supported") as refused:
        check_chat(made, "m", ChatFormat(system="Be kind."), ["Hi."])
    assert refused.value.remedy == "Extract without --system."
    shutil.rmtree(made)
    silent = folder(tmp_path, "{{ messages[-1]['content'] }}")
    with pytest.raises(RequestError, match="leaves the system prompt out"):
        check_chat(silent, "m", ChatFormat(system="Be kind."), ["Hi."])


def test_a_tokenizer_that_changes_the_text_is_refused(tmp_path: Path) -> None:
    made = folder(tmp_path, PLAIN, normalizer=normalizers.Lowercase())
    assert check_chat(made, "m", ChatFormat(), ["all small"])
    with pytest.raises(RequestError, match="changes a prompt: 'Thank you\\.' is read as"):
        check_chat(made, "m", ChatFormat(), ["Thank you."])


def test_the_clock_of_a_template_stands_still(tmp_path: Path) -> None:
    dated = "{% if strftime_now is defined %}{% set d = strftime_now('%d %b %Y') %}{% else %}"
    dated += "{% set d = 'none' %}{% endif %}{{ d }}|{{ messages[0]['content'] }}|"
    made = folder(tmp_path, dated)
    # The date that templates of Llama 3.2 take where they are told none.
    assert check_chat(made, "m", ChatFormat(), ["Hi."]) == ["26 Jul 2024|Hi.|"]
    assert read_template(made, "m").clock == "2024-07-26T12:00:00+00:00"
    shutil.rmtree(made)
    assert read_template(folder(tmp_path, PLAIN), "m").clock is None


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    made = folder(tmp_path, None)
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": PLAIN}]
    (made / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert check_chat(made, "m", ChatFormat(), ["Hi."]) == ["[user]Hi.\n[assistant]"]


@pytest.mark.parametrize("options", [{"truncate": True}, {"bos": "none"}])
def test_options_that_contradict_a_template_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="chat template decides the first token"):
        ExtractionOptions(chat=ChatFormat(), **options)  # type: ignore[arg-type]

import re
import tomllib
from pathlib import Path

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFile
from streamlit.testing.v1 import AppTest

from emoact.data.reading import MAX_BYTES
from emoact.ui import prompt_list
from tests.support.pages import ROOT, open_page, words

GOOD = "text,emotion\n" + "".join(
    f"Sentence number {number} is about the {word} shed.,{emotion}\n"
    for number, word in enumerate(("red", "old", "big", "new", "wet", "dry"))
    for emotion in ("joy", "calm")
)


def upload(app: AppTest, name: str, data: str) -> AppTest:
    app.file_uploader(key="upload").upload(name, data.encode(), "text/plain").run()
    return app


def test_the_answer_says_that_only_the_words_predict_the_shipped_classes() -> None:
    app = open_page("prompts")
    answer = app.markdown[0].value
    assert answer.startswith(
        "**200 prompts**, 50 scenarios × 4 emotions. No confound is shown; the words"
    )
    found = re.search(
        r"explicit (0\.\d\d) \(p = 0\.\d+\), implicit (0\.\d\d) \(p = 0\.\d+\)", answer
    )
    assert found
    # Words name the emotion in the explicit half by design; chance is 0.25.
    assert float(found[1]) > 0.7
    assert float(found[2]) < 0.5
    assert not app.error
    assert not app.warning
    table = app.table[0].value
    assert set(table.loc[table["verdict"] == "note", "aspect"].str.replace("\\", "")) == {
        "Single words",
        "Words",
        "Words, subset explicit",
        "Words, subset implicit",
    }


def test_search_and_filters_stand_in_the_address_and_narrow_the_table() -> None:
    app = open_page("prompts", q="UMBRELLA", emotion=["anger"])
    shown = app.dataframe[0].value
    assert len(shown)
    assert set(shown["emotion"]) == {"anger"}
    assert shown["text"].str.contains("umbrella").all()
    app = open_page("prompts", q="no such word")
    assert app.dataframe[0].value.empty
    assert "0 prompts of 200" in words(app)
    assert "`subset=odd` in the address was ignored" in words(open_page("prompts", subset="odd"))


def test_of_very_many_prompts_the_first_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_list, "SHOWN", 30)
    app = open_page("prompts")
    assert len(app.dataframe[0].value) == 30
    assert "200 prompts; the first 30 are shown, the CSV file has all" in words(app)
    # Must not happen: a search among those that are shown, of which 7 are neutral.
    found = open_page("prompts", emotion=["neutral"]).dataframe[0].value
    assert found["emotion"].tolist() == ["neutral"] * 30


def test_whatever_is_uploaded_never_breaks_the_page() -> None:
    app = open_page("prompts")
    for name, data in (
        ("image.png", b"\x89PNG\r\n"),
        ("noextension", b"hello"),
        ("../../etc/passwd.csv", b"text,emotion\n"),
        ("empty.jsonl", b""),
        ("x.parquet", b"PAR1garbagePAR1"),
        ("deep.json", b"[" * 100_000),
    ):
        app.file_uploader(key="upload").upload(name, data, "application/octet-stream").run()
        assert "was not imported" in app.error[0].proto.title or app.error[0].value, name


def test_an_upload_leaves_the_memory_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    remove = MemoryUploadedFileManager.remove_file

    def removed(self: MemoryUploadedFileManager, session_id: str, file_id: str) -> None:
        remove(self, session_id, file_id)
        held.append(len(self.get_files(session_id, [file_id])))

    monkeypatch.setattr(MemoryUploadedFileManager, "remove_file", removed)
    app = upload(open_page("prompts"), "mine.csv", GOOD)

    def kept() -> bytes:
        # What the session keeps until its next run, of which the page is given a copy.
        file = app.session_state["upload"]
        assert isinstance(file, UploadedFile)
        return file.getvalue()

    assert "Use 12 prompts" in [button.label for button in app.button]
    assert kept() == b""
    upload(app, "mine.csv", "nothing")
    assert "was not imported" in app.error[0].proto.title
    assert kept() == b""
    assert held == [0, 0]
    upload(app, "mine.csv", "")
    assert "was not imported" in app.error[0].proto.title


def test_a_password_is_asked_for_where_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_PASSWORD", "open sesame")
    app = open_page("home")
    assert not app.title
    (box,) = app.text_input
    box.set_value("open sesame").run()
    assert app.title
    assert box.label not in {each.label for each in app.text_input}


def test_a_confound_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "loud.csv"
    lines = GOOD.replace(".,joy", "!,joy").splitlines()
    path.write_text(
        "\n".join([*lines, *(line.replace("number ", "number 9") for line in lines[1:])])
    )
    app = open_page("prompts", file=str(path))
    assert "A direction can stand for a confound" in app.markdown[0].value
    table = app.table[0].value.set_index("aspect")
    assert table.loc["Punctuation", "verdict"] == "confound"
    assert "Remedy:" in table.loc["Punctuation", "what was found"]


def test_a_path_that_is_no_data_set_says_so() -> None:
    app = open_page("prompts", file="/nowhere/prompts.csv")
    assert "there is no such file" in app.error[0].value
    # The page can still be left by importing another one.
    assert app.file_uploader(key="upload")


def test_an_upload_has_the_limit_of_a_data_set() -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert config["server"]["maxUploadSize"] * 1_000_000 == MAX_BYTES
    assert f"Limits of {config['server']['maxUploadSize']} MB" in (ROOT / "README.md").read_text()

from emoact.ui.boxes import page_words


def test_a_remedy_speaks_of_the_page_and_not_of_the_command_line() -> None:
    said = page_words("Pass --overwrite to replace it, or choose another folder with --results.")
    assert said == (
        'Tick "Overwrite files of another configuration" to replace it, or choose another folder '
        "in the sidebar."
    )
    said = page_words("Shorten it, or pass --truncate to cut it.")
    assert said == 'Shorten it, or tick "Truncate long prompts" to cut it.'
    assert page_words("Free some space.") == "Free some space."


def test_remedies_of_an_analysis_name_what_the_page_has() -> None:
    said = page_words("choose units that agree, or allow the mixture (--allow-mixed).")
    assert said == "choose units that agree, or allow the mixture (with the box below)."
    said = page_words("Name the neutral class (--neutral), or leave out (--leave-out-nonfinite).")
    assert "--" not in said

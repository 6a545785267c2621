"""What the page does when it is drawn once more for the screen of a phone."""

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from emoact.ui.chart import keep_choices

    if "model" not in st.session_state:
        st.session_state["model"] = ["gpt2"]
    st.multiselect("Model", ["gpt2", "pythia"], key="model")
    st.button("Narrow", on_click=keep_choices)


def test_choices_are_sent_again_with_a_page_that_is_drawn_once_more() -> None:
    app = AppTest.from_function(_page, default_timeout=60).run().run()
    before = app.multiselect[0].proto.set_value
    app.button[0].click().run()
    # The first drawing was cut short, so that the browser may not have got what it began with.
    assert (before, app.multiselect[0].proto.set_value) == (False, True)
    assert app.multiselect[0].value == ["gpt2"]

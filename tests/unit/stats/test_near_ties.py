from emoact.stats.norms.sentence import NearClasses


def near(first: float, second: float) -> str:
    found = NearClasses(
        site="resid_pre",
        layer=3,
        distances={"anger": first, "apology": second},
        accuracy=None,
        words=None,
    )
    return found.sentences()[0]


def test_two_distances_that_hardly_differ_name_no_nearest_class() -> None:
    assert "about as close to anger (3.238) as to apology (3.253)" in near(3.238, 3.253)
    assert "names no class" in near(3.238, 3.253)
    assert "lies closest to anger (3.238; next is apology, 3.300)" in near(3.238, 3.300)

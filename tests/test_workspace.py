"""What a worker keeps warm is computed once, and the oldest goes first."""

from nst.workspace import Recent


def test_recent_computes_once_and_forgets_what_was_used_longest_ago():
    recent, computed = Recent(2), []

    def get(key):
        return recent.get(key, lambda: computed.append(key) or key.upper())

    assert [get(key) for key in "abab"] == list("ABAB")
    assert computed == ["a", "b"]
    get("c")
    assert get("b") == "B"
    assert computed == ["a", "b", "c"]
    get("a")
    assert computed == ["a", "b", "c", "a"]

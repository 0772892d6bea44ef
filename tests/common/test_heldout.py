from scripts.common import heldout


def test_windows_predict_every_token_once() -> None:
    for length in (2, 9, 10, 11, 12, 57):
        tokens = list(range(length))
        cut = heldout.windows(tokens, 10)
        assert [token for window in cut for token in window[1:]] == tokens[1:]
        assert all(len(window) <= 11 for window in cut)


def test_the_head_of_a_text_ends_between_characters() -> None:
    assert heldout.head("aéb", 2) == "a"
    assert heldout.head("aéb", 3) == "aé"

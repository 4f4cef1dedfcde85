import pytest

from svdlib.compute.progress import duration, progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 min"), (29, "0 min"), (59, "1 min"), (3599, "1 h 0 min"), (9060, "2 h 31 min"), (273_600, "3 d 4 h")],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_a_bar_tells_the_time_left_in_all_where_more_is_to_come(capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    times = iter(range(0, 9999, 60))
    monkeypatch.setattr("svdlib.compute.progress.time.monotonic", lambda: next(times))
    assert list(progress(range(3), description="epoch 1/2", unit="batch", beyond=3)) == [0, 1, 2]
    err = capsys.readouterr().err
    assert "epoch 1/2" in err and "3 min left in all" in err  # a minute a batch, and three are still to come


def test_a_bar_of_the_last_items_says_nothing_of_the_rest(capsys):
    assert list(progress(iter("ab"), description="export", total=2)) == ["a", "b"]
    assert "left in all" not in capsys.readouterr().err

"""The rows of the ledger: keys that hold any text, sums that can be taken back, and bounds that lose no call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyjama_metrics.ledger_rows import COLUMNS, OTHER_MODELS, Ledger, RowKey, add, bound, parsed

NAMES = st.text("a|\\é\n", max_size=4)


@given(st.builds(RowKey, st.integers(0, 10**6), st.integers(0, 10**6), NAMES, NAMES, NAMES, NAMES))
def test_a_key_is_read_as_it_was_written(key: RowKey) -> None:
    """Whatever the names are made of."""
    assert parsed(key.text) == key


@given(st.lists(st.builds(RowKey, st.integers(0, 2), st.just(0), st.just("computed"), NAMES, NAMES, NAMES), unique=True))
def test_no_two_keys_are_written_alike(keys: list[RowKey]) -> None:
    """Or two models would have one price."""
    assert len({key.text for key in keys}) == len(keys)


def test_what_is_no_key_is_none() -> None:
    """A person may have edited the file."""
    assert [parsed(text) for text in ("", "1|2|3|4|5", "x|0|computed|m||", "1|0|c|m|||")] == [None] * 4


def amounts(requests: int, tokens: int = 0) -> list[int]:
    """The amounts of so many calls."""
    return [requests, tokens] + [0] * (len(COLUMNS) - 2)


def test_what_is_taken_away_as_a_whole_leaves_no_row() -> None:
    """Or the order in which calls are told would show."""
    ledger: Ledger = {}
    key = RowKey(5, 0, "computed", "m", "plan", "read")
    add(ledger, key, amounts(1, 9))
    add(ledger, key, amounts(-1, -9))
    assert ledger == {}


def test_what_is_taken_away_after_its_row_was_added_up_is_found_there() -> None:
    """The sums stay exact."""
    ledger: Ledger = {}
    for tool in "abc":
        add(ledger, RowKey(5, 0, "computed", "m", "", tool), amounts(1, 9))
    bound(ledger, 0, 1)
    add(ledger, RowKey(5, 0, "computed", "m", "", "b"), amounts(-1, -9))
    assert ledger == {"5|0|computed|m||": amounts(2, 18)}


KEYS = st.builds(
    RowKey,
    st.integers(1, 9),
    st.sampled_from([0, 200_000]),
    st.sampled_from(["computed", "reported"]),
    st.sampled_from("mno"),
    st.sampled_from(["", "p", "q"]),
    st.sampled_from(["", "t"]),
)


@given(st.lists(st.tuples(KEYS, st.integers(1, 5)), max_size=60), st.integers(8, 20))
def test_bounded_rows_are_few_and_hold_every_call(told: list[tuple[RowKey, int]], most: int) -> None:
    """Days before the first that is kept apart are day 0; of the newest day nothing is priced by another day."""
    ledger: Ledger = {}
    for key, requests in told:
        add(ledger, key, amounts(requests, 10))
    from_day = bound(ledger, 0, most)
    assert len(ledger) <= most
    rows = {key: row for text, row in ledger.items() if (key := parsed(text)) is not None}
    assert sum(row[0] for row in rows.values()) == sum(requests for _, requests in told)
    assert sum(row[1] for row in rows.values()) == 10 * len(told)
    assert all(key.day == 0 or key.day >= from_day for key in rows)
    newest = max((key.day for key, _ in told), default=0)
    assert {key.day for key in rows} >= ({newest} if told else set())


def test_the_days_go_before_the_names_do() -> None:
    """A phase of today is worth more than the day of something long past."""
    ledger: Ledger = {}
    for day in range(1, 11):
        for phase in ("plan", "work"):
            add(ledger, RowKey(day, 0, "computed", "m", phase), amounts(1))
    assert bound(ledger, 0, 6) == 9
    assert set(ledger) == {f"{day}|0|computed|m|{phase}|" for day in (0, 9, 10) for phase in ("plan", "work")}


def test_at_last_the_models_go_that_were_called_least() -> None:
    """Their calls have no price then; those of the others do."""
    ledger: Ledger = {}
    for number in range(10):
        add(ledger, RowKey(1, 0, "computed", f"m{number}"), amounts(number + 1))
    bound(ledger, 0, 4)
    assert set(ledger) == {f"1|0|computed|{OTHER_MODELS}||", "1|0|computed|m7||", "1|0|computed|m8||", "1|0|computed|m9||"}

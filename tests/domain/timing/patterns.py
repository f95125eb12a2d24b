"""Any cron pattern, for tests of laws that hold for all of them."""

from hypothesis import strategies as st

from domain.timing.cron import parse_cron


def fields(low, high):
    number = st.integers(low, high)
    ranged = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.builds("{}/{}".format, st.just("*") | ranged, st.integers(1, high))
    listed = st.lists(number.map(str) | ranged, min_size=1, max_size=3).map(",".join)
    return st.just("*") | stepped | listed


crons = st.tuples(
    fields(0, 59), fields(0, 23), fields(1, 28) | st.just("*"), fields(1, 12) | st.just("*"), fields(0, 7)
)
crons = crons.map(" ".join).map(parse_cron)

"""EB-NeRD: reads of news articles, with reading time and scroll depth."""

from data_prep.options import PrepareOptions
from data_prep.sources.base import Source
from data_prep.sources.generic import read

SOURCE = Source(
    "EB-NeRD article reads as events: user_id, item_id, timestamp, read_time, scroll_percentage",
    read,
    PrepareOptions(
        context={"read_time": "numeric", "scroll_percentage": "numeric"},
        drop_repeats=True,
        max_events_a_day="none",
        split="last_session",
    ),
)

"""RetailRocket: events.csv of a shop: timestamp in ms, visitorid, event, itemid."""

from data_prep.options import PrepareOptions
from data_prep.sources.base import Source
from data_prep.sources.generic import read

SOURCE = Source(
    "RetailRocket's events.csv: views, carts, purchases",
    read,
    PrepareOptions(
        user="visitorid", item="itemid", time="timestamp", event="event", time_unit="ms", split="global_time"
    ),
)

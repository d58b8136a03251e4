"""Known logs, each a module with its own reading and its own default options."""

from data_prep.sources import completejourney, ebnerd, generic, judge, movielens, retailrocket
from data_prep.sources.base import Found, Source

SOURCES: dict[str, Source] = {
    "log": generic.SOURCE,
    "completejourney": completejourney.SOURCE,
    "movielens": movielens.SOURCE,
    "ebnerd": ebnerd.SOURCE,
    "retailrocket": retailrocket.SOURCE,
    "judge": judge.SOURCE,
}

__all__ = ["SOURCES", "Found", "Source"]

"""Known logs, each a module with its own reading and its own default options."""

from data_prep.sources import completejourney, ebnerd, generic, judge, movielens, retailrocket
from data_prep.sources.base import Found, Source
from tfrec.errors import SettingsError

SOURCES: dict[str, Source] = {
    "log": generic.SOURCE,
    "completejourney": completejourney.SOURCE,
    "movielens": movielens.SOURCE,
    "ebnerd": ebnerd.SOURCE,
    "retailrocket": retailrocket.SOURCE,
    "judge": judge.SOURCE,
}

__all__ = ["SOURCES", "Found", "Source", "source_named"]


def source_named(name: str) -> Source:
    """Returns a source.

    Raises:
        SettingsError: there is none of the name.
    """
    if name not in SOURCES:
        known = "".join(f"\n  {name}: {source.describes}" for name, source in SOURCES.items())
        raise SettingsError(f"there is no source {name!r}; known are{known}")
    return SOURCES[name]

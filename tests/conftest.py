"""Settings of the whole suite."""

from hypothesis import settings

# The same examples in every run, however slow the machine: a failure is never chance.
settings.register_profile("tfrec", derandomize=True, deadline=None)
settings.load_profile("tfrec")

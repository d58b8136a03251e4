"""What tasks of ranking need of a dataset, and whether it has it."""

from tfrec.config_ranking import RankingSettings
from tfrec.errors import SettingsError
from tfrec.schema import ImpressionFacts, Statistic, Value


def chosen_statistics(ranking: RankingSettings, facts: ImpressionFacts) -> tuple[Statistic, ...]:
    """Returns the statistics of impressions that are inputs, in the dataset's order."""
    chosen = ranking.statistics
    return tuple(s for s in facts.statistics if chosen is None or s.name in chosen)


def value_facts(facts: ImpressionFacts, name: str) -> Value:
    """Returns mean and deviation of a value."""
    return next(value for value in facts.values if value.name == name)


def require_ranking_facts(ranking: RankingSettings, facts: ImpressionFacts | None) -> None:
    """Refuses tasks and statistics that the dataset does not have.

    Raises:
        SettingsError: there is no such label or statistic, or there are no impressions at all.
    """
    if not ranking.tasks:
        return
    if facts is None:
        raise SettingsError(
            "ranking.tasks learn from impressions, and the dataset has none. Prepare its log with "
            "--impressions FILE, or leave the tasks out."
        )
    values = [value.name for value in facts.values]
    for name, task in ranking.tasks.items():
        what, have = ("value", values) if task.kind == "regression" else ("label", list(facts.labels))
        if task.label not in have:
            raise SettingsError(
                f"ranking.tasks.{name}.label: the dataset has no {what} {task.label!r}; its {what}s are "
                f"{', '.join(have) or 'none'}"
            )
        if task.strength is not None and task.strength not in values:
            raise SettingsError(
                f"ranking.tasks.{name}.strength: the dataset has no value {task.strength!r}; its values are "
                f"{', '.join(values) or 'none'}"
            )
    known = [s.name for s in facts.statistics]
    if facts.sampled and ranking.list_blocks:
        raise SettingsError(
            f"ranking.list_blocks={ranking.list_blocks}: these impressions were made of the log, a session's "
            "items among strangers, so that a list would tell its labels; leave it out"
        )
    for name in ranking.statistics or ():
        if name not in known:
            raise SettingsError(
                f"ranking.statistics: the dataset has no statistic {name!r}; it has {', '.join(known)}"
            )

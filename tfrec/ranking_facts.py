"""What tasks of ranking need of a dataset, and whether it has it."""

from tfrec.config_ranking import RankingSettings
from tfrec.errors import SettingsError
from tfrec.schema import ImpressionFacts, Statistic


def chosen_statistics(ranking: RankingSettings, facts: ImpressionFacts) -> tuple[Statistic, ...]:
    """Returns the statistics of impressions that are inputs, in the dataset's order."""
    chosen = ranking.statistics
    return tuple(s for s in facts.statistics if chosen is None or s.name in chosen)


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
    for name, task in ranking.tasks.items():
        if task.label not in facts.labels:
            raise SettingsError(
                f"ranking.tasks.{name}.label: the dataset has no label {task.label!r}; its labels are "
                f"{', '.join(facts.labels)}"
            )
    known = [s.name for s in facts.statistics]
    for name in ranking.statistics or ():
        if name not in known:
            raise SettingsError(
                f"ranking.statistics: the dataset has no statistic {name!r}; it has {', '.join(known)}"
            )

"""What a model is built from: its settings and the facts of the dataset it learns from."""

from typing import Literal

from tfrec.config import LossSettings, ModelSettings, Settings
from tfrec.config_ranking import RankingSettings
from tfrec.dataset import Dataset
from tfrec.frozen import Frozen
from tfrec.ranking_facts import chosen_statistics, require_ranking_facts
from tfrec.schema import ContextColumn, ImpressionFacts, ItemFeature, Repeats, Statistic


class ModelSpec(Frozen):
    """Settings and facts that shape the towers; saved inside `model.keras`."""

    settings: ModelSettings
    loss: LossSettings
    items: int
    """rows of the item table, padding and unknown included"""
    event_types: int
    """rows of the event type table"""
    context: tuple[ContextColumn, ...]
    features: tuple[ItemFeature, ...]
    feature_widths: tuple[int, ...]
    """values that an item may have of each feature (1 but for multi-valued ones)"""
    has_clock: bool
    ordered_sessions: bool
    repeats: Repeats
    ranking: RankingSettings = RankingSettings()
    impressions: ImpressionFacts | None = None
    """what tasks of ranking learn from; None without tasks"""

    @classmethod
    def of(cls, settings: Settings, dataset: Dataset) -> "ModelSpec":
        """Returns what the settings ask for, of what the dataset has."""
        schema = dataset.schema
        features = schema.item_features if settings.model.item_features else ()
        impressions = schema.impressions if settings.ranking.tasks else None
        require_ranking_facts(settings.ranking, impressions)
        return cls(
            settings=settings.model,
            loss=settings.loss,
            items=dataset.items.size,
            event_types=dataset.event_types.size,
            context=schema.context if settings.model.context else (),
            features=features,
            feature_widths=tuple(_width(dataset, f) for f in features),
            has_clock=schema.has_clock,
            ordered_sessions=schema.ordered_sessions,
            repeats=schema.repeats,
            ranking=settings.ranking,
            impressions=impressions,
        )

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Those that the ranking network takes."""
        return chosen_statistics(self.ranking, self.impressions) if self.impressions else ()

    @property
    def list_blocks(self) -> int:
        """Blocks in which the candidates of a list see each other."""
        asked = self.ranking.list_blocks
        if asked is not None:
            return asked
        return 0 if self.impressions is not None and self.impressions.sampled else 1

    @property
    def scored(self) -> bool:
        """Whether candidates are known by their score in retrieval, too."""
        return self.ranking.retrieval_score and self.ranking.retrieval

    @property
    def copies(self) -> bool:
        """Whether copy scores are used: only where items can come again."""
        return self.settings.copy_scores and self.recurs

    @property
    def recurrence(self) -> bool:
        """Whether anything looks at how items come back within a sequence."""
        asked = self.settings.copy_newest or "recurrence" in self.settings.encodings
        return self.recurs and asked

    @property
    def recurs(self) -> bool:
        """Whether an item can come again."""
        return self.repeats != "never"

    def pairs(self, name: Literal["sessions", "time", "places"]) -> bool:
        """Whether a kind of pairwise terms is asked for, and means something in this log."""
        known = {"sessions": True, "time": self.has_clock, "places": self.ordered_sessions}
        return known[name] and name in self.settings.pairwise

    @property
    def full_softmax(self) -> bool:
        """Whether the loss goes over the whole catalogue."""
        small = self.items <= self.loss.full_up_to
        return self.loss.negatives == "full" or (self.loss.negatives == "auto" and small)


MAX_VALUES = 16
"""values of a multi-valued feature that count; further ones of an item are left out"""


def _width(dataset: Dataset, feature: ItemFeature) -> int:
    if feature.kind != "multi":
        return 1
    longest = (
        dataset.catalogue[feature.name].map(lambda v: 0 if v is None else len(v), na_action="ignore").max()
    )
    return int(min(max(longest, 1), MAX_VALUES))

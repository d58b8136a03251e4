"""Settings of what a servable answers: two stages, and rules after them."""

from typing import Literal

from pydantic import Field, PositiveInt

from tfrec.frozen import Frozen

RETRIEVAL = "retrieval"
"""in formulas: exp(score - that of the best candidate), in (0, 1]"""


class AnswerSettings(Frozen):
    """What a servable answers; `tfrec export --set answers.…` changes it without training."""

    retrieve: int = Field(200, ge=1, description="candidates that are ranked, or that rules choose from")
    formula: str | None = Field(
        None,
        description="of tasks and `retrieval`, what answers are ordered by; null: retrieval * the first task",
    )
    at_most: dict[str, PositiveInt] = Field(
        {}, description="by item feature: answers that may share a value of it"
    )
    diversity: float = Field(
        0.0, ge=0, le=1, description="weight of being unlike the answers before (maximal marginal relevance)"
    )
    explore: float = Field(0.0, ge=0, le=1, description="share of places given to exploration")
    explore_by: Literal["lot", "thompson"] = Field(
        "lot", description="any candidate alike, or the best by a draw from what its value may be"
    )
    uncertainty: float = Field(
        0.5,
        ge=0,
        description="deviation of the value of an item that nobody had; it falls as 1/√(1 + events)",
    )
    max_candidates: int = Field(1000, ge=1, description="that a request may give to be ranked")
    unknown_candidates: Literal["refuse", "rank"] = Field(
        "refuse", description="rank: what is no item of the catalogue is ranked by its statistics alone"
    )

    @property
    def has_rules(self) -> bool:
        """Whether answers are more than the best candidates."""
        return bool(self.at_most or self.diversity or self.explore)

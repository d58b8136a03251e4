"""Settings of a run as frozen types; unknown keys are errors. `tfrec.settings_file` reads them."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, model_validator

from tfrec.config_answers import RETRIEVAL, AnswerSettings
from tfrec.config_ranking import RankingSettings
from tfrec.config_training import AugmentationSettings, TrainingSettings
from tfrec.formula import Formula
from tfrec.frozen import Frozen

FUSIONS = ("early", "sum", "concat", "gated", "cross")


class ModelSettings(Frozen):
    """The two towers."""

    dimensions: int = Field(64, ge=4, le=4096, description="D, of embeddings and hidden states")
    blocks: int = Field(2, ge=1, le=64, description="Transformer blocks")
    block: Literal["transformer", "gated", "hstu"] = Field(
        "gated", description="plain, gated residuals (LiGR) or HSTU; see tfrec.layers.blocks"
    )
    rotary: bool = Field(False, description="turn queries and keys by their places")
    heads: int = Field(2, ge=1, description="attention heads, a divisor of dimensions")
    feed_forward: int = Field(128, ge=4, description="hidden units of a block's SwiGLU layer")
    max_length: int = Field(127, ge=1, le=8191, description="events of a sequence, the newest")
    dropout: float = Field(0.2, ge=0, lt=1, description="of inputs, and of what each layer adds")
    fusion: Literal["early", "sum", "concat", "gated", "cross"] = Field(
        "early", description="how history and current session come together"
    )
    copy_scores: bool = Field(True, description="score the sequence's own items a second way")
    copy_curves: bool = Field(True, description="an own curve over the gap in time for each event's copies")
    copy_newest: bool = Field(False, description="tell an item's newest event from older ones in copying")
    rules: int = Field(50, ge=0, description="sequential rules kept an item; 0: no rule scores")
    rule_scope: Literal["session", "user"] = Field(
        "session", description="rules within a session, or through all of a user's"
    )
    rule_discount: float = Field(
        0.0, ge=0, le=1, description="the rules kept are those of the highest w(x → y) / w(y)^discount"
    )
    rule_events: int = Field(8, ge=1, description="newest events whose rules count")
    rule_boost: float = Field(
        0.0, description="added to rule scores in answers: the best list is not the likeliest mixture"
    )
    history: bool = Field(True, description="false: the current session alone is looked at")
    pairwise: tuple[Literal["sessions", "time", "places"], ...] = Field(
        ("sessions", "time", "places"), description="what lies between, as terms of attention"
    )
    encodings: tuple[Literal["gap", "place", "request", "recurrence"], ...] = Field(
        ("gap", "place", "request"), description="of events; see tfrec.layers.encodings"
    )
    time_of_day: bool = Field(False, description="hour and weekday of the request as inputs")
    item_features: bool = Field(True, description="embed the catalogue's features in both towers")
    id_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of items that training knows by their features alone"
    )
    id_table: Literal["full", "hashed", "quotient_remainder"] = Field(
        "full", description="a row for each item, or rows that items share; see tfrec.layers.id_tables"
    )
    items_a_row: int = Field(8, ge=2, description="items that share a row, where the table is not full")
    context: bool = Field(True, description="embed the context columns of the events")

    @model_validator(mode="after")
    def _heads_divide(self) -> "ModelSettings":
        if self.dimensions % self.heads:
            raise ValueError(f"heads={self.heads} must divide dimensions={self.dimensions}")
        return self


class LossSettings(Frozen):
    """What the next item is told apart from, and how."""

    kind: Literal["softmax", "bce", "gbce"] = Field("softmax", description="see tfrec.losses")
    calibration: float = Field(0.75, ge=0, le=1, description="t of gbce")
    smoothing: float = Field(0.0, ge=0, lt=1, description="share of the label spread over the catalogue")
    without_rules: float = Field(0.3, ge=0, le=1, description="share of the loss without rule scores")
    normalise: bool = Field(False, description="unit length for queries and candidates, before the product")
    negatives: Literal["auto", "sampled", "full"] = Field(
        "auto", description="full: the whole catalogue; auto: full up to `full_up_to` items"
    )
    full_up_to: int = Field(4096, ge=1, description="catalogue size up to which `auto` is full")
    in_batch: int = Field(1024, ge=1, description="positions whose targets are each other's negatives")
    in_batch_negatives: bool = Field(True, description="whether they are; false: uniform ones alone")
    uniform: int = Field(1024, ge=0, description="negatives drawn uniformly from the catalogue")
    temperature: float = Field(1.0, gt=0, description="divides the dot products")
    bar_repeats: bool = Field(True, description="items that cannot come again are no negatives")
    distillation: float = Field(
        0.5, ge=0, le=1, description="share of the loss that is the teacher's, where there is one"
    )
    teacher_temperature: float = Field(
        1.0, gt=0, description="divides the scores of teacher and student, where they are compared"
    )
    positives: int = Field(
        1, ge=1, le=64, description="targets a place: the next item, and those that follow it in its session"
    )

    @model_validator(mode="after")
    def _several_positives_share_a_softmax(self) -> "LossSettings":
        if self.positives > 1 and self.kind != "softmax":
            raise ValueError(f"positives={self.positives} needs kind=softmax; {self.kind} knows one target")
        return self


class Settings(Frozen):
    """A whole run."""

    seed: int = Field(1, ge=0, description="of the first weights, and of all that is drawn by lot")
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    ranking: RankingSettings = RankingSettings()
    answers: AnswerSettings = AnswerSettings()

    @model_validator(mode="after")
    def _rows_hold_sequences(self) -> "Settings":
        length = self.training.row_length
        if length is not None and length <= self.model.max_length:
            raise ValueError(
                f"training.row_length={length} must exceed model.max_length={self.model.max_length}: "
                "a row holds a sequence and its start"
            )
        return self

    @model_validator(mode="after")
    def _ranking_has_what_it_needs(self) -> "Settings":
        # Sessions apart and places of rows (rotary) know no asides, hidden items are no requests, and
        # neighbours that change places come before what led to them.
        needed = {
            "model.history=true": self.model.history,
            "model.rotary=false": not self.model.rotary,
            "training.pretraining_epochs=0": not self.training.pretraining_epochs,
            "augmentation.reorder=0": not self.augmentation.reorder,
            "augmentation.cut_at_sessions=false": not self.augmentation.cut_at_sessions,
        }
        for setting, holds in needed.items():
            if self.ranking.tasks and not holds:
                raise ValueError(f"ranking.tasks need {setting}")
        if not self.ranking.tasks and not self.ranking.retrieval:
            raise ValueError("ranking.retrieval=false leaves nothing to learn; name ranking.tasks")
        return self

    @model_validator(mode="after")
    def _formula_speaks_of_tasks(self) -> "Settings":
        if self.answers.formula is not None and not self.ranking.tasks:
            raise ValueError("answers.formula needs ranking.tasks to speak of")
        try:
            _ = self.formula
        except ValueError as error:
            raise ValueError(f"answers.formula: {error}") from None
        return self

    @property
    def formula(self) -> Formula | None:
        """What answers are ordered by; None without tasks of ranking."""
        tasks = list(self.ranking.tasks)
        if not tasks:
            return None
        return Formula(self.answers.formula or f"{RETRIEVAL} * {tasks[0]}", [RETRIEVAL, *tasks])

    @property
    def row_length(self) -> int:
        """P: places of a packed row."""
        return self.training.row_length or self.model.max_length + 1

    def save(self, path: Path) -> None:
        """Writes all settings, defaults included, as YAML."""
        path.write_text(yaml.safe_dump(self.model_dump(), sort_keys=False), encoding="utf-8")

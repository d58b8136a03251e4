"""What can be chosen of impressions, beside the log that they belong to."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from data_prep.names import fits_a_file
from tfrec.frozen import Frozen


class SampledOptions(Frozen):
    """Impressions made of the log itself: what a session went on to, beside items drawn by lot."""

    negatives: int = Field(20, ge=1, le=1000, description="items drawn for each session")
    labels: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="event types by name of label; none: each type is one"
    )
    values: dict[str, str] = Field(
        default_factory=dict, description="numeric context columns of the events by name of value"
    )


class ImpressionOptions(Frozen):
    """Impressions: what was shown at a moment, and what came of it.

    One row an impression, with the items in a list (`shown`) and, for each label, a list of those of them
    that have it; or, with `id`, one row a shown item, and each label as 0 or 1. Columns of users, times and
    (with `id`) items are named as in the log.
    """

    file: Path = Field(description="a file or folder of impressions")
    id: str | None = Field(None, description="column of impression ids: one row a shown item")
    shown: str = Field("shown", description="without `id`: the column of the items shown")
    labels: dict[str, str] = Field(
        default_factory=lambda: {"click": "clicked"}, min_length=1, description="columns by name of label"
    )
    values: dict[str, str] = Field(
        default_factory=dict,
        description="columns of numbers by name: with `id` one a row, without, lists as long as `shown`",
    )
    context: dict[str, Literal["auto", "categorical", "numeric"]] = Field(
        default_factory=dict, description="columns that say under what circumstances, and their kinds"
    )
    counted: tuple[str, ...] | None = Field(
        None, description="labels that come at once, and count in statistics; None: click, where there is one"
    )
    session: str | None = Field(
        None, description="column of the log's session ids; None: a gap in time opens a new session"
    )
    role: str | None = Field(
        None, description="column of train, val or test; None: as the user's events at that time"
    )

    @field_validator("labels")
    @classmethod
    def _labels_are_no_streams(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in sorted({"events", "shown", "age", "user"} & set(labels)):
            raise ValueError(f"{name!r} is the name of a statistic; choose another for the label")
        return labels

    @model_validator(mode="after")
    def _counted_are_labels(self) -> "ImpressionOptions":
        for name in self.counted or ():
            if name not in self.labels:
                raise ValueError(f"{name!r} is counted, and is none of the labels {', '.join(self.labels)}")
        return self

    @field_validator("context")
    @classmethod
    def _names_fit_files(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if not fits_a_file(name):
                raise ValueError(f"the name {name!r} is to be part of a file's name; choose another")
        return columns

"""What can be chosen when a log is prepared."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from data_prep.impression_options import ImpressionOptions, SampledOptions
from data_prep.names import fits_a_file
from tfrec.frozen import Frozen
from tfrec.schema import Repeats

TimeUnit = Literal["auto", "iso", "s", "ms", "us"]
Split = Literal["last_session", "leave_one_out", "global_time", "none"]


class PrepareOptions(Frozen):
    """Options of `prepare`; each source has its own defaults for them."""

    user: str = Field("user_id", description="column of user ids")
    item: str = Field("item_id", description="column of item ids")
    time: str = Field("timestamp", description="column of times")
    event: str | None = Field(None, description="column of event types")
    session: str | None = Field(None, description="column of session ids; without it a gap in time ends one")
    context: dict[str, Literal["auto", "categorical", "numeric"]] = Field(
        default_factory=dict, description="further columns of events, and their kinds"
    )
    time_unit: TimeUnit = "auto"
    items_file: Path | None = Field(None, description="a file of item features")
    items_id: str | None = Field(None, description="its column of item ids; None: as `item`")
    features: dict[str, Literal["auto", "categorical", "multi", "numeric", "words", "none"]] = Field(
        default_factory=dict, description="kinds of item features; `words`: of a text; `none` leaves one out"
    )
    impressions: ImpressionOptions | None = Field(None, description="what was shown, and what came of it")
    sampled_impressions: SampledOptions | None = Field(None, description="made of the log itself instead")
    session_gap_s: int = Field(1800, ge=1, description="a longer gap in time ends a session")
    ordered_sessions: bool = Field(True, description="False: the order inside a session means nothing")
    has_clock: bool | None = Field(None, description="whether times are clock times; None: found out")
    drop_duplicates: bool = Field(True, description="drop rows that are equal in all columns that are read")
    drop_repeats: bool = Field(False, description="drop an event whose item is that of the one before it")
    once_per_session: bool = Field(False, description="keep an item's first event in a session alone")
    max_events_a_day: Annotated[int, Field(ge=1)] | Literal["auto", "none"] = Field(
        "auto", description="users with a busier day are bots and are dropped; auto: as the data suggests"
    )
    min_item_events: int = Field(1, ge=1)
    min_user_events: int = Field(1, ge=1)
    max_rejected_share: float = Field(0.05, ge=0, le=1, description="of unreadable rows; beyond it: stop")
    split: Split = "last_session"
    split_days: int = Field(14, ge=1, description="of global_time: days of test, and of val before it")
    repeats: Repeats | None = Field(None, description="where an item can come again; None: found in the log")
    shards: int | None = Field(None, ge=1, description="None: one for each two million events")
    seed: int = Field(0, ge=0, description="of the order drawn inside unordered sessions")

    @field_validator("context")
    @classmethod
    def _names_fit_files(cls, context: dict[str, str]) -> dict[str, str]:
        for name in context:
            if not fits_a_file(name):
                raise ValueError(f"the name {name!r} is to be part of a file's name; rename the column")
        return context

    @model_validator(mode="after")
    def _impressions_come_from_one_place(self) -> "PrepareOptions":
        if self.impressions is not None and self.sampled_impressions is not None:
            raise ValueError("impressions come from a file or from the log itself, not from both")
        return self

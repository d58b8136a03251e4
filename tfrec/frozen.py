"""The base of settings and facts."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A frozen type; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

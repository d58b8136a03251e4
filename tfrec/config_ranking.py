"""Settings of ranking: tasks, the network, and how it learns."""

import keyword

from pydantic import Field, model_validator

from tfrec.config_answers import RETRIEVAL
from tfrec.frozen import Frozen

RESERVED = ("item_id", "score", "next_item", RETRIEVAL)
"""names of a servable's other outputs, and of what formulas speak of"""


class TaskSettings(Frozen):
    """What a candidate is told apart by."""

    label: str = Field(description="of the dataset's impressions")
    weight: float = Field(1.0, gt=0, description="of its loss among those of all tasks")
    given: str | None = Field(
        None,
        description="a task that must come first, as the click before the conversion",
    )


class RankingSettings(Frozen):
    """Probabilities of given candidates, learned from impressions together with retrieval."""

    tasks: dict[str, TaskSettings] = Field({}, description="by name; none: no ranking")
    weight: float = Field(1.0, gt=0, description="of the ranking losses beside that of retrieval")
    retrieval: bool = Field(True, description="false: ranking alone is learned")
    attention: bool = Field(True, description="candidates look at the sequence's events (target attention)")
    list_blocks: int = Field(1, ge=0, le=16, description="blocks in which a list's candidates see each other")
    listwise: float = Field(1.0, ge=0, description="weight of the loss of a list's order")
    statistics: tuple[str, ...] | None = Field(None, description="inputs of the dataset's; null: all")
    dropout: float = Field(0.1, ge=0, lt=1, description="of what a list's blocks add")
    candidates: int = Field(32, ge=2, description="of a list in training; of longer ones some are drawn")
    unknown: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of candidates that training takes for unknown ones",
    )

    @model_validator(mode="after")
    def _names_can_stand_in_formulas(self) -> "RankingSettings":
        for name in self.tasks:
            if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED:
                raise ValueError(
                    f"tasks.{name}: a task is named by letters, digits and _, as a Python variable, and not "
                    f"{', '.join(RESERVED)}"
                )
        return self

    @model_validator(mode="after")
    def _parents_are_tasks(self) -> "RankingSettings":
        for name, task in self.tasks.items():
            seen, parent = {name}, task.given
            while parent is not None:
                if parent not in self.tasks:
                    known = ", ".join(sorted(self.tasks))
                    raise ValueError(f"tasks.{name}: given={parent!r} is none of the tasks {known}")
                if parent in seen:
                    raise ValueError(f"tasks.{name} is given itself")
                seen.add(parent)
                parent = self.tasks[parent].given
        return self

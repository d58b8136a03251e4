"""Settings of ranking: tasks, the network, and how it learns."""

import keyword
from typing import Literal

from pydantic import Field, model_validator

from tfrec.config_answers import RETRIEVAL
from tfrec.frozen import Frozen

RESERVED = ("item", "item_id", "score", "next_item", RETRIEVAL)
"""names of a servable's other outputs, and of what formulas speak of"""


class TaskSettings(Frozen):
    """What a candidate is told apart by."""

    label: str = Field(description="of the dataset's impressions; of regression: a value of theirs")
    kind: Literal["binary", "regression"] = Field(
        "binary", description="a probability, or the number itself, of candidates that have one"
    )
    strength: str | None = Field(
        None, description="a value: candidates with the label count by it, as a share of its mean"
    )
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
    into_towers: bool = Field(
        True, description="false: ranking reads what the towers say and does not move them"
    )
    balance: Literal["weights", "uncertainty"] = Field(
        "weights", description="uncertainty: the weights of all losses are learned (Kendall et al. 2018)"
    )
    retrieval_score: bool = Field(
        True, description="candidates are known by their score in retrieval, too, where that is learned"
    )
    cross: int = Field(0, ge=0, le=16, description="cross layers (DCN-V2) over what is known of a candidate")
    sharing: Literal["shared", "mmoe", "ple"] = Field(
        "shared", description="what tasks share: all but the head, or experts; see tfrec.layers.experts"
    )
    experts: int = Field(2, ge=1, le=64, description="shared ones; with ple of each task, too")
    expert_levels: int = Field(1, ge=1, le=8, description="of ple, one after another")
    attention: bool = Field(True, description="candidates look at the sequence's events (target attention)")
    list_blocks: int | None = Field(
        None, ge=0, le=16, description="blocks in which a list's candidates see each other; null: 1 if shown"
    )
    listwise: float = Field(1.0, ge=0, description="weight of the loss of a list's order")
    statistics: tuple[str, ...] | None = Field(None, description="inputs of the dataset's; null: all")
    dropout: float = Field(0.1, ge=0, lt=1, description="of what a list's blocks add")
    share: float = Field(1.0, gt=0, le=1, description="of the impressions, drawn anew each epoch")
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
    def _chances_come_first(self) -> "RankingSettings":
        kinds = {name: task.kind for name, task in self.tasks.items()}
        for name, task in self.tasks.items():
            if task.kind == "regression" and (task.given or task.strength):
                raise ValueError(f"tasks.{name}: `given` and `strength` are of binary tasks")
            if kinds.get(task.given or "") == "regression":
                raise ValueError(f"tasks.{name}: given={task.given!r} is no binary task")
        if self.tasks and next(iter(kinds.values())) != "binary":
            raise ValueError("tasks: the first one is measured while training, and must be binary")
        return self

    @model_validator(mode="after")
    def _something_moves_the_towers(self) -> "RankingSettings":
        if not self.retrieval and not self.into_towers:
            raise ValueError("into_towers=false needs retrieval: nothing else would move the towers")
        return self

    @model_validator(mode="after")
    def _every_expert_and_weight_counts(self) -> "RankingSettings":
        if self.sharing != "shared" and len(self.tasks) < 2:
            raise ValueError(f"sharing={self.sharing} needs at least two tasks: one has nobody to share with")
        if self.sharing == "shared" and self.experts != type(self).model_fields["experts"].default:
            raise ValueError("experts need sharing=mmoe or sharing=ple; without, there are none")
        if self.sharing == "mmoe" and self.experts < 2:
            raise ValueError("experts=1: with mmoe a gate would weigh a single one")
        if self.sharing != "ple" and self.expert_levels > 1:
            raise ValueError(f"expert_levels={self.expert_levels} needs sharing=ple")
        if self.balance == "uncertainty":
            if self.weight != 1 or any(task.weight != 1 for task in self.tasks.values()):
                raise ValueError("balance=uncertainty learns the weights; leave `weight` out")
            if len(self.tasks) + self.retrieval < 2:
                raise ValueError("balance=uncertainty needs more than one loss")
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

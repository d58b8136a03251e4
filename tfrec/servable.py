"""The contract of a servable: signature and tensor names, shapes and dtypes, and its metadata file.

Shared by the export that writes it, the server that runs it and the client that calls it; no
TensorFlow here.

Signatures (all tensors batch first, dense, padded; padding may hold anything, `length` decides)::

    recommend (= serving_default)   sequence inputs, exclude_item_id [B, E], allow_item_id [B, A] (the only
                                    ones to answer; all, where there is none); with tasks of ranking also
                                    statistic_item_id [B, S], statistic.NAME [B, S], request_context.NAME
                                    -> item_id [B, K], score [B, K], best first, with tasks also TASK [B, K];
                                       places without an answer hold the id of no item and score -inf
    encode                          sequence inputs
                                    -> query_embedding [B, D+1], own_item_id [B, L], own_score [B, L],
                                       space [B] int64: the number of the trained model that embeds;
                                       with rules also rule_item_id [B, R], rule_score [B, R]; with tasks of
                                       ranking also state [B, D], start_state [B, D+1], and
                                       event_state [B, L, D+1]
    rank                            sequence inputs, candidate_item_id [B, C]; with tasks of ranking also
                                    statistic.NAME [B, C], request_context.NAME
                                    -> next_item [B, C]: the probability that this is the next event's item,
                                       TASK [B, C]: of each task, score [B, C]: what `recommend` orders by
    rank_encoded                    with tasks of ranking alone: what `encode` said, state, start_state and
                                    event_state; length, candidate_item_id [B, C], statistic.NAME [B, C] and
                                    request_context.NAME as `rank` takes them; retrieval_score [B, C]: what
                                    the search said of each, -inf of candidates that it cannot score
                                    -> TASK [B, C], score [B, C]

Sequence inputs, events oldest first, left-aligned, any L >= 1 (the newest `max_length` count)::

    item_id          [B, L] id type   raw ids
    event_type       [B, L] string    raw; unknown ones are treated as unknown
    time             [B, L] int64     unix seconds (or position, for logs without clock times)
    session_id       [B, L] id type   only where sessions come from the log's own ids
    context.NAME     [B, L] string or float32, for each context column
    length           [B] int32        how many of the L places are events; 0: a user without history
    request_time     [B] int64        when the answer is wanted
    request_session_id [B] id type    only with session_id: the session the request belongs to

Lists of ids (E, A, S, C) are filled up with the id of no item, `no_item`. What tasks of ranking take::

    statistic_item_id [B, S] id type      items of which something is known
    statistic.NAME    [B, S or C] float32 of each as of the request, raw; NaN: nothing came before
    request_context.NAME [B] string or float32   for each context column of impressions

A version folder::

    saved_model.pb, variables/      loads with tf.saved_model.load, without code of ours (exact)
    assets/servable.json            `ServableInfo`
    assets.extra/tf_serving_warmup_requests
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tfrec.errors import DataError
from tfrec.frozen import Frozen
from tfrec.schema import IdType

SIGNATURES = ("recommend", "encode", "rank")
RANK_ENCODED = "rank_encoded"
STATES = ("state", "start_state", "event_state")
"""Outputs of `encode` that `rank_encoded` takes, and nobody else."""
DEFAULT_SIGNATURE = "serving_default"
INFO_FILE = "servable.json"
WARMUP_FILE = "tf_serving_warmup_requests"
Retrieval = Literal["exact", "scann"]


class ServableInfo(Frozen):
    """`assets/servable.json`: what a client must know to build a request."""

    name: str
    version: int
    retrieval: Retrieval
    precision: Literal["float32", "bfloat16", "float16", "int8"] = Field(
        "float32", description="of the candidates; int8: of the towers' weights, too"
    )
    user_id_type: IdType
    item_id_type: IdType
    session_from: Literal["gap", "id"]
    session_gap_s: int
    session_id_type: IdType
    has_clock: bool
    event_types: tuple[str, ...]
    context: dict[str, Literal["categorical", "numeric"]] = Field(default_factory=dict)
    max_length: int = Field(description="L: older events of a longer sequence are left out")
    k: int = Field(description="K: how many items an answer holds")
    items: int = Field(description="N: size of the catalogue")
    tasks: tuple[str, ...] = Field(("next_item",), description="outputs of `rank` that are probabilities")
    statistics: tuple[str, ...] = Field((), description="of candidates, that ranking takes")
    request_context: dict[str, Literal["categorical", "numeric"]] = Field(default_factory=dict)
    max_candidates: int = Field(1000, description="of a user in a request to rank")
    written_by: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, version_folder: Path) -> "ServableInfo":
        """Reads the metadata of a version folder.

        Raises:
            DataError: it is missing or unreadable.
        """
        path = Path(version_folder) / "assets" / INFO_FILE
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{version_folder} is no servable of tfrec: it has no assets/{INFO_FILE}."
            ) from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error


def no_item(id_type: IdType) -> int | str:
    """Returns what stands in answers where there is no item: no raw id of a log is expected to be it."""
    return -(2**63) if id_type == "int64" else ""

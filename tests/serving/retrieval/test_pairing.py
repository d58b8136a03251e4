"""Encoder and index: of one model, or refused; and how the two go over to another model."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
from serving.server import ServerSettings
from serving.server import running as running_embedded
from tests.serving.retrieval.asking import (
    MODEL,
    NOT_SERVING,
    SERVING,
    Ask,
    Eventually,
    asked_of,
    saved_again,
)
from tests.tfrec.made import K, Made
from tfrec.errors import DataError
from tfrec.export import export
from tfrec.indexing import index_model


def test_a_pair_that_does_not_fit_is_refused(
    made: Made, shop: Path, encoder: Any, ask: Ask, eventually: Eventually, tmp_path: Path
) -> None:
    other, index = saved_again(made, tmp_path / "other"), tmp_path / "index"
    index_model(other, index, quiet=True)
    asked = ask(index, encoder=f"localhost:{encoder.port}")
    assert asked.health() == NOT_SERVING
    code, text = asked.refusal(asked_of(made))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "Build an index of that model" in text
    # The index of the encoder's model appears beside it: both spaces can be searched now.
    index_model(made.folder / "model", index, quiet=True)
    eventually(lambda: asked.health() == SERVING)
    assert asked.predict(asked_of(made))["item_id"].shape[1] == K
    index_model(other, tmp_path / "alone", quiet=True)
    alone = RetrievalSettings(tmp_path / "alone", servable=shop / "servables" / MODEL, port=0)
    with pytest.raises(DataError, match="Build an index of that model"), running(alone):
        pass


def test_the_encoder_and_the_index_switch_models_one_after_the_other(
    made: Made, index: Path, ask: Ask, eventually: Eventually, tmp_path: Path
) -> None:
    """At no moment is a request refused: the server searches the index of whichever model embeds."""
    folder, inputs = tmp_path / "servables" / MODEL, asked_of(made, 1)
    export(made.folder / "model", folder, k=K)
    other = saved_again(made, tmp_path / "other")
    with running_embedded(ServerSettings(folder, port=0, poll_interval_s=0.05)) as embedded:
        asked = ask(index, encoder=f"localhost:{embedded.port}")
        index_model(other, index, quiet=True)
        eventually(lambda: asked.server.indexes.versions == [2, 1])
        assert asked.searched(inputs) == 1
        export(other, folder, k=K)
        eventually(lambda: asked.searched(inputs) == 2)
        assert asked.health() == SERVING
        # Two more models are indexed before the encoder takes them: its own index stays.
        for number in (3, 4):
            index_model(saved_again(made, tmp_path / str(number), number), index, quiet=True)
            eventually(lambda number=number: asked.server.indexes.versions == [number, 2])
            assert asked.searched(inputs) == 2

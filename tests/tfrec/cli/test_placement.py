"""`tfrec placement`."""

import json
from pathlib import Path

import pytest
import tensorflow as tf
import typer
from typer.testing import CliRunner

from tests.serving.servables import write_tiny
from tfrec.cli.placement import register
from tfrec.placement.kernels import knows_gpu


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    register(app)
    return app


def test_tables_and_json(app: typer.Typer, tmp_path: Path) -> None:
    version = str(write_tiny(tmp_path / "tiny", 1))
    result = CliRunner().invoke(app, [version])
    assert result.exit_code == 0, result.output
    assert "LookupTableFindV2" in result.output
    found = json.loads(CliRunner().invoke(app, [version, "--json"]).stdout)
    by_name = {one["signature"]: one for one in found}
    assert by_name["recommend"]["heavy"] == 3  # two products and the best k
    assert by_name["recommend"]["ops"]["TopKV2"]["cpu"] == 1
    assert by_name["recommend"]["dense_part_stays"] in (True, None)


@pytest.mark.skipif(not knows_gpu(), reason="this TensorFlow has no kernels for GPUs")
def test_an_op_in_the_way_is_named(app: typer.Typer, tmp_path: Path) -> None:
    def graph(x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(tf.strings.to_number(tf.strings.as_string(tf.matmul(x, x), name="spelled")), x)

    function = tf.function(graph, input_signature=[tf.TensorSpec([2, 2], name="x")])
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=function)
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert result.exit_code == 1
    assert "/spelled" in result.output

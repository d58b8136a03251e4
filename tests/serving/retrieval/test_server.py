"""The server's process and settings."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info

from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
from serving.settings import cores
from tfrec.errors import DataError, SettingsError


def test_with_a_remote_encoder_there_is_no_tensorflow(index: Path, encoder: Any) -> None:
    script = f"""
import sys
from pathlib import Path
from serving.client import Recommender
from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
settings = RetrievalSettings(Path({str(index)!r}), encoder="localhost:{encoder.port}", port=0)
with running(settings) as server, Recommender(f"localhost:{{server.port}}", timeout_s=30) as client:
    context = {{"device": "phone", "dwell": None}}
    assert len(client.recommend([{{"item": 101, "context": context}}], 5)) == 5
heavy = {{"tensorflow", "keras", "pandas", "pyarrow", "tensorflow_serving"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_searches_share_the_cores(index: Path, encoder: Any) -> None:
    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    address, before = f"localhost:{encoder.port}", threads()
    with running(RetrievalSettings(index, encoder=address, port=0, searches=2 * cores())):
        assert threads() == {1}
    assert threads() == before
    with running(RetrievalSettings(index, encoder=address, port=0, searches=1)):
        assert threads() == {cores()}
    with running(RetrievalSettings(index, encoder=address, port=0, searches=1, processes=cores())):
        assert threads() == {1}


def test_bad_settings_are_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected one of them"):
        RetrievalSettings(index)
    with pytest.raises(SettingsError, match="expected one of them"):
        RetrievalSettings(index, encoder="a:1", servable=tmp_path)
    with pytest.raises(SettingsError, match="max_users: expected at least 1"):
        RetrievalSettings(index, encoder="a:1", max_users=0)
    with pytest.raises(SettingsError, match="needs no TLS"):
        RetrievalSettings(index, servable=tmp_path, encoder_tls=tmp_path)
    nowhere = RetrievalSettings(tmp_path, encoder="a:1")
    with pytest.raises(DataError, match="holds no version"), running(nowhere):
        pass

"""TLS, with certificates made here."""

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.client import Recommender, ServingError, Tls
from serving.server import ServerSettings, running
from tests.serving.certificates import Pair, make_pairs
from tfrec.errors import DataError, SettingsError

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """See `make_pairs`."""
    return make_pairs(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def shop(int_folder: Path, pairs: dict[str, Pair]) -> Iterator[str]:
    """The embedded server behind TLS."""
    files = {"tls_cert": pairs["server"].certificate, "tls_key": pairs["server"].key}
    with running(ServerSettings(int_folder, port=0, **files)) as server:
        yield f"localhost:{server.port}"


@pytest.fixture(scope="module")
def guarded(pairs: dict[str, Pair]) -> Iterator[str]:
    """A server of no service at all that wants to know its clients: who gets in reads UNIMPLEMENTED."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    content = {name: (pair.key.read_bytes(), pair.certificate.read_bytes()) for name, pair in pairs.items()}
    credentials = grpc.ssl_server_credentials(
        [content["server"]], root_certificates=content["authority"][1], require_client_auth=True
    )
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"localhost:{port}"
    server.stop(None).wait()


def failure(target: str, **settings: Any) -> ServingError:
    """What a recommendation fails with."""
    with Recommender(target, retries=0, timeout_s=30, **settings) as recommender:
        with pytest.raises(ServingError) as caught:
            recommender.recommend([101], 1)
        return caught.value


@pytest.mark.parametrize("form", [str, Path, Tls])
def test_a_server_whose_authority_is_trusted(shop: str, pairs: dict[str, Pair], form: Any) -> None:
    with Recommender(shop, tls=form(pairs["authority"].certificate), timeout_s=30) as recommender:
        assert recommender.recommend([103], 1)[0].item == 103


def test_a_server_whose_authority_is_not_trusted(shop: str, pairs: dict[str, Pair]) -> None:
    for tls in (True, pairs["stranger"].certificate):
        error = failure(shop, tls=tls)
        assert error.code is Code.UNAVAILABLE
        assert "tls=" in str(error)


def test_plain_text_to_a_server_of_tls(shop: str) -> None:
    error = failure(shop)
    assert error.code is Code.UNAVAILABLE
    assert "TLS" in str(error)


def test_mutual_tls(guarded: str, pairs: dict[str, Pair]) -> None:
    tls = Tls(pairs["authority"].certificate, pairs["client"].certificate, pairs["client"].key)
    error = failure(guarded, tls=tls)
    assert error.code is Code.UNIMPLEMENTED
    assert "no TensorFlow Serving" in str(error)


def test_mutual_tls_with_a_stranger_or_nobody(guarded: str, pairs: dict[str, Pair]) -> None:
    root, stranger = pairs["authority"].certificate, pairs["stranger"]
    for tls in (Tls(root), Tls(root, stranger.certificate, stranger.key)):
        assert failure(guarded, tls=tls).code is Code.UNAVAILABLE


def test_files_that_are_no_certificates(tmp_path: Path, pairs: dict[str, Pair]) -> None:
    with pytest.raises(DataError, match=r"tls root: .*none\.pem cannot be read: No such file"):
        Recommender("localhost:1", tls=tmp_path / "none.pem")
    text = tmp_path / "text.pem"
    text.write_text("hello")
    with pytest.raises(DataError, match=r"tls root: .*text\.pem is no PEM file of a certificate"):
        Recommender("localhost:1", tls=text)
    client = pairs["client"]
    with pytest.raises(DataError, match=r"tls key: .*client\.pem is no PEM file of a private key"):
        Recommender("localhost:1", tls=Tls(certificate=client.certificate, key=client.certificate))


def test_half_a_pair(pairs: dict[str, Pair]) -> None:
    with pytest.raises(SettingsError, match="both certificate and key"):
        Tls(certificate=pairs["client"].certificate)

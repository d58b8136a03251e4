"""TLS that does not come about: the client reads why, and the server goes on for those who do it right."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.client import Recommender, ServingError, Tls
from serving.health_check import complaint
from serving.retrieval.settings import RetrievalSettings
from serving.settings import ServerSettings
from tests.serving.certificates import Pair, make_pairs
from tests.serving.faults.conftest import Serve
from tfrec.errors import DataError, SettingsError

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """See `make_pairs`."""
    return make_pairs(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def guard(serve: Serve, pairs: dict[str, Pair]) -> Callable[..., str]:
    """`guard(server="expired", mutual=True)`: where a server of this certificate listens."""

    def begin(server: str = "server", *, mutual: bool = False) -> str:
        pair = pairs[server]
        ca = pairs["authority"].certificate if mutual else None
        found = serve(tls_cert=pair.certificate, tls_key=pair.key, tls_client_ca=ca)
        # A name has two addresses, and gRPC tells of the one that it tried last alone.
        return f"127.0.0.1:{found.port}"

    return begin


@contextlib.contextmanager
def failing(target: str, tls: Any, words: str) -> Iterator[None]:
    """A question fails as it should, and the block runs."""
    with Recommender(target, tls=tls, retries=0, timeout_s=30) as recommender:
        with pytest.raises(ServingError) as caught:
            recommender.recommend([101], 1)
        assert caught.value.code is Code.UNAVAILABLE
        assert words in str(caught.value)
        yield


def answers(target: str, tls: Tls) -> bool:
    with Recommender(target, tls=tls, timeout_s=30) as recommender:
        return recommender.recommend([103], 1)[0].item == 103


@pytest.mark.parametrize(
    ("server", "root", "words"),
    [
        ("server", "stranger", "CERTIFICATE_VERIFY_FAILED"),
        ("expired", "authority", "certificate has expired"),
        ("elsewhere", "authority", "ostname"),
    ],
    ids=["authority", "expired", "name"],
)
def test_a_server_that_is_not_trusted(
    guard: Callable[..., str], pairs: dict[str, Pair], server: str, root: str, words: str
) -> None:
    target = guard(server)
    for told in (words, "trusts the server's certificate and its name"):
        with failing(target, pairs[root].certificate, told):
            pass


def test_plain_text_to_a_server_of_tls(guard: Callable[..., str], pairs: dict[str, Pair]) -> None:
    target = guard()
    with failing(target, False, "Does it speak TLS exactly where tls= says so"):
        assert answers(target, Tls(pairs["authority"].certificate))


def test_clients_that_show_no_certificate_or_a_wrong_one(
    guard: Callable[..., str], pairs: dict[str, Pair]
) -> None:
    target = guard(mutual=True)
    root, client = pairs["authority"].certificate, pairs["client"]
    right = Tls(root, client.certificate, client.key)
    for name in ("nobody", "stranger", "late"):
        pair = pairs.get(name)
        tls = Tls(root, pair.certificate, pair.key) if pair else Tls(root)
        with failing(target, tls, "trust the client's certificate, where it asks for one"):
            assert answers(target, right)
    shown = {"tls_cert": str(client.certificate), "tls_key": str(client.key)}
    assert complaint(target, tls_root=str(root), timeout_s=30, **shown) == ""
    assert "UNAVAILABLE" in complaint(target, tls_root=str(root), timeout_s=30)


@pytest.mark.parametrize(
    ("file", "error", "words"),
    [
        ("none.pem", DataError, r"none\.pem cannot be read: No such file"),
        ("server.key", SettingsError, r"tls_client_ca .*server\.key is no PEM file of certificates"),
    ],
)
def test_authorities_that_cannot_be_used(
    serve: Serve, pairs: dict[str, Pair], file: str, error: type[Exception], words: str
) -> None:
    pair = pairs["server"]
    with pytest.raises(error, match=words):
        serve(
            tls_cert=pair.certificate,
            tls_key=pair.key,
            tls_client_ca=pair.certificate.parent / file,
        )


def test_settings_that_do_not_go_together() -> None:
    somewhere = Path("some.pem")
    with pytest.raises(SettingsError, match="tls_client_ca needs tls_cert and tls_key"):
        ServerSettings(somewhere, tls_client_ca=somewhere)
    with pytest.raises(SettingsError, match="both encoder_cert and encoder_key"):
        RetrievalSettings(somewhere, encoder="a:1", encoder_tls=somewhere, encoder_cert=somewhere)
    with pytest.raises(SettingsError, match="encoder_cert needs encoder_tls"):
        RetrievalSettings(somewhere, encoder="a:1", encoder_cert=somewhere, encoder_key=somewhere)

"""Webhooks: who may ring, how often, and that nothing else comes of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.demo.forge import Forge
from podium.core.errors import Refused, UsageError
from podium.core.triggers import webhooks
from podium.core.triggers.wake import RUNG, Doorbell
from podium.core.triggers.webhooks import MAX_BODY, MAX_CONNECTIONS, Bell, Receiver, Remembered, listening, signed

from tests.runner.scale import scaled

SECRET, BODY, NOW = "s3cret", b'{"ref": "refs/heads/main"}', 1_700_000_000.0
MAC = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()


def timed(secret: str, at: int, body: bytes = BODY) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, f"id-1.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": "id-1", "webhook-timestamp": str(at), "webhook-signature": f"v1,AAAA v1,{mac}"}


WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("github", {"x-hub-signature-256": f"sha256={MAC}"}),
        ("gitea", {"x-gitea-signature": MAC}),
        ("gitea", {"x-hub-signature-256": f"sha256={MAC}"}),
        ("gitlab", {"x-gitlab-token": SECRET}),
        ("", {"x-gitea-signature": MAC}),
    ],
)
def test_the_forms_of_the_hosts(kind: str, headers: dict[str, str]) -> None:
    assert signed(SECRET, kind, headers, BODY, NOW)
    assert not signed(SECRET + "x", kind, headers, BODY, NOW)
    if "x-gitlab-token" not in headers:
        assert not signed(SECRET, kind, headers, BODY + b" ", NOW)
    assert not signed(SECRET, kind, {name: value + "0" for name, value in headers.items()}, BODY, NOW)
    assert not signed(SECRET, kind, dict.fromkeys(headers, ""), BODY, NOW)
    assert not signed(SECRET, kind, dict.fromkeys(headers, "é\udcff"), BODY, NOW)


def test_gitlabs_newer_form_has_a_time() -> None:
    assert signed(WHSEC, "gitlab", timed(WHSEC, int(NOW)), BODY, NOW)
    assert not signed(WHSEC, "gitlab", timed(WHSEC, int(NOW) - 301), BODY, NOW)
    assert not signed(WHSEC, "gitlab", timed(WHSEC, int(NOW) + 301), BODY, NOW)
    assert not signed(WHSEC, "gitlab", timed(WHSEC, int(NOW)) | {"webhook-id": "id-2"}, BODY, NOW)
    assert not signed(WHSEC, "gitlab", timed(WHSEC, int(NOW)) | {"webhook-timestamp": "now"}, BODY, NOW)
    # A wrong signature is not made good by another header.
    both = timed(WHSEC, int(NOW), b"other") | {"x-gitlab-token": WHSEC}
    assert not signed(WHSEC, "gitlab", both, BODY, NOW)


def test_one_host_does_not_sign_as_another_and_nothing_at_all_is_no_signature() -> None:
    assert not signed(SECRET, "github", {"x-gitlab-token": SECRET}, BODY, NOW)
    assert not signed(SECRET, "gitea", {"x-gitlab-token": SECRET}, BODY, NOW)
    assert not signed(SECRET, "gitlab", {"x-hub-signature-256": f"sha256={MAC}"}, BODY, NOW)
    assert not signed(SECRET, "", {}, BODY, NOW)
    assert not signed(SECRET, "", {"x-hub-signature-256": "\ud800"}, BODY, NOW), "half a letter is no signature"


def test_what_was_seen_is_remembered_and_bounded(tmp_path: Path) -> None:
    seen = Remembered(tmp_path / "seen", 4)
    assert seen.is_new({"x-github-delivery": "1"}, b"a")
    assert not seen.is_new({"x-github-delivery": "1"}, b"b"), "the same delivery"
    assert not seen.is_new({"x-github-delivery": "2"}, b"a"), "the same body under another name"
    for number in range(10):
        seen.is_new({}, str(number).encode())
    assert seen.is_new({"x-github-delivery": "1"}, b"a")
    assert seen.is_new({"x-github-delivery": "\ud800"}, b"half a letter")


def test_the_next_agent_knows_what_this_one_has_seen(tmp_path: Path) -> None:
    file = tmp_path / "seen"
    assert Remembered(file).is_new({"x-github-delivery": "1"}, b"a")
    again = Remembered(file)
    assert not again.is_new({"x-github-delivery": "1"}, b"another body")
    assert not Remembered(file).is_new({"x-github-delivery": "2"}, b"another body"), "added to what was there"
    assert file.stat().st_mode & 0o777 == 0o600 and b"delivery" not in file.read_bytes()


def test_the_file_of_deliveries_is_bounded_and_may_be_anything(tmp_path: Path) -> None:
    file = tmp_path / "seen"
    file.write_bytes(b"\xff\x00 half a line" * 50 + b"\n\n")
    seen = Remembered(file, 4)
    for number in range(50):
        assert seen.is_new({}, str(number).encode())
        assert len(file.read_bytes().splitlines()) <= 8
    after = Remembered(file, 4)
    assert [after.is_new({}, str(number).encode()) for number in (49, 48, 47, 46, 0)] == [False] * 4 + [True]


def test_a_disk_that_takes_nothing_refuses_no_delivery(tmp_path: Path) -> None:
    seen = Remembered(tmp_path / "gone" / "seen")
    assert seen.is_new({}, b"a") and not seen.is_new({}, b"a")


def test_where_it_listens() -> None:
    assert listening("8140") == ("127.0.0.1", 8140)
    assert listening("0.0.0.0:80") == ("0.0.0.0", 80)
    assert listening("[::1]:80") == ("::1", 80)
    for wrong in ("", "x", ":80", "a:b", "1.2.3.4:99999"):
        with pytest.raises(UsageError):
            listening(wrong)


def post(port: int, body: bytes = BODY, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(10))
    try:
        connection.request("POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status
    finally:
        connection.close()


class Bench:
    def __init__(self, home: Path) -> None:
        (home / ".podium").mkdir()
        self.said: list[str] = []
        self.home, self.bell = home, Doorbell(home / ".podium")
        self.receiver = self._listening()

    def restart(self) -> None:
        self.receiver.close()
        self.receiver = self._listening()

    def _listening(self) -> Receiver:
        return Receiver(lambda: (Bell(self.home, SECRET, "github"),), "0", self.said.append)

    def post(self, body: bytes = BODY, **headers: str) -> int:
        return post(self.receiver.port, body, **headers)

    def rang(self) -> bool:
        return self.bell.wait(0.0) and RUNG in self.bell.heard


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.receiver.close()
    found.bell.close()


def signature(body: bytes) -> str:
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def test_a_signed_one_rings_once_and_everything_else_is_refused(bench: Bench) -> None:
    assert bench.post() == 401 and not bench.rang()
    assert bench.post(X_Hub_Signature_256="sha256=" + "0" * 64) == 401 and not bench.rang()
    given = {"X_Hub_Signature_256": signature(BODY), "X_GitHub_Delivery": "d-1"}
    assert bench.post(**given) == 204 and bench.rang()
    assert bench.post(**given) == 409 and not bench.rang(), "a replay"
    assert bench.post(**given | {"X_GitHub_Delivery": "d-2"}) == 409 and not bench.rang()
    large = b"x" * (MAX_BODY + 1)
    connection = socket.create_connection(("127.0.0.1", bench.receiver.port), timeout=scaled(10))
    connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(large)}\r\n\r\n".encode())
    assert b" 413 " in connection.recv(100), "before any of it is read"
    connection.close()
    connection = socket.create_connection(("127.0.0.1", bench.receiver.port), timeout=scaled(10))
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b" 411 " in connection.recv(100)
    connection.close()
    assert SECRET not in "".join(bench.said)


def test_a_replay_is_refused_after_a_restart(bench: Bench) -> None:
    given = {"X_Hub_Signature_256": signature(BODY), "X_GitHub_Delivery": "d-1"}
    assert bench.post(**given) == 204 and bench.rang()
    bench.restart()
    assert bench.post(**given) == 409 and not bench.rang()
    other = BODY + b" "
    assert bench.post(other, X_Hub_Signature_256=signature(other), X_GitHub_Delivery="d-2") == 204 and bench.rang()


def test_clients_that_send_nothing_are_few_and_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "REQUEST_TIMEOUT", 0.5)
    bench = Bench(tmp_path)
    try:
        slow = [socket.create_connection(("127.0.0.1", bench.receiver.port), scaled(20)) for _ in range(40)]
        for each in slow:
            each.sendall(b"P")
        for each in slow:
            assert each.recv(100) == b"", "it is cut off"
            each.close()
        assert bench.post(X_Hub_Signature_256=signature(BODY)) == 204 and bench.rang()
    finally:
        bench.receiver.close()
        bench.bell.close()


@pytest.mark.parametrize(
    "lacks",
    [
        pytest.param(lambda thread: True, id="for a connection"),
        pytest.param(lambda thread: isinstance(thread, threading.Timer), id="for its end"),
    ],
)
def test_a_moment_without_threads_takes_no_place_for_good(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, lacks: Callable[[threading.Thread], bool]
) -> None:
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if lacks(thread):
            raise RuntimeError("can't start new thread")
        real(thread)

    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for _ in range(MAX_CONNECTIONS + 1):
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                bench.post(X_Hub_Signature_256=signature(BODY))
    assert bench.post(X_Hub_Signature_256=signature(BODY)) == 204 and bench.rang()
    assert not told, "nothing of it is in the agent's log"


def test_without_a_secret_or_a_free_place_nothing_listens(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="could be anybody's"):
        Receiver(lambda: (Bell(tmp_path, ""),), "0", lambda _: None)
    with pytest.raises(Refused, match="--listen"):
        Receiver(lambda: (Bell(tmp_path, SECRET),), str(bench.receiver.port), lambda _: None)


def test_a_push_to_a_host_rings(bench: Bench, tmp_path: Path) -> None:
    with Forge("github", tmp_path / "forge") as forge:
        forge.make_repo("acme/lab")
        forge.commit("acme/lab", "first", {"a": "a"})
        forge.add_hook("acme/lab", f"http://127.0.0.1:{bench.receiver.port}/", SECRET)
        forge.commit("acme/lab", "second", {"a": "b"})
        assert bench.bell.wait(scaled(20)) and bench.bell.heard == RUNG


def test_one_port_for_several_rings_whose_secret_signed(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("flights", "trains", "ships")]
    for home in homes:
        (home / ".podium").mkdir(parents=True)
    bells = [Doorbell(home / ".podium") for home in homes]
    secrets = (SECRET, "another", "")
    known = [Bell(home, secret, "github") for home, secret in zip(homes, secrets, strict=True)]
    receiver = Receiver(lambda: known, "0", lambda _: None)
    try:
        assert post(receiver.port, X_Hub_Signature_256=signature(BODY)) == 204
        assert [bell.wait(0.0) for bell in bells] == [True, False, False]
        other = "sha256=" + hmac.new(b"another", BODY, hashlib.sha256).hexdigest()
        assert post(receiver.port, X_Hub_Signature_256=other) == 204, "the same body is new to this one"
        assert [bell.wait(0.0) for bell in bells] == [False, True, False]
        assert post(receiver.port, X_Hub_Signature_256=other) == 409
        nobody = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()
        assert post(receiver.port, X_Hub_Signature_256=nobody) == 401, "no secret is none to sign with"
        assert not any(bell.wait(0.0) for bell in bells)
    finally:
        receiver.close()
        for bell in bells:
            bell.close()

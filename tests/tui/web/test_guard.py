"""Who may ask for what, and how long a ticket is good."""

from __future__ import annotations

import pytest
from podium.tui.web.guard import MOST_TICKETS, TICKET_SECONDS, Tokens, refusal

HERE = "127.0.0.1:7000"


@pytest.mark.parametrize("host", [HERE, "localhost:7000", "LOCALHOST:9", "[::1]:7000", "127.0.0.1"])
def test_own_names_are_answered(host: str) -> None:
    assert refusal([host], [], from_page=False) == ""
    assert refusal([host], [f"http://{host}".lower()], from_page=True) == ""


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example"],
        ["evil.example:7000"],
        ["127.0.0.1.evil.example:7000"],
        ["localhost.evil.example"],
        ["127.0.0.1:7000@evil.example"],
        ["127.0.0.1:"],
        ["0.0.0.0:7000"],
        ["127.0.0.1:7000\n"],
        [HERE, "evil.example"],
        [HERE, HERE],
    ],
)
def test_names_of_others_are_refused(hosts: list[str]) -> None:
    assert "not one of this machine's own" in refusal(hosts, [], from_page=False)


@pytest.mark.parametrize(
    "origins",
    [
        [],
        ["null"],
        ["http://evil.example"],
        ["http://127.0.0.1:7001"],
        ["http://127.0.0.1"],
        ["http://localhost:7000"],
        ["https://127.0.0.1:7000"],
        ["http://127.0.0.1:7000/"],
        [f"http://{HERE}", "http://evil.example"],
    ],
)
def test_pages_of_others_are_refused(origins: list[str]) -> None:
    assert "only the cockpit's own page" in refusal([HERE], origins, from_page=True)
    if origins:
        assert refusal([HERE], origins, from_page=False), "also where no Origin is needed"


def test_a_ticket_is_good_once_and_not_for_long() -> None:
    now = [0.0]
    tokens = Tokens(lambda: now[0])
    first, second, third = (tokens.ticket(f"Bearer {tokens.token}") for _ in range(3))
    assert len({first, second, third, tokens.token}) == 4
    assert tokens.take(first) and not tokens.take(first)
    now[0] = TICKET_SECONDS - 0.1
    assert tokens.take(second)
    now[0] = TICKET_SECONDS
    assert not tokens.take(third)
    assert not tokens.take("") and not tokens.take("ü") and not tokens.take(tokens.token)


def test_only_the_token_makes_a_ticket() -> None:
    tokens = Tokens()
    for given in (
        "",
        "Bearer ",
        "Bearer",
        tokens.token,
        f"bearer {tokens.token}",
        f"Bearer {tokens.token} ",
        "Bearer ü",
    ):
        assert tokens.ticket(given) == ""
    assert Tokens().ticket(f"Bearer {tokens.token}") == "", "another server's"


def test_tickets_do_not_pile_up() -> None:
    tokens = Tokens()
    made = [tokens.ticket(f"Bearer {tokens.token}") for _ in range(MOST_TICKETS + 1)]
    assert not tokens.take(made[0]) and tokens.take(made[1]) and tokens.take(made[-1])

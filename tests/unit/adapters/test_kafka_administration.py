"""Questions to the brokers: what a client of librdkafka costs when it is thrown away is not paid at the start."""

import pytest

from mayfly.adapters.kafka import administration
from mayfly.adapters.kafka.administration import Administration
from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.refusals import Refusals
from support.house import Told


class Client:
    """Waits in its destructor for as long as a name server does not answer, as librdkafka does: here it is counted."""

    thrown_away = 0

    def __init__(self, properties: object) -> None:
        pass

    def __del__(self) -> None:
        Client.thrown_away += 1


def test_the_start_throws_no_client_away_so_that_a_dead_name_server_keeps_no_signal_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(administration, "AdminClient", Client)
    connection = Connection("broker.example.org:9092")
    asking = Administration(connection, Refusals(connection, "mayfly", Told()))
    assert Client.thrown_away == 0
    first = asking._client()
    assert asking._client() is not first

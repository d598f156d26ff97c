"""The second door under kills, restarts, rebalances and a replay: every image once, every poison buried, nothing lost.

`make chaos-kafka` runs the same campaign at its full size.
"""

from pathlib import Path

from support.stream_campaign import SMALL, Campaign

SEED = 5


def test_kills_restarts_and_a_replay_lose_nothing_and_double_nothing(can_start_brokers: None, tmp_path: Path) -> None:
    report = Campaign(tmp_path, SMALL, SEED).run()
    assert report.failed == []

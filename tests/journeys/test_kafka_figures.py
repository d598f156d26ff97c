"""What `mayfly produce` writes is taken in, and the figures of the consumers add up, though one is killed."""

import os
import signal
from pathlib import Path

from journeys.test_kafka import consumers_of, dead_letters, kafka
from journeys.test_metrics import figure, figures
from mayfly.cli.produce import Producing, produce
from support.pictures import gif
from support.server import MakeServer, Server, until
from support.topics import Topics

LABELS = '[labels]\ncamera = "fact"\n'


def created(server: Server) -> float:
    return figure(server, "mayfly_stream_records_total", outcome="created")


def fill(broker: Topics, topic: str, folder: Path, *labels: str, claim_checks: bool = False) -> None:
    options = {"kafka": broker.bootstrap, "topic": topic}
    assert produce(None, options, Producing(folder, labels, None, claim_checks, as_json=True)) == 0


def test_what_is_produced_is_taken_in_and_counted_through_a_kill(
    make_server: MakeServer, broker: Topics, tmp_path: Path, small: bytes
) -> None:
    topic = broker.create_topic(partitions=2)
    photos, claimed = tmp_path / "photos", tmp_path / "claimed"
    for folder, content in ((photos, small), (claimed, gif(1))):
        folder.mkdir()
        (folder / "a picture.jpg").write_bytes(content)
    environment = dead_letters(topic) | {"MAYFLY_KAFKA_CLAIMS": str(claimed)}
    server = make_server(options=kafka(broker, topic), environment=environment, config=LABELS).start()
    until(lambda: figure(server, "mayfly_stream_consumers") == 1, "the consumer to report")
    assert created(server) == 0

    fill(broker, topic, photos, "camera=front")
    (claimed / "a picture.jpg").rename(claimed / "b.gif")
    fill(broker, topic, claimed, claim_checks=True)
    until(lambda: created(server) == 2, "both to be counted")
    images = {image["media_type"]: image["id"] for image in server.get("/v1/images").json()["items"]}
    image = server.until_state(images["image/jpeg"], "processed")
    assert image["file_name"] == "a picture.jpg"
    assert image["labels"] == {"camera": "front"}
    server.until_state(images["image/gif"], "processed")
    assert not (claimed / "b.gif").exists(), "what was claimed is Mayfly's to delete"

    fill(broker, topic, photos, "unknown=label")
    until(lambda: figure(server, "mayfly_stream_records_total", outcome="buried") == 1, "the dead letter")
    until(lambda: figure(server, "mayfly_stream_letters_total") == 1, "it to be written")
    assert figure(server, "mayfly_stream_letters_open") == 1
    assert figure(server, "mayfly_intake_refused_total", source="kafka", problem="invalid-request") == 1
    # What the consumer says of its partitions is as old as its last look at the brokers.
    places = [tuple(sorted({"topic": topic, "partition": str(number)}.items())) for number in (0, 1)]
    until(lambda: all(figures(server).get(("mayfly_stream_lag_records", place)) == 0 for place in places), "no lag")

    def oldest() -> float:
        found = figures(server)
        return max(found.get(("mayfly_stream_oldest_record_age_seconds", place), 0.0) for place in places)

    # Without a lag the last look may have been at a topic that was still empty.
    until(lambda: oldest() > 0, "the oldest record to be seen")
    assert oldest() < 600

    (killed,) = consumers_of(server)
    os.kill(killed, signal.SIGKILL)
    until(lambda: consumers_of(server) not in ([], [killed]), "another consumer")
    assert created(server) == 2
    fill(broker, topic, photos)
    until(lambda: created(server) == 3, "the next one to be counted, on top")
    assert figure(server, "mayfly_intake_images_total", source="kafka", media_type="image/jpeg") == 2
    assert figure(server, "mayfly_intake_images_total", source="kafka", media_type="image/gif") == 1
    assert figure(server, "mayfly_intake_bytes_total", source="kafka") == 2 * len(small) + len(gif(1))
    assert figure(server, "mayfly_stream_in_flight_bytes") == 0
    log = server.get("/metrics").text
    assert all(identity not in log for identity in images.values())


def test_without_kafka_there_are_no_figures_of_it(server: Server) -> None:
    assert "mayfly_stream_" not in server.get("/metrics").text

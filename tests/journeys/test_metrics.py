"""The figures of a running server: they add up to what was done to it."""

import os
import signal

from prometheus_client.parser import text_string_to_metric_families

from support.processes import hold
from support.receiver import SECRET, Receiver
from support.server import MakeServer, Server, until


def figures(server: Server) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by its name and its labels."""
    page = server.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def figure(server: Server, name: str, **labels: str) -> float:
    return figures(server).get((name, tuple(sorted(labels.items()))), 0)


def test_a_life_is_counted_at_every_stage(server: Server, small: bytes) -> None:
    image = server.upload(small)
    server.until_state(image["id"], "processed")
    assert server.post("/v1/images", content=b"no image").status_code == 415
    rejected = server.upload(small[: len(small) // 2])
    server.until_state(rejected["id"], "rejected")
    assert server.request("DELETE", f"/v1/images/{image['id']}").status_code == 204

    assert figure(server, "mayfly_intake_images_total", source="http", media_type="image/jpeg") == 2
    assert figure(server, "mayfly_intake_bytes_total", source="http") == len(small) + len(small) // 2
    assert figure(server, "mayfly_intake_refused_total", source="http", problem="unknown-type") == 1
    assert figure(server, "mayfly_processing_outcomes_total", outcome="processed") == 1
    assert figure(server, "mayfly_processing_outcomes_total", outcome="rejected") == 1
    for stage in ("open", "decode", "resize", "encode", "facts", "store"):
        assert figure(server, "mayfly_processing_stage_seconds_count", stage=stage) == 1, stage
    assert figure(server, "mayfly_retention_erased_total") == 1
    assert figure(server, "mayfly_retention_last_sweep_timestamp_seconds") > 0
    assert figure(server, "mayfly_ready") == 1
    # Its own request is the one under way.
    until(lambda: figure(server, "mayfly_http_requests_in_flight") == 1, "no other request under way")
    assert figure(server, "mayfly_http_requests_total", method="POST", route="/v1/images", status="2xx") == 2
    assert figure(server, "mayfly_intake_in_flight") == 0

    page = server.get("/metrics").text
    log = server.log.read_text(encoding="utf-8")
    for secret in (image["id"], rejected["id"], image["sha256"]):
        assert secret not in page
    assert '"swept"' not in log, "what is counted alone is no line of the log"
    assert '"size"' not in log


def test_a_killed_worker_and_the_attempt_it_costs_are_counted(server: Server, small: bytes) -> None:
    image, worker = hold(server, small)
    assert figure(server, "mayfly_workers_busy") == 1
    assert figure(server, "mayfly_queue_jobs", state="hidden") == 1
    os.kill(worker, signal.SIGKILL)
    server.until_state(image["id"], "processed")
    assert figure(server, "mayfly_worker_deaths_total", reason="worker-died") == 1
    assert figure(server, "mayfly_worker_starts_total") == 2
    assert figure(server, "mayfly_processing_attempts_total") == 3
    assert figure(server, "mayfly_processing_outcomes_total", outcome="retried") == 1
    until(lambda: figure(server, "mayfly_workers_busy") == 0, "the worker to be idle")


def test_what_a_webhook_took_is_counted(make_server: MakeServer, small: bytes) -> None:
    receiver = Receiver().up()
    config = f'[webhooks.ops]\nurl = "{receiver.url}"\nsecret = "env:OPS_SECRET"\nallow_private = true\n'
    server = make_server(config=config, environment={"OPS_SECRET": SECRET}, options=("--workers", "1"))
    try:
        server.start()
        server.until_state(server.upload(small)["id"], "processed")
        until(lambda: figure(server, "mayfly_events_delivered_total", sink="ops") == 1, "the event to be taken")
        assert figure(server, "mayfly_events_lag_seconds_count", sink="ops") == 1
        until(lambda: figures(server)["mayfly_events_waiting", (("sink", "ops"),)] == 0, "it to be settled")
        assert figure(server, "mayfly_event_streams") == 0
    finally:
        receiver.down()

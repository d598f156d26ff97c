"""Prometheus's configuration, as it stands on the page, is read and scraped as Prometheus would."""

from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from support.certificate import trusting, write_certificate
from support.pages import blocks
from support.server import PATIENCE_SECONDS, MakeServer, Server
from support.tokens import made_token

OPEN, PROTECTED = (
    yaml.safe_load(text)["scrape_configs"]
    for place, text in blocks("yaml")
    if place.startswith("docs/reference/metrics.md:")
)

# What Prometheus 3 sends, newest format first; a server that knows OpenMetrics 1.0 answers in it.
ASKED = {
    "Accept": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "User-Agent": "Prometheus/3.5.0",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}


def scrape(job: dict[str, Any], server: Server, folder: Path) -> httpx.Response:
    """One scrape of the job's only target, which `server` stands for; files it names are found in `folder`."""
    assert set(job) <= {"job_name", "scheme", "metrics_path", "authorization", "static_configs"}, "apply the rest, too"
    ((target,),) = [each["targets"] for each in job["static_configs"]]
    assert server.url.startswith(job.get("scheme", "http") + "://")
    headers = {**ASKED, "Host": target}
    if "authorization" in job:
        assert set(job["authorization"]) == {"credentials_file"}
        token = (folder / Path(job["authorization"]["credentials_file"]).name).read_text(encoding="utf-8").strip()
        headers["Authorization"] = f"Bearer {token}"
    url = server.url + job.get("metrics_path", "/metrics")
    return httpx.get(url, headers=headers, verify=server.tls, timeout=PATIENCE_SECONDS, trust_env=False)


def families(answer: httpx.Response) -> dict[str, Any]:
    """By name, by the parser of the format the answer says it is in, which refuses what breaks its rules."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    return {family.name: family for family in read_openmetrics(answer.text)}  # type: ignore[no-untyped-call]


def test_a_server_of_ones_own_is_scraped(server: Server, small: bytes, tmp_path: Path) -> None:
    (job,) = OPEN
    server.until_state(server.upload(small)["id"], "processed")
    taken = families(scrape(job, server, tmp_path))["mayfly_intake_images"].samples
    assert sum(sample.value for sample in taken if sample.name == "mayfly_intake_images_total") == 1


def test_a_server_that_asks_for_tokens_is_scraped_over_tls(make_server: MakeServer, tmp_path: Path) -> None:
    (job,) = PROTECTED
    certificate, key = write_certificate(tmp_path)
    options = ("--workers", "1", "--tls-certificate", str(certificate), "--tls-key", str(key))
    names = 'public_names = ["photos.example.org"]\n'
    server = make_server(options=options, tls=trusting(certificate), config=names)
    made = made_token(server, "auditor")
    server.start()
    named = tmp_path / Path(job["authorization"]["credentials_file"]).name
    named.write_text(made["token"] + "\n", encoding="utf-8")
    assert "mayfly_ready" in families(scrape(job, server, tmp_path))
    named.write_text("mfy_no\n", encoding="utf-8")
    assert scrape(job, server, tmp_path).status_code == 401

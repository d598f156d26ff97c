"""What anyone can do with a Mayfly over HTTP: upload, wait, fetch."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from mayfly.demo.samples import Sample
from mayfly.demo.server import DemoBroken

_LOOKS_EVERY_S = 0.1
_UNSETTLED = {"awaited", "received", "processing"}


@dataclass(frozen=True, slots=True)
class Body:
    """What a GET of bytes answered."""

    status: int
    media_type: str
    content: bytes


@dataclass(slots=True)
class Visit:
    """One picture and all that was learned about it over HTTP."""

    sample: Sample
    id: str
    upload_ms: float
    answer: dict[str, Any] = field(default_factory=dict)
    """The image as JSON, once it was settled."""
    original: Body | None = None
    renditions: dict[str, Body] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """Every path it can be reached by."""
        hrefs = [str(rendition["href"]) for rendition in self.answer.get("renditions", [])]
        return [f"/v1/images/{self.id}", f"/v1/images/{self.id}/original", *hrefs]


class Visitor:
    def __init__(self, address: str) -> None:
        # No proxy, no credentials from the environment: this talks to a process on this machine.
        self._http = httpx.Client(base_url=address, timeout=60, trust_env=False)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, sample: Sample) -> Visit:
        """
        Raises:
            DemoBroken: anything but 201.
        """
        headers = {
            "Content-Type": sample.media_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(sample.name)}",  # RFC 8187: any name
        }
        began = time.monotonic()
        answer = self._http.post("/v1/images", content=sample.body, headers=headers)
        took = (time.monotonic() - began) * 1000
        if answer.status_code != httpx.codes.CREATED:
            raise DemoBroken(f"the upload of {sample.name} was answered {answer.status_code}: {answer.text[:300]}")
        return Visit(sample, str(answer.json()["id"]), took)

    def settle(self, visit: Visit, deadline: float) -> None:
        """Ask until the image is neither waiting nor being worked on, or `deadline` (monotonic seconds) has passed."""
        while True:
            answer = self._http.get(f"/v1/images/{visit.id}")
            if answer.status_code != httpx.codes.OK:
                raise DemoBroken(f"{visit.sample.name} was answered {answer.status_code}: {answer.text[:300]}")
            visit.answer = answer.json()
            if visit.answer["state"] not in _UNSETTLED or time.monotonic() > deadline:
                return
            time.sleep(_LOOKS_EVERY_S)

    def fetch(self, visit: Visit) -> None:
        """The original and every rendition, with their bytes."""
        visit.original = self.body(f"/v1/images/{visit.id}/original")
        for rendition in visit.answer["renditions"]:
            visit.renditions[rendition["name"]] = self.body(rendition["href"])

    def body(self, path: str) -> Body:
        answer = self._http.get(path)
        return Body(answer.status_code, answer.headers.get("content-type", ""), answer.content)

    def statuses(self, paths: Iterable[str]) -> dict[str, int]:
        return {path: self._http.get(path).status_code for path in paths}

    def listed(self) -> set[str]:
        """The ids of all images the list shows."""
        found: set[str] = set()
        cursor: dict[str, str] = {}
        while True:
            page = self._http.get("/v1/images", params={"limit": "200", **cursor}).raise_for_status().json()
            found.update(str(item["id"]) for item in page["items"])
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def sweep(self) -> None:
        """Ask for what is due to be purged now, and not at the next minute.

        Raises:
            DemoBroken: it was refused.
        """
        answer = self._http.post("/v1/sweeps", json={})
        if not answer.is_success:
            raise DemoBroken(f"the sweep was answered {answer.status_code}: {answer.text[:300]}")

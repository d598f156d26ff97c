"""What happened to an image, as it is told outside: over the stream of events, and to those who asked to be told."""

from dataclasses import dataclass
from typing import Any

from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Ms, rfc3339
from mayfly.model.lifecycle import State

TOLD = (State.RECEIVED, State.PROCESSED, State.FAILED, State.REJECTED, State.PURGED)
"""The states whose arrival is an event. A form that waits for its bytes, and an attempt, are nobody else's business."""

SENT = (State.PROCESSED, State.FAILED, State.REJECTED, State.PURGED)
"""Those of them that are sent out."""

_TYPE_PREFIX = "mayfly.image."


@dataclass(frozen=True, slots=True)
class Event:
    """One arrival in a state. Nothing personal. `sequence` orders all events of one store and is never used again;
    `renditions` are the names of those that could be read at that moment."""

    sequence: int
    image_id: ImageId
    state: State
    reason: str | None
    at: Ms
    source: Source
    renditions: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for each delivery of this event, and for no other event: by it a receiver knows a repetition."""
        return f"{self.image_id}-{self.state}-{self.sequence}"


def event_of(sequence: int, record: ImageRecord, at: Ms) -> Event:
    """The event that this record came to its state."""
    names = tuple(rendition.name for rendition in record.renditions)
    return Event(sequence, record.id, record.state, record.reason, at, record.source, names)


def hrefs(event: Event) -> dict[str, Any]:
    """Where the image can be read, as paths of the HTTP interface; empty once it is purged."""
    if event.state is State.PURGED:
        return {}
    image = f"/v1/images/{event.image_id}"
    renditions = {name: f"{image}/renditions/{name}" for name in event.renditions}
    return {"image": image, "original": f"{image}/original", "renditions": renditions}


def told(event: Event) -> dict[str, Any]:
    """The event as JSON."""
    return {
        "id": str(event.image_id),
        "state": event.state.value,
        "source": event.source.value,
        "reason": event.reason,
        "at": rfc3339(event.at),
        "expires_at": rfc3339(event.image_id.expires_at),
        "hrefs": hrefs(event),
    }


def cloud_event(event: Event, origin: str) -> dict[str, Any]:
    """The event as a CloudEvent (https://github.com/cloudevents/spec, version 1.0) in structured JSON. `origin` names
    the Mayfly it is from, as a URI."""
    return {
        "specversion": "1.0",
        "id": event.key,
        "source": origin,
        "type": _TYPE_PREFIX + event.state.value,
        "subject": str(event.image_id),
        "time": rfc3339(event.at),
        "datacontenttype": "application/json",
        "data": {
            "id": str(event.image_id),
            "state": event.state.value,
            "reason": event.reason,
            "hrefs": hrefs(event),
            "expires_at": rfc3339(event.image_id.expires_at),
        },
    }

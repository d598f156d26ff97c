"""What a consumer asks within its session, one function an operation: from JSON to the stage, and back.

What memory answers is answered on the event loop; reads of the database are done one after the other in a thread; what
waits for the disk is done at once, each in a thread of its own, so that the database's one thread makes one commit of
all.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mayfly.entrypoints.http.errors import tell_internal
from mayfly.intake.sessions import Session, Sessions
from mayfly.model.errors import KeyNotMade, MayflyError
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Ms, Week
from mayfly.model.stream import Partition
from mayfly.model.wire import (
    bytes_of,
    bytes_to_json,
    figures_of,
    id_of,
    id_to_json,
    letter_of,
    letter_to_json,
    record_of,
    record_to_json,
)
from mayfly.ports.dead_letters import LettersWanted
from mayfly.ports.metadata_store import Reservation

Json = Mapping[str, Any]
Operation = Callable[[Sessions, Session, Json], Any]


def answer(sessions: Sessions, session: Session, asked: Json) -> dict[str, Any]:
    """`{"ok": ...}`, or `{"fault": the error's class, "detail": its text}`."""
    try:
        operation = _ALL[asked["op"]]
        return {"ok": operation(sessions, session, asked)}
    except MayflyError as fault:
        return {"fault": type(fault).__name__, "detail": str(fault)}
    except Exception as fault:
        # Whatever it is, the consumer is told to come again: what nobody foresaw must not bury a record.
        tell_internal(fault)
        return {"fault": "Unavailable", "detail": "the owner failed at this; its log says more"}


def _enter(sessions: Sessions, session: Session, asked: Json) -> dict[str, str | None]:
    """With the key of its minute, which is asked for next. None: it is not made yet."""
    image_id = id_of(asked["id"])
    sessions.enter(session, image_id)
    try:
        return {"key": bytes_to_json(sessions.keys.key(image_id.expiry_minute))}
    except KeyNotMade:
        return {"key": None}
    except BaseException:
        sessions.leave(session, image_id)
        raise


def _leave(sessions: Sessions, session: Session, asked: Json) -> None:
    sessions.leave(session, id_of(asked["id"]))


def _key(sessions: Sessions, _: Session, asked: Json) -> str:
    return bytes_to_json(sessions.keys.key(Minute(asked["minute"])))


def _week_key(sessions: Sessions, _: Session, asked: Json) -> str:
    return bytes_to_json(sessions.keys.week_key(Week(asked["week"])))


def _erased(sessions: Sessions, _: Session, asked: Json) -> bool:
    return sessions.keys.is_erased(id_of(asked["id"]))


def _get(sessions: Sessions, _: Session, asked: Json) -> dict[str, Any]:
    return record_to_json(sessions.metadata.get(id_of(asked["id"])))


def _reserve(sessions: Sessions, session: Session, asked: Json) -> str:
    return id_to_json(sessions.reserve(session, _reservation(asked["reservation"]), Ms(asked["until"])))


def _release(sessions: Sessions, _: Session, asked: Json) -> None:
    sessions.metadata.release(_reservation(asked["reservation"]))


def _admit(sessions: Sessions, session: Session, asked: Json) -> None:
    told = asked["reservation"]
    sessions.admit(session, record_of(asked["record"]), None if told is None else _reservation(told))


def _note(sessions: Sessions, _: Session, asked: Json) -> dict[str, Any]:
    return letter_to_json(sessions.note(letter_of(asked["letter"])))


def _letter(sessions: Sessions, _: Session, asked: Json) -> dict[str, Any] | None:
    found = sessions.letters.letter(asked["key"])
    return None if found is None else letter_to_json(found)


def _letters(sessions: Sessions, _: Session, asked: Json) -> list[dict[str, Any]]:
    return [letter_to_json(letter) for letter in sessions.letters.letters(LettersWanted(**asked["wanted"]))]


def _unpublished(sessions: Sessions, _: Session, asked: Json) -> list[dict[str, Any]]:
    told = asked["partitions"]
    partitions = None if told is None else [Partition(topic, number) for topic, number in told]
    return [letter_to_json(letter) for letter in sessions.letters.unpublished(asked["limit"], partitions)]


def _published(sessions: Sessions, _: Session, asked: Json) -> None:
    sessions.letters.published(asked["key"], Ms(asked["died_at"]))


def _bounds(sessions: Sessions, _: Session, asked: Json) -> dict[str, int]:
    bounds = sessions.letters.bounds(asked["topic"])
    return {str(partition.number): offset for partition, offset in bounds.items()}


def _figures(sessions: Sessions, session: Session, asked: Json) -> None:
    sessions.report(session, figures_of(asked["figures"]))


def _reservation(told: list[Any]) -> Reservation:
    key, raw_id, aliases = told
    image_id: ImageId = id_of(raw_id)
    return Reservation(bytes_of(key), image_id, tuple(bytes_of(alias) for alias in aliases))


OF_MEMORY: Mapping[str, Operation] = {
    "enter": _enter,
    "leave": _leave,
    "key": _key,
    "week_key": _week_key,
    "erased": _erased,
    "figures": _figures,
}
READS: Mapping[str, Operation] = {
    "get": _get,
    "letter": _letter,
    "letters": _letters,
    "unpublished": _unpublished,
    "bounds": _bounds,
}
DURABLE: Mapping[str, Operation] = {
    "reserve": _reserve,
    "release": _release,
    "admit": _admit,
    "note": _note,
    "published": _published,
}
_ALL = {**OF_MEMORY, **READS, **DURABLE}

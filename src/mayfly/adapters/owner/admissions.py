"""The hand-over, asked of the owner."""

from mayfly.adapters.owner.line import OwnerLine
from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.instant import Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.wire import bytes_to_json, id_of, id_to_json, record_of, record_to_json
from mayfly.ports.metadata_store import Reservation


class OwnerAdmissions:
    """Implements `ports.metadata_store.Admissions`, for images that are under way (see `under_way`)."""

    def __init__(self, line: OwnerLine) -> None:
        self._line = line

    def reserve(self, reservation: Reservation, until: Ms) -> ImageId:
        asked = {"op": "reserve", "reservation": _reservation(reservation), "until": until}
        return id_of(self._line.ask_durable(asked))

    def release(self, reservation: Reservation) -> None:
        self._line.ask_durable({"op": "release", "reservation": _reservation(reservation)})

    def admit(self, record: ImageRecord, job: Job | None, reservation: Reservation | None = None) -> None:
        """As the port has it.

        Raises:
            LeaseLost: it is not under way in the present session, too.
            InvalidRequest: the owner takes no such image from a stream.
            ClockHeld: nothing is taken in meanwhile.
            Erased: it was erased, before or meanwhile; nothing is kept.
        """
        if (job is None) != (record.state is State.REJECTED):
            raise InvalidRequest("the owner makes the job of an image: one that is received has one")
        self._line.ask_durable(
            {
                "op": "admit",
                "record": record_to_json(record),
                "reservation": None if reservation is None else _reservation(reservation),
            }
        )

    def get(self, image_id: ImageId) -> ImageRecord:
        return record_of(self._line.ask({"op": "get", "id": id_to_json(image_id)}))


def _reservation(reservation: Reservation) -> list[object]:
    aliases = [bytes_to_json(alias) for alias in reservation.aliases]
    return [bytes_to_json(reservation.key), id_to_json(reservation.image_id), aliases]

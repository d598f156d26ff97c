"""What this process brings in, told to the owner: it is nobody's orphan there."""

from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.line import OwnerLine
from mayfly.model.identity import ImageId
from mayfly.model.wire import bytes_of, id_to_json


class OwnerUnderWay:
    """Implements `ports.under_way.UnderWay`. The owner's answer brings what is asked for next: the key of its minute,
    and that it is not erased. So `keys` is told."""

    def __init__(self, line: OwnerLine, keys: OwnerKeys) -> None:
        self._line = line
        self._keys = keys

    def enter(self, image_id: ImageId) -> None:
        """As the port has it.

        Raises:
            LeaseLost: the session, under whose terms this thread made the id, has ended.
        """
        told = self._line.enter({"op": "enter", "id": id_to_json(image_id)})
        self._keys.entered(image_id, None if told["key"] is None else bytes_of(told["key"]))

    def leave(self, image_id: ImageId) -> None:
        self._keys.left(image_id)
        # Asked in order: whoever enters it next comes after.
        self._line.tell({"op": "leave", "id": id_to_json(image_id)})

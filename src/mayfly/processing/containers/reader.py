"""Reading numbers out of strangers' bytes."""


class Cut(Exception):
    """The file ends before what it announces."""


class Malformed(Exception):
    """The file contradicts itself."""


def piece(data: memoryview, start: int, length: int) -> memoryview:
    """`length` bytes from `start`.

    Raises:
        Cut: they are not all there.
    """
    if start < 0 or length < 0 or start + length > len(data):
        raise Cut
    return data[start : start + length]


def number(data: memoryview, start: int, length: int, order: str = "big") -> int:
    """An unsigned number of `length` bytes; `order` is `big` or `little`."""
    return int.from_bytes(piece(data, start, length), "little" if order == "little" else "big")

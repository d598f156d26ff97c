"""The door's eye: what an upload is, decided from its first bytes alone, never from its name or what was declared.

Pure and bounded: at most the first 64 KiB are looked at, and no byte sequence raises anything but a `Refused`.
"""

from mayfly.intake.strangers import describe
from mayfly.model.errors import EmptyBody, TooManyPixels, TypeMismatch, UnknownType
from mayfly.model.formats import HEAD_BYTES, dimensions, heif, sniff
from mayfly.model.image import MediaType

TYPE_BYTES = 64
"""How many bytes decide the type; ISO media files get `heif.BRAND_BYTES`, since they list their brands."""

_ALIASES = {
    "image/jpg": MediaType.JPEG,
    "image/pjpeg": MediaType.JPEG,
    "image/x-png": MediaType.PNG,
    "image/apng": MediaType.PNG,
    "image/vnd.mozilla.apng": MediaType.PNG,
    "image/x-webp": MediaType.WEBP,
    "image/tif": MediaType.TIFF,
    "image/x-tif": MediaType.TIFF,
    "image/x-tiff": MediaType.TIFF,
    "image/tiff-fx": MediaType.TIFF,
    "image/heif": MediaType.HEIC,
    "image/heif-sequence": MediaType.HEIC,
    "image/heic-sequence": MediaType.HEIC,
    "image/avif-sequence": MediaType.AVIF,
}
_UNDECLARED = frozenset({"", "application/octet-stream"})
_TAKEN = "JPEG, PNG, WebP, GIF, TIFF, HEIC and AVIF are taken"


def declared_type(text: str | None) -> MediaType | None:
    """The media type a Content-Type declares; None where it declares nothing.

    Raises:
        UnknownType: it declares something that is not taken.
    """
    name = (text or "").partition(";")[0].strip().lower()
    if name in _UNDECLARED:
        return None
    found = _ALIASES.get(name) or next((member for member in MediaType if member == name), None)
    if found is None:
        raise UnknownType(
            f"the content type {name[:80]!r} is not taken: {_TAKEN}; send the image's own type, "
            "for example image/jpeg, or application/octet-stream to have it found out"
        )
    return found


class Inspector:
    """Watches one body go by, chunk by chunk, and refuses it as early as its bytes allow.

    Raises:
        UnknownType: at once, if what was declared is not taken; from `feed` or `finish`, if the bytes are not.
        TypeMismatch: the bytes are of another type than was declared.
        TooManyPixels: the first bytes tell of more than `max_pixels`.
        EmptyBody: from `finish`.
    """

    def __init__(self, max_pixels: int, declared: str | None) -> None:
        self._max_pixels = max_pixels
        self._declared = declared_type(declared)
        self._head = bytearray()
        self._measure_at = 1
        self._media_type: MediaType | None = None

    @property
    def media_type(self) -> MediaType | None:
        """None until enough bytes were seen."""
        return self._media_type

    def feed(self, chunk: bytes | memoryview) -> None:
        """Look at the next bytes. Past the first 64 KiB this does nothing."""
        room = HEAD_BYTES - len(self._head)
        if room <= 0 or not chunk:
            return
        self._head += chunk[:room]
        if self._media_type is None:
            self._decide()
        if len(self._head) >= self._measure_at or len(self._head) == HEAD_BYTES:
            self._measure()

    def finish(self) -> MediaType:
        """The body is complete."""
        if not self._head:
            raise EmptyBody("the body is empty: send the image's bytes")
        if self._media_type is None:
            raise self._unknown()
        self._measure()
        return self._media_type

    def _decide(self) -> None:
        head = bytes(self._head)
        self._media_type = found = sniff(head)
        if found is None:
            patience = heif.BRAND_BYTES if head[4:8] == b"ftyp" else TYPE_BYTES
            if len(head) >= patience:
                raise self._unknown()
        elif self._declared not in (None, found):
            raise TypeMismatch(
                f"declared as {self._declared}, but the bytes are {found}: declare {found}, or application/octet-stream"
            )

    def _measure(self) -> None:
        """Measured again each time the head has doubled: soon enough, and cheap however small the chunks are."""
        self._measure_at = 2 * len(self._head)
        if self._media_type is None:
            return
        width, height = dimensions(self._media_type, bytes(self._head)) or (0, 0)
        if width * height > self._max_pixels:
            raise TooManyPixels(
                f"the image says it is {width} x {height} pixels; at most {self._max_pixels:,} pixels are taken: "
                "send a smaller one"
            )

    def _unknown(self) -> UnknownType:
        return UnknownType(f"the bytes are {describe(bytes(self._head))}, not an image of a type we take: {_TAKEN}")

"""What bytes that we do not take most likely are, so that a refusal can say it. Never used to decide anything."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"8BPS", "a Photoshop document"),
    (b"BM", "a BMP picture"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"<msl", "an ImageMagick script"),
    (b"push graphic-context", "an ImageMagick script"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML or SVG"),
    (b"<!doctype", "HTML or SVG"),
    (b"<html", "HTML"),
)
_BLANK = b"\xef\xbb\xbf \t\r\n"
_TEXT = frozenset(range(0x20, 0x7F)) | set(b"\t\r\n\f")


def describe(head: bytes) -> str:
    """A few words for a person, of at most the first bytes."""
    start = head[:64]
    for magic, name in _MAGIC:
        if start.startswith(magic) or start.lstrip(_BLANK).lower().startswith(magic):
            return name
    if start[4:8] == b"ftyp":
        return "a film or another ISO media file"
    if all(byte in _TEXT for byte in start):
        return "text"
    return "data of an unknown kind"

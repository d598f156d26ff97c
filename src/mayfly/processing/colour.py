"""Into 8-bit sRGB."""

from typing import Any

# Bands of colour by interpretation; one more may be alpha.
_BANDS = {"srgb": 3, "rgb": 3, "rgb16": 3, "scrgb": 3, "lab": 3, "b-w": 1, "grey16": 1, "cmyk": 4}
_PROFILE = "icc-profile-data"
_ORIENTATION = "orientation"
_SRGB_IN_UTF16 = b"\0s\0R\0G\0B"


def understood(image: Any) -> bool:
    """Whether the bands have a meaning as colour (those of a multispectral TIFF have none)."""
    bands = _BANDS.get(image.interpretation, 0)
    return bool(bands <= image.bands <= bands + 1)


def conversion(image: Any) -> dict[str, str]:
    """What to tell `thumbnail_image` about colour: nothing, unless a profile has to be applied. Asking for sRGB where
    no profile is embedded costs 420 ms for identical pixels."""
    if image.interpretation == "cmyk":
        return {"output_profile": "srgb"}
    if image.get_typeof(_PROFILE) and not _says_srgb(image.get(_PROFILE)):
        return {"output_profile": "srgb"}
    return {}


def to_srgb(image: Any) -> Any:
    """Three bands of 8 bits, or four with alpha, without a profile: what a file without a profile means is sRGB. Nor do
    they say how they are to be turned: an AVIF file would be written with that, and turned once more by its reader."""
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    if image.format != "uchar":
        image = image.cast("uchar")
    said = [field for field in (_PROFILE, _ORIENTATION) if image.get_typeof(field)]
    if said:
        image = image.copy()
    for field in said:
        image.remove(field)
    return image


def without_idle_alpha(image: Any) -> Any:
    """Without its alpha where every pixel is opaque."""
    if image.hasalpha() and image[image.bands - 1].min() == 255:
        return image.extract_band(0, n=image.bands - 1).copy_memory()
    return image


def _says_srgb(profile: bytes) -> bool:
    """Whether the profile's description names sRGB (ICC.1:2022, section 9.2.41: `desc`; ASCII in version 2 profiles,
    UTF-16 in version 4 ones)."""
    tags = int.from_bytes(profile[128:132], "big")
    for at in range(132, 132 + 12 * min(tags, 100), 12):
        if profile[at : at + 4] == b"desc":
            start, size = (int.from_bytes(profile[at + skip : at + skip + 4], "big") for skip in (4, 8))
            text = profile[start : start + size]
            return b"sRGB" in text or _SRGB_IN_UTF16 in text
    return False

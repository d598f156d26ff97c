"""HEIC files written by hand, for no encoder of HEVC is among the dependencies (ITU-T H.265, ISO/IEC 23008-12)."""

import struct
from typing import Any


class Bits:
    """A writer of bits, most significant first: `u` fixed width, `ue` Exp-Golomb."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, width: int, value: int) -> None:
        self.text += f"{value:0{width}b}" if width else ""

    def ue(self, *values: int) -> None:
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code

    def flags(self, text: str) -> None:
        self.text += text.replace(" ", "")

    def align(self, stop: str = "") -> None:
        self.text += stop
        self.text += "0" * (-len(self.text) % 8)

    def raw(self) -> bytes:
        return int(self.text, 2).to_bytes(len(self.text) // 8, "big")


def _terminated(low: int) -> str:
    """The arithmetic coder's last bits after a terminating bin (H.265, section 9.3.4.5), nothing being outstanding."""
    bits, outstanding, first = "", 0, True
    for _ in range(7):
        if low < 256:
            bit = "0"
        elif low >= 512:
            low, bit = low - 512, "1"
        else:
            low, bit, outstanding = low - 256, "", outstanding + 1
        if bit:
            bits += ("" if first else bit) + ("1" if bit == "0" else "0") * outstanding
            first, outstanding = False, 0
        low <<= 1
    bit = str(low >> 9 & 1)
    bits += ("" if first else bit) + ("1" if bit == "0" else "0") * outstanding
    return bits + f"{low >> 7 & 3 | 1:02b}"


def _nal(kind: int, payload: bytes) -> bytes:
    out, zeros = bytearray([kind << 1, 1]), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


_PROFILE = struct.pack(">BI6sB", 3, 0x70000000, b"\x90" + bytes(5), 93)  # Main Still Picture, level 3.1
_BLOCK = 32


def _parameter_sets(width: int, height: int) -> list[tuple[int, bytes]]:
    profile = "".join(f"{byte:08b}" for byte in _PROFILE)
    vps, sps, pps = Bits(), Bits(), Bits()
    vps.flags("0000 1 1 000000 000 1" + "1" * 16 + profile + "1")
    vps.ue(0, 0, 0)
    vps.u(6, 0)
    vps.ue(0)
    vps.flags("00")
    sps.flags("0000 000 1" + profile)
    sps.ue(0, 1, width, height)
    sps.flags("0")
    sps.ue(0, 0, 0)
    sps.flags("1")
    sps.ue(0, 0, 0)
    sps.ue(2, 0, 0, 3, 0, 0)  # blocks of 32 only; transforms of 4 to 32
    sps.flags("0 0 0 1 0111 0111")  # no scaling lists, AMP or SAO; PCM of 8 bits
    sps.ue(2, 0)
    sps.flags("1")
    sps.ue(0)
    sps.flags("0 0 0 0 0")
    pps.ue(0, 0)
    pps.flags("0 0 000 0 0")
    pps.ue(0, 0, 0)
    pps.flags("0 0 0")
    pps.ue(0, 0)
    pps.flags("0 0 0 0 0 0 0 1 0 1 0 0")  # deblocking off
    pps.ue(0)
    pps.flags("0 0")
    for bits in (vps, sps, pps):
        bits.align("1")
    return [(32, _nal(32, vps.raw())), (33, _nal(33, sps.raw())), (34, _nal(34, pps.raw()))]


def _slices(image: Any) -> bytes:
    """Each block of 32 x 32 is a slice of its own, of raw samples: no prediction, no transform."""
    across, down = image.width // _BLOCK, image.height // _BLOCK
    out = b""
    for place in range(across * down):
        block = image.crop(place % across * _BLOCK, place // across * _BLOCK, _BLOCK, _BLOCK)
        luma = block.recomb([[0.2568, 0.5041, 0.0979]]) + 16.5
        chroma = block.shrink(2, 2).recomb([[-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]) + 128.5
        planes = [luma.cast("uchar"), *chroma.cast("uchar").bandsplit()]
        bits = Bits()
        bits.flags("1" if place == 0 else "0")
        bits.flags("0")
        bits.ue(0)
        if place:
            bits.u((across * down - 1).bit_length(), place)
        bits.ue(2)
        bits.ue(0)  # slice_qp_delta
        bits.align("1")
        # part_mode 2Nx2N as the likely symbol leaves a range of 270; pcm_flag ends the arithmetic code at 268.
        bits.flags(_terminated(268))
        bits.align()
        samples = b"".join(bytes(plane.write_to_memory()) for plane in planes)
        end = Bits()
        end.flags(_terminated(508))
        end.align()
        nal = _nal(19, bits.raw() + samples + end.raw())
        out += len(nal).to_bytes(4, "big") + nal
    return out


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def heic(image: Any, *, turn: int = 0) -> bytes:
    """An HEIC file of an sRGB image whose sides are multiples of 32, uncompressed; `turn`: quarter turns
    anticlockwise that it asks for (irot)."""
    sets = _parameter_sets(image.width, image.height)
    arrays = b"".join(struct.pack(">BHH", 0x80 | kind, 1, len(nal)) + nal for kind, nal in sets)
    config = b"\x01" + _PROFILE + struct.pack(">HBBBBHBB", 0xF000, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F, 3) + arrays
    properties = [_box(b"hvcC", config), _full(b"ispe", struct.pack(">II", image.width, image.height))]
    if turn:
        properties.append(_box(b"irot", bytes([turn])))
    links = bytes([len(properties), 0x81, 2, 0x83][: 1 + len(properties)])
    pixels = _slices(image)

    def meta(offset: int) -> bytes:
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iinf", struct.pack(">H", 1), _full(b"infe", struct.pack(">HH", 1, 0) + b"hvc1\0", version=2)),
            _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">IH", 1, 1) + links)),
            _full(b"iloc", struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(pixels))),
        )

    start = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    offset = len(start) + len(meta(0)) + 8
    return start + meta(offset) + _box(b"mdat", pixels)

"""An HTTP endpoint: the negative of a PNG. It needs Python and nothing else.

Usage: python sidecar.py [PORT]     listens on 127.0.0.1, port 9000 unless told otherwise; 0 picks a free one
"""

import json
import struct
import sys
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST = 64 * 1024 * 1024
COLOURS = {0: 1, 2: 3, 4: 1, 6: 3}
"""How many bytes of a pixel are colour, by PNG's colour type; the rest is alpha, and stays as it is."""
PIXEL = {0: 1, 2: 3, 4: 2, 6: 4}
NEGATIVE = bytes(range(255, -1, -1))


class Unfit(Exception):
    """No PNG of 8 bits without interlacing: what a step is given is one, unless it comes first."""


def negative(png: bytes) -> tuple[bytes, dict]:
    chunks = dict.fromkeys((b"IHDR", b"IDAT"), b"")
    position = len(SIGNATURE)
    while position + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        if kind in chunks:
            chunks[kind] += png[position + 8 : position + 8 + length]
        position += length + 12
    try:
        width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        rows = zlib.decompressobj().decompress(chunks[b"IDAT"], LARGEST)
    except (struct.error, zlib.error):
        raise Unfit from None
    if not png.startswith(SIGNATURE) or depth != 8 or interlaced or colour not in PIXEL:
        raise Unfit
    turned = b"".join(turn(row, colour) for row in unfiltered(rows, width * PIXEL[colour], height, PIXEL[colour]))
    made = chunk(b"IHDR", chunks[b"IHDR"]) + chunk(b"IDAT", zlib.compress(turned, 1)) + chunk(b"IEND", b"")
    return SIGNATURE + made, {"width": width, "height": height}


def unfiltered(rows: bytes, stride: int, height: int, pixel: int):
    """Each row's bytes; PNG stores them as differences from their neighbours (its specification, 9.2)."""
    if len(rows) < height * (stride + 1):
        raise Unfit
    above = bytearray(stride)
    for start in range(0, height * (stride + 1), stride + 1):
        kind, row = rows[start], bytearray(rows[start + 1 : start + 1 + stride])
        for at in range(stride) if kind else ():
            left = row[at - pixel] if at >= pixel else 0
            corner = above[at - pixel] if at >= pixel else 0
            row[at] = (row[at] + predicted(kind, left, above[at], corner)) & 255
        yield row
        above = row


def predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda near: abs(guess - near))


def turn(row: bytearray, colour: int) -> bytes:
    turned = bytearray(row.translate(NEGATIVE))
    if COLOURS[colour] < PIXEL[colour]:
        turned[COLOURS[colour] :: PIXEL[colour]] = row[COLOURS[colour] :: PIXEL[colour]]
    return b"\0" + turned


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > LARGEST:
            self.answer(413)
            return
        try:
            picture, facts = negative(self.rfile.read(length))
        except Unfit:
            self.answer(422)  # the image is rejected
            return
        self.answer(200, picture, {"Content-Type": "image/png", "Mayfly-Facts": json.dumps(facts)})

    def answer(self, status: int, body: bytes = b"", headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing about an image is written anywhere."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), Handler)
    print(f"http://127.0.0.1:{server.server_port}/negative", flush=True)
    server.serve_forever()

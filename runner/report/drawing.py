"""vl-convert's work: specifications to SVG, SVG to PNG; without a network.

vl-convert takes a second to start and holds Python's lock while it draws, so that processes of
their own draw what a report writes to files. They run this file alone, without the package.
"""

import contextlib
import json
import pickle
import re
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

if __name__ == "__main__":  # before the imports that take long
    # What interrupts a command is for the process that waits for this one, and ends it.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name, signal.SIGINT), signal.SIG_IGN)

import numpy as np
import vl_convert

# Twice the nominal size is sharp on today's screens; so many pixels of lines, points or cells take
# about `MAX_PNG_BYTES`.
_SCALES = (2.0, 1.5)
_MAX_PIXELS = 1_600_000
MAX_PNG_BYTES = 150_000
_SMALLEST = '{"data": {"values": []}, "mark": "point"}'
_REFERENCE = re.compile(r'( id="|url\(#)(gradient_|clip)(\d+)')
# Names of the PNG specification's numbers (RFC 2083, sections 2.3 and 6).
_NO_FILTER, _LEFT_NEIGHBOUR = 0, 1
_RGBA, _RGB_TYPE = 4, 2
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 7  # the higher ones of zlib take five times as long for two percent


@dataclass(frozen=True)
class Image:
    """One figure for files."""

    svg: str
    png: bytes


class Drawer:
    """Processes that draw while this one goes on; to be used in a `with` statement."""

    def __init__(self, num_processes: int) -> None:
        """Starts nothing yet.

        Args:
          num_processes: How many figures are drawn at once.
        """
        self._num_processes = num_processes

    def __enter__(self) -> "Drawer":
        """Starts the processes; `-P` keeps this file's neighbours from passing for modules."""
        command = [sys.executable, "-P", __file__]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(self._num_processes)
        ]
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self.processes:
            self._free.put(process)
        self._beside = ThreadPoolExecutor(self._num_processes)
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the processes."""
        for process in self.processes:
            process.kill()
        self._beside.shutdown(cancel_futures=True)
        for process in self.processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.wait()

    def draw(self, spec: Mapping[str, Any]) -> "Future[Image]":
        """Returns what will be the image of a Vega-Lite specification."""
        return self._beside.submit(self._draw, json.dumps(spec))

    def _draw(self, spec: str) -> Image:
        process = self._free.get()
        try:
            stdin, stdout = process.stdin, process.stdout
            if stdin is not None and stdout is not None:
                with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
                    stdin.write(f"{spec}\n".encode())
                    stdin.flush()
                    return Image(*pickle.load(stdout))
            return _image(spec)  # the process has died: slower, but the same
        finally:
            self._free.put(process)


def serve() -> None:
    """Draws each line of the standard input and writes the images to the standard output."""
    svg(_SMALLEST)  # the first one takes a second, in which the figures are still thought up
    for line in sys.stdin:
        image = _image(line)
        pickle.dump((image.svg, image.png), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _image(spec: str) -> Image:
    drawing = svg(spec)
    return Image(drawing, png(drawing))


def svg(spec: str) -> str:
    """Returns a Vega-Lite specification, as JSON, as an SVG document.

    Vega numbers gradients and clippings through all that a process draws; here, each document has
    its own numbers, so that the same figure is the same file.
    """
    numbers: dict[str, dict[str, int]] = {}

    def renumbered(found: re.Match[str]) -> str:
        of_kind = numbers.setdefault(found[2], {})
        return f"{found[1]}{found[2]}{of_kind.setdefault(found[3], len(of_kind))}"

    return _REFERENCE.sub(renumbered, vl_convert.vegalite_to_svg(spec))


def png(drawing: str) -> bytes:
    """Returns an SVG document as PNG: enlarged as far as `MAX_PNG_BYTES` allows, never reduced."""
    width, height = _size(drawing)
    scale = next((s for s in _SCALES if s * s * width * height <= _MAX_PIXELS), 1.0)
    image = repacked(vl_convert.svg_to_png(drawing, scale=scale))
    if len(image) > MAX_PNG_BYTES and scale > 1:
        return repacked(vl_convert.svg_to_png(drawing, scale=1.0))
    return image


def _size(drawing: str) -> tuple[float, float]:
    """Returns width and height of an SVG document in pixels."""
    start = drawing[: drawing.index(">")]
    width, height = (re.search(rf'\b{side}="([\d.]+)"', start) for side in ("width", "height"))
    return (float(width[1]), float(height[1])) if width and height else (0.0, 0.0)


def repacked(image: bytes) -> bytes:
    """Returns an opaque PNG with the same pixels in a third of the space.

    vl-convert writes four channels, differences to the left neighbour (filter 1), fast
    compression. Flat colours take least without a filter, without alpha and with more patience.
    """
    chunks: dict[bytes, bytes] = {}
    for kind, body in _chunks(image):
        chunks[kind] = chunks.get(kind, b"") + body  # pixels may come in several chunks
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    differences = rows[:, 1:].reshape(height, width, -1)
    if (rows[:, 0] != _LEFT_NEIGHBOUR).any() or differences.shape[2] != _RGBA:
        return image  # another version of vl-convert: larger, but right
    colors = np.cumsum(differences, axis=1, dtype=np.uint8)[:, :, :3].reshape(height, -1)
    packed = zlib.compress(np.insert(colors, 0, _NO_FILTER, axis=1).tobytes(), _LEVEL)
    chunks |= {b"IHDR": chunks[b"IHDR"][:9] + bytes([_RGB_TYPE, 0, 0, 0]), b"IDAT": packed}
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks.items())


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position < len(image):
        (length,) = struct.unpack(">I", image[position : position + 4])
        start = position + 8
        yield image[position + 4 : start], image[start : start + length]
        position = start + length + 4  # the checksum


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    serve()

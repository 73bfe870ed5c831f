"""vl-convert's work: specifications to SVG, SVG to PNG, the page's libraries; without a network."""

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import vl_convert

from runner.records import write_text

# Twice the nominal size is sharp on today's screens; so many pixels of lines, points or cells take
# about `MAX_PNG_BYTES`.
_SCALES = (2.0, 1.5)
_MAX_PIXELS = 1_600_000
MAX_PNG_BYTES = 150_000
_BUNDLE = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"
# Names of the PNG specification's numbers (RFC 2083, sections 2.3 and 6).
_NO_FILTER, _LEFT_NEIGHBOUR = 0, 1
_RGBA, _RGB_TYPE = 4, 2
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 7  # the higher ones of zlib take five times as long for two percent


def svg(spec: Mapping[str, Any]) -> str:
    """Returns a Vega-Lite specification as an SVG document."""
    return vl_convert.vegalite_to_svg(json.dumps(spec))


def libraries() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script.

    vl-convert bundles them in four seconds, so the result is kept in the user's cache.
    """
    kept = _cache() / f"vega-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return kept.read_text("utf-8")
    script = _bundled()
    with contextlib.suppress(OSError):
        write_text(kept, script)
    return script


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runner"


def _bundled() -> str:
    """Bundles in a process of its own: vl-convert holds Python's lock meanwhile."""
    try:
        command = [sys.executable, "-c", _BUNDLE]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return vl_convert.javascript_bundle()  # type: ignore[call-arg]


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

"""The script that draws the figures of a page: Vega, Vega-Lite and Vega-Embed."""

import contextlib
import subprocess
import sys
from importlib.metadata import version

from runner.files import user_cache, write_text

_BUNDLE = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"


def libraries() -> str:
    """Returns the script.

    vl-convert bundles it in four seconds, so the result is kept in the user's cache.
    """
    kept = user_cache() / f"vega-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return kept.read_text("utf-8")
    script = _bundled()
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, script)
    return script


def _bundled() -> str:
    """Bundles in a process of its own: vl-convert holds Python's lock meanwhile."""
    try:
        command = [sys.executable, "-c", _BUNDLE]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        import vl_convert

        return vl_convert.javascript_bundle()  # type: ignore[call-arg]

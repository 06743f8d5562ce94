"""Draws docs/demo.svg: what `make demo` prints, from a real run in a folder of its own.

    python tools/demo_picture.py
"""
from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from rich.console import Console

from muster.cli import demo, up
from muster.data_directory import DataDirectory

PICTURE = Path(__file__).parent.parent / "docs" / "demo.svg"


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        data = DataDirectory(Path(home) / ".muster" / "demo")
        console = Console(record=True, width=104, file=io.StringIO(), force_terminal=False, highlight=False,
                          color_system="truecolor")
        console.print("[bold]$ make demo[/]")
        try:
            demo.run(data, 4, console)
        finally:
            up.stop(data)
        console.save_svg(str(PICTURE), title="make demo")
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()

"""The picture as PNG, drawn by resvg where the extra `muster[png]` is installed."""
from __future__ import annotations

from ..api.errors import BadRequest

SCALE = 2  # pixels for each unit of the picture: sharp on a dense screen


def check_available() -> None:
    """Raises BadRequest where nothing can draw it: better before a long rehearsal than after."""
    try:
        import resvg_py  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        raise BadRequest("-o png: the library resvg-py draws it and is not installed: pip install 'muster[png]'; "
                         "-o svg needs nothing") from None


def png(picture: str) -> bytes:
    import resvg_py
    return bytes(resvg_py.svg_to_bytes(svg_string=picture, zoom=SCALE))

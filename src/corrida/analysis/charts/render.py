"""Figures drawn: PNG and SVG, and the JavaScript that draws them in a page that stands alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from corrida.errors import MissingExtra


def to_png(spec: Mapping[str, Any], *, scale: float = 2.0) -> bytes:
    """Return a figure as a PNG; the same figure gives the same bytes.

    Args:
        spec: a Vega-Lite specification.
        scale: pixels for each unit of the specification.

    Raises:
        MissingExtra: the extra ``report`` is not installed.
    """
    png: bytes = _vl_convert().vegalite_to_png(dict(spec), scale=scale)
    return png


def to_svg(spec: Mapping[str, Any]) -> str:
    """Return a figure as SVG.

    Raises:
        MissingExtra: the extra ``report`` is not installed.
    """
    svg: str = _vl_convert().vegalite_to_svg(dict(spec))
    return svg


@functools.cache
def javascript() -> str:
    """Return the JavaScript (0.9 MB) that defines ``vegaEmbed``, for a page that needs no network.

    Building it takes over a second, so it is kept in the cache folder.

    Raises:
        MissingExtra: the extra ``report`` is not installed.
    """
    from corrida.runs.user_cache import cache_folder
    from corrida.runs.files import atomic_write

    vl_convert = _vl_convert()
    file = cache_folder() / f"vega-{vl_convert.__version__}.js"
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        pass
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, bundle.encode(), durable=False)
    except OSError:
        pass  # without a cache it is built again next time
    return bundle


def _vl_convert() -> ModuleType:
    try:
        import vl_convert
    except ImportError:
        raise MissingExtra("figures need vl-convert-python; pip install 'corrida[report]'") from None
    return vl_convert

"""Pages of the house: one HTML file each that needs no network, plotly's script and the style inside it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from hypermm.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["page_of"]


def page_of(template: str) -> Callable[..., str]:
    """A template of this package as a function of its values that answers the page.

    All values are escaped but those the template marks as safe: our own charts.

    Args:
        template: Name of its file; it places `style` and `plotlyjs` besides the values.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    with needs("report", "plotly and jinja2 to write the page"):
        import jinja2
        from plotly.offline import get_plotlyjs
    folder = resources.files("hypermm.research")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(folder.joinpath(template).read_text("utf-8"))
    style = folder.joinpath("page.css").read_text("utf-8")

    def render(**values: Any) -> str:
        text: str = page.render(style=style, plotlyjs=get_plotlyjs(), **values)
        return text

    return render

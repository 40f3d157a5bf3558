"""A question with a number in it: answered for one value, or under sliders."""

from collections.abc import Callable
from typing import Any

Axis = tuple[float, float, float, float]
"""From, to, step, and the value to begin with."""


def ask(show: Callable[..., Any], *, sliders: bool, **axes: Axis) -> Any:
    """What `show` gives for the first values; with `sliders`, for whatever they are dragged to.

    Parameters
    ----------
    show
        Makes a table or a figure of the values.
    sliders
        False gives the answer for the first values, as papermill and the tests want it. True
        needs a front end, such as JupyterLab, and begins with the same answer.
    axes
        For each of the function's parameters its range.

    Raises
    ------
    ValueError
        A first value lies outside of its range.
    """
    for name, (low, high, _, first) in axes.items():
        if not low <= first <= high:
            raise ValueError(f"{name} begins with {first}; it goes from {low} to {high}")
    if not sliders:
        return show(**{name: axis[3] for name, axis in axes.items()})
    import ipywidgets
    from IPython.display import display

    handles = {
        name: ipywidgets.FloatSlider(
            value=first, min=low, max=high, step=step, description=name.replace("_", " "),
            continuous_update=False, readout_format=".3g",
            style={"description_width": "initial"}, layout={"width": "36em", "max_width": "95%"},
        )
        for name, (low, high, step, first) in axes.items()
    }  # fmt: skip
    # `interactive` shows what is displayed, and drops what is returned.
    return ipywidgets.interactive(lambda **values: display(show(**values)), **handles)

"""Leaves values in the executed notebook, where `scrapbook.read_notebook` finds them.

The wire format is one display message. We send it ourselves: importing scrapbook inside a
kernel costs seconds, and it has no encoder for half of what a report holds.
"""

import base64
import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any


def glue(name: str, value: Any, *, frame: bool = False) -> None:
    """Record `value` under `name`; does nothing outside a kernel.

    Parameters
    ----------
    name
        The scrap's name.
    value
        Anything JSON can hold; with `frame` a list of rows, each a dict.
    frame
        Record the rows so that scrapbook gives them back as a data frame.

    Raises
    ------
    ValueError
        For NaN and infinities, which scrapbook would give back as text.
    """
    import sys

    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        return
    encoder = "pandas" if frame else "json"
    payload = {
        "name": name,
        "data": _parquet(value) if frame else json.loads(json.dumps(value, allow_nan=False)),
        "encoder": encoder,
        "version": 1,
    }
    display(
        {f"application/scrapbook.scrap.{encoder}+json": payload},
        metadata={"scrapbook": {"name": name, "data": True, "display": False}},
        raw=True,
    )


def _parquet(rows: Sequence[dict[str, Any]]) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return base64.b64encode(buffer.getvalue()).decode()

"""Notebooks, run from top to bottom in a fresh kernel of this environment.

    python tests/notebook.py gallery/life.ipynb ...

stores them with their outputs.
"""

import json
import math
import os
import queue
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

RICH = ("text/markdown", "text/html")
"""Forms of an object that say all that its repr does, which may be long."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""Controls, which are nothing without their kernel."""


def executed(path: Path) -> Any:
    """The notebook with the outputs that it has now, without times or counts of runs."""
    import nbclient
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        kernel = Path(folder) / "kernels" / "python3"
        kernel.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python 3"}))
        os.environ["JUPYTER_PATH"] = folder
        notebook = nbformat.read(path, as_version=4)
        client = nbclient.NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,  # several prints of a cell are one text
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.on_notebook_start = lambda **_: _look_often(client.kc.shell_channel)
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                output.pop("execution_count", None)
                if output.output_type == "execute_result":
                    output.output_type = "display_data"
            cell.outputs = [output for output in cell.outputs if _kept(output.get("data", {}))]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _look_often(channel: Any) -> None:
    """Look for a reply once a second, whatever woke the client.

    What an output widget sends through the same socket can take the wake-up of a reply that has
    come, and the client would sleep to the end of its time.
    """
    once = channel.get_msg

    async def get_msg(timeout: float | None = None) -> Any:
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return await once(timeout=1)
            except queue.Empty:
                if time.monotonic() > end:
                    raise

    channel.get_msg = get_msg


def stored(path: Path) -> Any:
    """The notebook as it is stored.

    Raises:
        ValueError: a forge shows nothing of it, or an error.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    if not outputs or any(output["output_type"] == "error" for output in outputs):
        raise ValueError(
            f"{path.name} has no outputs, or an error: python tests/notebook.py {path}"
        )
    return notebook


def _kept(data: dict[str, Any]) -> bool:
    """Whether an output is stored; of what has a rich form, without its repr."""
    if any(kind in data for kind in RICH):
        data.pop("text/plain", None)
    return WIDGET not in data


def shown(notebook: Any) -> list[str]:
    """The text that every cell prints or displays, figures left out."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                found.append(output["text"])
                continue
            for kind in (*RICH, "text/latex", "text/plain"):
                if kind in output.get("data", {}) and "image/png" not in output["data"]:
                    found.append(output["data"][kind])
                    break
    return ["".join(each) for each in found]


def _shrink(notebook: Any) -> None:
    """Figures of 256 colours: a third of the bytes, and the same to the eye."""
    from PIL import Image

    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                image = Image.open(BytesIO(b64decode(output.data["image/png"]))).convert("RGB")
                small = BytesIO()
                image = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
                image.save(small, "PNG", optimize=True)
                output.data["image/png"] = b64encode(small.getvalue()).decode()


def main() -> None:
    """Store the outputs of each notebook that is named."""
    import nbformat

    for name in sys.argv[1:]:
        path = Path(name).resolve()
        notebook = executed(path)
        _shrink(notebook)
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()

"""Notebooks, run from top to bottom in a fresh kernel of this environment.

    python tests/notebook.py gallery/life.ipynb ...

stores them with their outputs.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


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
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                output.pop("execution_count", None)
                if output.output_type == "execute_result":
                    output.output_type = "display_data"
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def shown(notebook: Any) -> list[str]:
    """The text that every cell prints or displays, figures left out."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                found.append(output["text"])
                continue
            for kind in ("text/markdown", "text/latex", "text/plain"):
                if kind in output.get("data", {}) and "image/png" not in output["data"]:
                    found.append(output["data"][kind])
                    break
    return ["".join(each) for each in found]


def main() -> None:
    """Store the outputs of each notebook that is named."""
    import nbformat

    for name in sys.argv[1:]:
        path = Path(name).resolve()
        nbformat.write(executed(path), path)
        print(path.name)


if __name__ == "__main__":
    main()

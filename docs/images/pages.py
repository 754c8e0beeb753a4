"""Makes the pictures of pages in this folder: `python docs/images/pages.py`.

They are looked at when they change. Needs pdflatex and pdftoppm, Chromium and the extra `browser`.
"""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageOps

import lifesym as ls
from lifesym.derivation import Printed, Shortening, derivation

HERE = Path(__file__).parent
BOX = {"batch": (1, 64), "past": (0, 8192)}
MODELS = {
    "paper": ("llama-3.1-8b", "int4"),
    "paper-experts": ("qwen3-30b-a3b", None),
    "paper-latent": ("deepseek-v3", None),
    "paper-recurrent": ("mamba-130m", None),
}
_PAGE = r"""\documentclass[10pt]{article}
\usepackage[textwidth=240pt,paperwidth=264pt,paperheight=900pt,margin=12pt]{geometry}
\usepackage{amsmath}
\pagestyle{empty}\sloppy
\begin{document}\noindent
%s
\end{document}
"""


def page(model: str, weights: str | None) -> str:
    """TPOT on an H100 with launches of 3 microseconds, at a column's width."""
    device = ls.load_hardware("h100-sxm-80gb").with_(dispatch_time=3e-6)
    form = ls.forecast(model, device, prompt=512, generate=128, weights=weights)
    free = {symbol.name for symbol in form.tpot.in_symbols.expr.free_symbols}
    box = {name: ends for name, ends in BOX.items() if name in free}
    how = Printed(form="paper", fmt="latex", width=240, digits=3, label="eq:tpot")
    made = derivation(form, form.tpot, how, Shortening(box=box, keep=3))
    return _PAGE % "\n\n".join(made.parts)


def rendered(source: str, target: Path) -> None:
    """A page as a picture, cut to what is printed on it."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "page.tex").write_text(source, encoding="utf-8")
        for command in (
            "pdflatex -interaction=nonstopmode page.tex",
            "pdftoppm -r 160 -png -singlefile page.pdf page",
        ):
            subprocess.run(command.split(), cwd=folder, capture_output=True, check=True)  # noqa: S603
        picture = Image.open(Path(folder) / "page.png").convert("L")
    left, top, right, bottom = ImageOps.invert(picture).getbbox()
    margin = 16
    box = (left - margin, max(0, top - margin), right + margin, bottom + margin)
    picture.crop(box).quantize(16).save(target, optimize=True)


def explored(target: Path) -> None:
    """The page of sliders as it opens."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (an extra)

    from lifesym.explore import page  # noqa: PLC0415

    def make(model: str, device: str, **changes: object) -> ls.Forecast:
        return ls.forecast(model, device, prompt=2048, generate=128, batch=8, past=0, **changes)

    with TemporaryDirectory() as folder, sync_playwright() as started:
        path = Path(folder) / "page.html"
        command = "lifesym explore qwen3-8b --on h100,rtx-4090 --prompt 2k --batch 8 -o page.html"
        made = page(["qwen3-8b"], ["h100", "rtx-4090"], make=make, command=command)
        path.write_text(made, encoding="utf-8")
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        shown = browser.new_page(viewport={"width": 1400, "height": 1080})
        shown.goto(path.as_uri())
        shown.wait_for_selector("html[data-ready]")
        shown.wait_for_timeout(500)
        shown.screenshot(path=target)
    Image.open(target).convert("RGB").quantize(64).save(target, optimize=True)


if __name__ == "__main__":
    explored(HERE / "explore.png")
    for name, (model, weights) in MODELS.items():
        rendered(page(model, weights), HERE / f"{name}.png")

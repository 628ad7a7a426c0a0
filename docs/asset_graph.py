"""Takes the README's picture of the asset graph from a running Dagster UI.

make ui                                   # in one terminal
.venv/bin/python docs/asset_graph.py      # in another; needs chromium and chromedriver
"""

import argparse
import shutil
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def take(
    url: str, target: Path, width: int, height: int, seconds: float, *, sign: str = "svg",
    settle: float = 8,
) -> None:  # fmt: skip
    """Opens a page, waits until it is drawn, and stores what a person would see.

    Args:
        url: of the page.
        target: the picture.
        width, height: of the window, pixels.
        seconds: how long to wait at most.
        sign: CSS selector of an element that is there when the page is drawn.
        settle: seconds to wait after that.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        browser.get(url)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not browser.find_elements(By.CSS_SELECTOR, sign):
            time.sleep(0.5)
        # The layout of the asset graph is computed in a worker, which shows no sign of its end.
        time.sleep(settle)
        target.parent.mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(target))


GRAPH = (0.26, 0.18, 1.0, 0.83)
"""Where the graph is in the window: left, top, right, bottom as shares."""


def crop(picture: Path) -> None:
    """Leaves the part of the window that the graph is in."""
    whole = Image.open(picture).convert("RGB")
    size = (whole.width, whole.height) * 2
    box = tuple(round(share * length) for share, length in zip(GRAPH, size, strict=True))
    whole.crop(box).quantize(64).save(picture, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000/asset-groups")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("asset_graph.png"))
    parser.add_argument("--width", type=int, default=2100)
    parser.add_argument("--height", type=int, default=2500)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    take(arguments.url, arguments.out, arguments.width, arguments.height, arguments.seconds)
    crop(arguments.out)

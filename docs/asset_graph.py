"""Takes the README's picture of the asset graph from a running Dagster UI.

make ui                                   # in one terminal
.venv/bin/python docs/asset_graph.py      # in another; needs chromium and chromedriver
"""

import argparse
import shutil
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def take(url: str, target: Path, width: int, height: int, seconds: float) -> None:
    """Opens a page, waits until the graph is drawn, and stores what a person would see."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        browser.get(url)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not browser.find_elements(By.TAG_NAME, "svg"):
            time.sleep(0.5)
        time.sleep(8)  # the layout is computed in a worker, which shows no sign of its end
        target.parent.mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(target))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000/asset-groups")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("asset_graph.png"))
    parser.add_argument("--width", type=int, default=2000)
    parser.add_argument("--height", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    take(arguments.url, arguments.out, arguments.width, arguments.height, arguments.seconds)

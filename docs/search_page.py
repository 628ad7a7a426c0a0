"""Takes the README's pictures of the search page from a running `hfkg serve`.

.venv/bin/hfkg serve                      # in one terminal
.venv/bin/python docs/search_page.py      # in another; needs chromium and chromedriver
"""

import argparse
from pathlib import Path
from urllib.parse import urlencode

from asset_graph import take

QUESTION = {"q": "turns recordings of talks into written text", "kind": "model"}
MODEL = "UmberClover/Wisp-badger-1.5B-x-stork-merge"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--model", default=MODEL, help="whose lineage is shown")
    arguments = parser.parse_args()
    folder = Path(__file__).parent
    for name, query, sign, height in (
        ("search_page.png", QUESTION, ".hit", 900),
        ("lineage_page.png", {"view": "lineage", "id": arguments.model}, "svg a", 760),
    ):
        address = f"{arguments.url}/?{urlencode(query)}"
        take(address, folder / name, 1200, height, 60, sign=sign, settle=1)

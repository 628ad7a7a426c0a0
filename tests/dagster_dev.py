"""`dagster dev` on loopback, asked over GraphQL as its pages do."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent


class DagsterDev:
    """Webserver and daemon with a home of their own.

    Args:
        home: the instance's folder.
        environment: what runs see, besides DAGSTER_HOME.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        home.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "dagster.yaml", home)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = (home / "dev.log").open("wb")
        self._process = subprocess.Popen(
            [
                Path(sys.executable).with_name("dagster"), "dev",
                "-w", REPOSITORY / "workspace.yaml", "-h", "127.0.0.1", "-p", str(port),
            ],
            env={**environment, "DAGSTER_HOME": str(home)},
            cwd=home, stdout=self._log, stderr=self._log, start_new_session=True,
            # A process started in the background may ignore SIGINT, which is how dev is stopped.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def query(self, query: str, **variables: object) -> dict[str, Any]:
        """The data that GraphQL answers with."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]

    def wait_for(self, what: str, seconds: float, condition: Callable[[], Any]) -> Any:
        """What the condition gives once it is true; nobody listening yet is no error."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "dagster dev ended"
            try:
                if found := condition():
                    return found
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"no {what} within {seconds} s")

    def stop(self) -> None:
        """Stops it as an interrupt at the terminal would."""
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()

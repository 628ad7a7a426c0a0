"""The search page, served on loopback for a test."""

import socket
import threading
import time

from hfkg_assets.retrieval.page import create_page, page_server


class ServedPage:
    """The page in a thread of its own; a context manager that stops it.

    Attributes:
        url: its address, without a slash at the end.
    """

    def __init__(self, retriever, **options):
        self._server = page_server(create_page(retriever, **options))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __enter__(self):
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert self._thread.is_alive() and time.monotonic() < deadline, "the page did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *failure):
        self._server.should_exit = True
        self._thread.join(5)
        self._server.force_exit = True
        self._thread.join()
        self._listener.close()

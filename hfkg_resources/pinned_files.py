"""Small files of repositories at a commit, in as few requests as the Hub answers.

A file at a commit is asked for straight from the resolver's cache: one request in place of the two
that a redirect costs. Where a Hub does not answer that address, the redirecting one is taken.

Belongs here: which address is asked. Does not: what a file says, or large ones, which want to be
gone on with after a cut.
"""

import threading
from urllib.parse import quote

from hfkg_resources.errors import BadRequest, NotFound
from hfkg_resources.hub_client import Answer, HubClient


class PinnedFiles:
    """Fetches files of repositories of one kind, by the cheapest address that works.

    Args:
        client: the Hub's client.
        kind: `models`, `datasets` or `spaces`.
    """

    def __init__(self, client: HubClient, kind: str) -> None:
        self._client = client
        self._kind = kind
        self._prefix = "" if kind == "models" else f"/{kind}"
        self._pinned_works: bool | None = None
        self._probe = threading.Lock()

    def read(self, repo_id: str, sha: str | None, path: str, *, cap: int) -> Answer:
        """A file's bytes.

        Args:
            repo_id: the repository.
            sha: its commit; None for what the main branch has now.
            path: the file's path in it.
            cap: bytes that are read at most.

        Raises:
            HubError: it is missing, gated, disabled or too large.
        """
        name = quote(path)
        resolve = f"{self._prefix}/{quote(repo_id)}/resolve/{sha or 'main'}/{name}"
        pinned = f"/api/resolve-cache/{self._kind}/{quote(repo_id)}/{sha}/{name}"
        if sha is None:
            return self._client.get_bytes(resolve, cap=cap)
        if self._pinned_works is None:
            with self._probe:  # who waited here finds the question answered
                if self._pinned_works is None:
                    return self._first(pinned, resolve, cap)
        return self._client.get_bytes(pinned if self._pinned_works else resolve, cap=cap)

    def _first(self, pinned: str, resolve: str, cap: int) -> Answer:
        try:
            answer = self._client.get_bytes(pinned, cap=cap)
        except (BadRequest, NotFound):
            # Either this one file is gone or the Hub does not know the address: the other tells.
            answer = self._client.get_bytes(resolve, cap=cap)
            self._pinned_works = False
        else:
            self._pinned_works = True
        return answer

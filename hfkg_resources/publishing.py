"""Publishing a folder as a dataset repository of the Hub, through huggingface_hub.

Belongs here: what is sent, where to, and what a refusal means. Does not: what the folder holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError


class PublishFailed(Exception):
    """The Hub did not take the folder; the message says why and what to do."""


@dataclass(frozen=True)
class Publication:
    """A folder that is to become a revision of a dataset repository.

    Attributes:
        folder: what is sent.
        repository: `account/name`, or a bare name for the token's own account.
        tag: the revision's name; a tag of that name is moved to it.
        endpoint: the Hub's address.
        private: whether the repository is made private, if it is made.
    """

    folder: Path
    repository: str
    tag: str
    endpoint: str
    private: bool = False

    def files(self) -> list[tuple[str, int]]:
        """Paths in the repository, sorted, with their sizes in bytes."""
        from huggingface_hub.utils import DEFAULT_IGNORE_PATTERNS, filter_repo_objects

        found = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        names = {path.relative_to(self.folder).as_posix(): path for path in found}
        kept = filter_repo_objects(names, ignore_patterns=DEFAULT_IGNORE_PATTERNS)
        return [(name, names[name].stat().st_size) for name in kept]

    def plan(self) -> str:
        """What `publish` would send, as text."""
        files = self.files()
        lines = [
            f"repository  dataset {self.repository} at {self.endpoint}",
            f"visibility  {'private' if self.private else 'public'}, if it is made now",
            f"revision    main, tagged {self.tag}",
            *(f"{size:>15,}  {name}" for name, size in files),
            f"{sum(size for _, size in files):>15,}  bytes in {len(files)} files",
        ]
        return "\n".join(lines)

    def publish(self, token: str | None) -> str:
        """Makes the repository if need be, commits the folder to `main` and tags the commit.

        Args:
            token: of an account that may write there.

        Returns:
            The address of the revision.

        Raises:
            PublishFailed: there is no token, or the Hub refuses, or cannot be reached.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

        if not token:
            raise PublishFailed("publishing needs a token that may write: set HF_TOKEN")
        api = HfApi(endpoint=self.endpoint, token=token)
        try:
            made = api.create_repo(
                self.repository, repo_type="dataset", private=self.private, exist_ok=True
            )
            commit = api.upload_folder(
                repo_id=made.repo_id,
                repo_type="dataset",
                folder_path=self.folder,
                commit_message=f"Snapshot {self.tag}",
            )
            _move_tag(api, made.repo_id, self.tag, commit.oid)
        except HFValidationError as error:
            raise PublishFailed(f"{self.repository!r} is no repository name: {error}") from error
        except HfHubHTTPError as error:
            raise PublishFailed(self._refusal(error)) from error
        except HTTPError as error:
            raise PublishFailed(f"no answer of {self.endpoint} (HF_ENDPOINT): {error}") from error
        except OSError as error:  # as hf_xet reports any failure
            raise PublishFailed(
                f"sending to {self.endpoint} failed: {error}. "
                "If that Hub has no Xet storage, set HF_HUB_DISABLE_XET=1"
            ) from error
        return f"{made}/tree/{self.tag}"

    def _refusal(self, error: HfHubHTTPError) -> str:
        said = error.server_message or str(error).splitlines()[0]
        if error.response.status_code in (401, 403):
            said += f". HF_TOKEN must be a token that may write {self.repository}"
        return f"{self.endpoint} refused: {said}"


def _move_tag(api: HfApi, repo_id: str, tag: str, commit: str) -> None:
    """Tags a commit; the tag may be on another, where a snapshot is published again."""
    from huggingface_hub.errors import HfHubHTTPError

    def make() -> None:
        api.create_tag(repo_id, tag=tag, revision=commit, repo_type="dataset")

    try:
        make()
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        api.delete_tag(repo_id, tag=tag, repo_type="dataset")
        make()

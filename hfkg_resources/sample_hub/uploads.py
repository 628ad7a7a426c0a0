"""Repositories that clients upload to the sample Hub: kept in memory, beside the sample world.

Belongs here: the calls that huggingface_hub makes to create a repository, send files, commit and
tag them, and to read them back. Does not: the world's own repositories, which nobody may write to.
Only callers with a valid token may write; Xet storage is not offered, so clients that have it must
switch it off (`HF_HUB_DISABLE_XET=1`) and send large files the LFS way.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from hfkg_resources.sample_hub.answers import HubError, json_response
from hfkg_resources.sample_hub.contents import LARGE, git_oid
from hfkg_resources.sample_hub.repository_files import send_content

OWNER = "sample-user"
"""The account that every valid token is of, as `whoami-v2` says."""

KINDS = ("model", "dataset", "space")
NO_COMMIT = "0" * 40


@dataclass(frozen=True)
class Blob:
    """A file's content, by the id that clients know it by: SHA-256 if large, else git's."""

    content: bytes
    is_large: bool

    @property
    def oid(self) -> str:
        """The id that tells a client whether its file has changed."""
        return hashlib.sha256(self.content).hexdigest() if self.is_large else git_oid(self.content)


@dataclass
class Repository:
    """An uploaded repository: its commits, each a full tree, and the names of some of them."""

    kind: str
    repo_id: str
    private: bool
    trees: dict[str, dict[str, Blob]] = field(default_factory=lambda: {NO_COMMIT: {}})
    branches: dict[str, str] = field(default_factory=lambda: {"main": NO_COMMIT})
    tags: dict[str, str] = field(default_factory=dict)

    def commit_of(self, revision: str) -> str:
        """The commit that a branch, a tag or a commit id names.

        Raises:
            HubError: 404, there is none.
        """
        commit = self.branches.get(revision) or self.tags.get(revision) or revision
        if commit not in self.trees:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def commit(self, branch: str, tree: dict[str, Blob], message: str) -> str:
        """Makes a tree the head of a branch; returns the commit's id."""
        parent = self.branches[branch]
        listing = "".join(f"{path} {blob.oid}\n" for path, blob in sorted(tree.items()))
        commit = hashlib.sha1(f"{parent}\n{message}\n{listing}".encode()).hexdigest()
        self.trees[commit] = tree
        self.branches[branch] = commit
        return commit


class Uploads:
    """All uploaded repositories, and one method per call. Lives in the server's event loop."""

    def __init__(self) -> None:
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._large: dict[str, bytes] = {}
        self._expected: dict[str, tuple[str, int]] = {}

    def reading(self) -> list[BaseRoute]:
        """The calls that read: they go before the world's, and cost nothing while it is alone."""
        repository = "/api/{area}/{repo_id:path}"
        file = "{repo_id:path}/resolve/{revision}/{path:path}"
        return [
            _Uploaded(self, f"{repository}/refs", self.refs),
            _Uploaded(self, f"{repository}/tree/{{revision}}", self.tree),
            _Uploaded(self, f"{repository}/revision/{{revision}}", self.info),
            _Uploaded(self, repository, self.info),
            _Uploaded(self, f"/datasets/{file}", self.resolve, area="datasets"),
            _Uploaded(self, f"/spaces/{file}", self.resolve, area="spaces"),
            _Uploaded(self, f"/{file}", self.resolve, area="models"),
            _Uploaded(self, "/lfs-uploads/{oid}", self.lfs_content),
        ]

    def writing(self) -> list[BaseRoute]:
        """The calls that write: by their methods they are none of the world's, and go last."""
        repository = "/api/{area}/{repo_id:path}"
        tag = f"{repository}/tag/{{name}}"
        return [
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route("/api/validate-yaml", self.validate_yaml, methods=["POST"]),
            Route(f"{repository}/preupload/{{revision}}", self.preupload, methods=["POST"]),
            Route(f"{repository}/commit/{{revision}}", self.commit, methods=["POST"]),
            Route(tag, self.tag, methods=["POST"]),
            Route(tag, self.untag, methods=["DELETE"]),
            Route("/{path:path}.git/info/lfs/objects/batch", self.lfs_batch, methods=["POST"]),
            Route("/lfs-uploads/{ticket}", self.lfs_put, methods=["PUT"]),
            Route("/lfs-uploads/{oid}/verify", self.lfs_verify, methods=["POST"]),
        ]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was uploaded yet."""
        return not self._repositories

    def holds(self, path_params: Mapping[str, str]) -> bool:
        """Whether a path is one of an uploaded repository or object."""
        if "oid" in path_params:
            return path_params["oid"] in self._large
        return self.find(path_params["area"], path_params["repo_id"]) is not None

    def find(self, area: str, repo_id: str) -> Repository | None:
        """The uploaded repository, if there is one."""
        return self._repositories.get((area.removesuffix("s"), repo_id))

    # -- Repositories -----------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        """`POST /api/repos/create`; 409 with the address if it exists."""
        _require_token(request)
        asked = await _json(request)
        kind = asked.get("type") or "model"
        if kind not in KINDS or not asked.get("name"):
            raise HubError(400, "Invalid repository")
        repo_id = f"{asked.get('organization') or OWNER}/{asked['name']}"
        prefix = "" if kind == "model" else f"/{kind}s"
        found = {"url": f"{_base(request)}{prefix}/{repo_id}", "name": repo_id}
        if (kind, repo_id) in self._repositories:
            return json_response({"error": f"You already created this {kind} repo", **found}, 409)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self._repositories[kind, repo_id] = Repository(kind, repo_id, private)
        return json_response(found)

    async def validate_yaml(self, request: Request) -> Response:
        """`POST /api/validate-yaml`: whether a card's front matter can be read."""
        content = str((await _json(request)).get("content", ""))
        _, _, rest = content.partition("---\n")
        front, end, _ = rest.partition("\n---")
        errors: list[dict[str, str]] = []
        try:
            if end and not isinstance(yaml.safe_load(front), dict):
                errors.append({"message": "the metadata is no mapping"})
        except yaml.YAMLError as error:
            errors.append({"message": str(error)})
        warnings = [] if end else [{"message": "empty or missing yaml metadata in repo card"}]
        return json_response({"errors": errors, "warnings": warnings}, 400 if errors else 200)

    async def info(self, request: Request) -> Response:
        """`GET /api/{area}/{id}` and `…/revision/{revision}`."""
        repository = self._readable(request)
        commit = repository.commit_of(request.path_params.get("revision", "main"))
        files = sorted(repository.trees[commit])
        return json_response(
            {
                "_id": hashlib.sha1(repository.repo_id.encode()).hexdigest()[:24],
                "id": repository.repo_id,
                "author": repository.repo_id.partition("/")[0],
                "sha": commit,
                "private": repository.private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "likes": 0,
                "downloads": 0,
                "siblings": [{"rfilename": path} for path in files],
            }
        )

    async def refs(self, request: Request) -> Response:
        """`GET /api/{area}/{id}/refs`."""
        repository = self._readable(request)

        def listed(named: dict[str, str], kind: str) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
                for name, commit in sorted(named.items())
            ]

        branches, tags = listed(repository.branches, "heads"), listed(repository.tags, "tags")
        return json_response({"branches": branches, "tags": tags, "converts": []})

    async def tree(self, request: Request) -> Response:
        """`GET /api/{area}/{id}/tree/{revision}`, always recursive."""
        repository = self._readable(request)
        tree = repository.trees[repository.commit_of(request.path_params["revision"])]
        return json_response([_entry(path, blob) for path, blob in sorted(tree.items())])

    async def resolve(self, request: Request) -> Response:
        """`GET /{id}/resolve/{revision}/{path}`: the file, or 302 to where large ones are."""
        repository = self._readable(request)
        commit = repository.commit_of(request.path_params["revision"])
        blob = repository.trees[commit].get(request.path_params["path"])
        if blob is None:
            raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit})
        if not blob.is_large:
            return send_content(blob.content, commit, blob.oid, request)
        headers = {
            # On one host the client follows by itself, and asks the last answer for the commit.
            "Location": f"{_base(request)}/lfs-uploads/{blob.oid}?commit={commit}",
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(len(blob.content)),
            "X-Linked-ETag": f'"{blob.oid}"',
        }
        return Response(status_code=302, headers=headers)

    # -- Writing ----------------------------------------------------------------------------------

    async def preupload(self, request: Request) -> Response:
        """`POST …/preupload/{revision}`: how each file is to be sent, and what is there of it."""
        repository = self._writable(request)
        tree = repository.trees[repository.commit_of(request.path_params["revision"])]
        files = []
        for file in (await _json(request))["files"]:
            there = tree.get(file["path"])
            files.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": there.oid if there else None,
                }
            )
        return json_response({"files": files})

    async def lfs_batch(self, request: Request) -> Response:
        """`POST /{…}.git/info/lfs/objects/batch`: an address for each object not yet stored."""
        _require_token(request)
        area, _, repo_id = request.path_params["path"].partition("/")
        if area not in ("datasets", "spaces"):
            area, repo_id = "models", request.path_params["path"]
        if self.find(area, repo_id) is None:
            raise HubError(404, "Repository not found", "RepoNotFound")
        objects = [self._offer(request, wanted) for wanted in (await _json(request))["objects"]]
        return json_response({"transfer": "basic", "objects": objects})

    def _offer(self, request: Request, wanted: dict[str, Any]) -> dict[str, Any]:
        oid, size = wanted["oid"], wanted["size"]
        if oid in self._large:
            return {"oid": oid, "size": size}
        ticket = secrets.token_hex(16)  # who has the address may write: the bytes must fit the oid
        self._expected[ticket] = oid, size
        at = f"{_base(request)}/lfs-uploads"
        actions = {
            "upload": {"href": f"{at}/{ticket}"},
            "verify": {"href": f"{at}/{oid}/verify"},
        }
        return {"oid": oid, "size": size, "actions": actions}

    async def lfs_put(self, request: Request) -> Response:
        """`PUT` of an object's bytes at the address that the batch call gave."""
        expected = self._expected.get(request.path_params["ticket"])
        if expected is None:
            raise HubError(403, "No such upload")
        content = await request.body()
        if (hashlib.sha256(content).hexdigest(), len(content)) != expected:
            raise HubError(400, "The bytes are not those that were announced")
        self._large[expected[0]] = content
        del self._expected[request.path_params["ticket"]]
        return Response(headers={"ETag": f'"{expected[0]}"'})

    async def lfs_verify(self, request: Request) -> Response:
        """`POST` after an upload: whether the object is there."""
        _require_token(request)
        content = self._large.get(request.path_params["oid"])
        if content is None or len(content) != (await _json(request))["size"]:
            raise HubError(404, "Object not found")
        return json_response({})

    async def lfs_content(self, request: Request) -> Response:
        """Where the 302 of a large file leads."""
        oid = request.path_params["oid"]
        commit = request.query_params.get("commit", NO_COMMIT)
        return send_content(self._large[oid], commit, oid, request, is_large=True)

    async def commit(self, request: Request) -> Response:
        """`POST …/commit/{revision}`: JSON lines, a header and then one operation a line."""
        repository, branch = self._writable(request), request.path_params["revision"]
        if branch not in repository.branches:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = repository.branches[branch]
        tree, message = dict(repository.trees[head]), ""
        for line in (await request.body()).splitlines():
            operation = orjson.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit", head) != head:
                    raise HubError(412, "The branch has moved since")
            else:
                self._apply(tree, key, value)
        commit = repository.commit(branch, tree, message)
        url = f"{_base(request)}/{request.path_params['area']}/{repository.repo_id}/commit/{commit}"
        return json_response({"success": True, "commitOid": commit, "commitUrl": url})

    def _apply(self, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
        path = value["path"]
        if key == "file":
            tree[path] = Blob(base64.b64decode(value["content"]), is_large=False)
        elif key == "lfsFile":
            if value["oid"] not in self._large:
                raise HubError(400, f"No object {value['oid']} was uploaded for {path}")
            tree[path] = Blob(self._large[value["oid"]], is_large=True)
        elif key == "deletedFile":
            tree.pop(path, None)
        elif key == "deletedFolder":
            for inside in [name for name in tree if name.startswith(path.rstrip("/") + "/")]:
                del tree[inside]
        else:
            raise HubError(400, f"Unknown operation {key}")

    async def tag(self, request: Request) -> Response:
        """`POST …/tag/{revision}`; 409 if the name is taken."""
        repository = self._writable(request)
        name = (await _json(request))["tag"]
        if name in repository.tags:
            raise HubError(409, f"Tag {name} already exists")
        repository.tags[name] = repository.commit_of(request.path_params["name"])
        return json_response({})

    async def untag(self, request: Request) -> Response:
        """`DELETE …/tag/{name}`."""
        if self._writable(request).tags.pop(request.path_params["name"], None) is None:
            raise HubError(404, "Tag not found", "RevisionNotFound")
        return json_response({})

    # -- Access -----------------------------------------------------------------------------------

    def _writable(self, request: Request) -> Repository:
        _require_token(request)
        repository = self.find(request.path_params["area"], request.path_params["repo_id"])
        if repository is None:
            raise HubError(404, "Repository not found", "RepoNotFound")
        return repository

    def _readable(self, request: Request) -> Repository:
        repository = self.find(request.path_params["area"], request.path_params["repo_id"])
        if repository is None or (repository.private and not request.scope["hub.has_token"]):
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        return repository


class _Uploaded(Route):
    """A route that matches only where the path names something uploaded."""

    def __init__(self, uploads: Uploads, path: str, endpoint: Any, **fixed: str) -> None:
        super().__init__(path, endpoint)
        self._uploads = uploads
        self._fixed = fixed

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._uploads.is_empty:
            return Match.NONE, {}
        match, child = super().matches(scope)
        if match is Match.NONE:
            return match, child
        path_params = child["path_params"] | self._fixed
        if not self._uploads.holds(path_params):
            return Match.NONE, {}
        return match, {**child, "path_params": path_params}


def _require_token(request: Request) -> None:
    if not request.scope["hub.has_token"]:
        raise HubError(401, "Invalid username or password.")


async def _json(request: Request) -> dict[str, Any]:
    try:
        return dict(orjson.loads(await request.body()))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise HubError(400, "The body is no JSON object") from None


def _base(request: Request) -> str:
    """The address below which the caller sees the Hub, date prefix included."""
    return f"{request.url.scheme}://{request.url.netloc}{quote(request.scope['root_path'])}"


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    size = len(blob.content)
    entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": blob.oid}
    if blob.is_large:
        entry["lfs"] = {"oid": blob.oid, "size": size, "pointerSize": 134}
    return entry

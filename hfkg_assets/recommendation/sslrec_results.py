"""What a model that SSLRec has trained gives, as a recommender on the same split.

SSLRec saves the state of a model (`./checkpoint/<model>/<model>-<data>-<time>.pth`); what its
models name `user_embeds` and `item_embeds` are the embeddings before any propagation. Final ones
are best saved as arrays. Belongs here: reading either. Does not: how it is judged (`metrics`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hfkg_assets.recommendation.data import Likes
from hfkg_assets.recommendation.metrics import Score

USERS, ITEMS = "users.npy", "items.npy"
KEYS = ("user_embeds", "item_embeds")


class UnusableResult(Exception):
    """A result of SSLRec that cannot be scored; the message says why."""


def sslrec_score(path: str | Path, likes: Likes, layers: int = 0) -> Score:
    """The recommender that a result of SSLRec is.

    Args:
        path: a folder with `users.npy` and `items.npy`, float [n, width], or a checkpoint (`.pth`,
            `.pt`), of which only tensors are read.
        likes: the split that it was trained on.
        layers: steps by which the embeddings are still to be propagated over the likes of training
            and summed, as SSLRec's LightGCN does: the `layer_num` of its configuration for a
            checkpoint of it, 0 for final embeddings.

    Raises:
        UnusableResult: it is not there, holds no such embeddings, or of other users or items.
    """
    users, items = _embeddings(Path(path))
    shapes = (users.shape[0], items.shape[0])
    if shapes != (likes.users, likes.items) or users.shape[1:] != items.shape[1:]:
        raise UnusableResult(
            f"{path} has embeddings {users.shape} and {items.shape}, but this split has "
            f"{likes.users} users and {likes.items} items: train it on this date's export/sslrec"
        )
    if not (np.isfinite(users).all() and np.isfinite(items).all()):
        raise UnusableResult(f"{path} holds values that are no numbers")
    if layers:
        from hfkg_assets.recommendation.lightgcn import adjacency

        graph = adjacency(likes.train)
        total = step = np.concatenate([users, items])
        for _ in range(layers):
            step = graph @ step
            total = total + step
        users, items = total[: likes.users], total[likes.users :]
    return lambda chosen: users[chosen] @ items.T


def _embeddings(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if path.is_dir():
        files = [path / name for name in (USERS, ITEMS)]
        if missing := [file.name for file in files if not file.is_file()]:
            raise UnusableResult(f"{path} has no {' and no '.join(missing)}")
        found = [np.load(file, allow_pickle=False) for file in files]
    elif path.is_file():
        import torch

        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch names no class for what it refuses to open
            raise UnusableResult(f"{path} is no state of a model: {error}") from error
        if missing := [key for key in KEYS if key not in state]:
            raise UnusableResult(
                f"{path} has no {' and no '.join(missing)}: save the final embeddings as "
                f"{USERS} and {ITEMS}; it has {', '.join(map(str, state)) or 'nothing'}"
            )
        found = [state[key].numpy() for key in KEYS]
    else:
        raise UnusableResult(f"{path} is not there")
    if any(array.ndim != 2 for array in found):
        raise UnusableResult(f"{path}: embeddings have two dimensions")
    return found[0].astype(np.float32), found[1].astype(np.float32)

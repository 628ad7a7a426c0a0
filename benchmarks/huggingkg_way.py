"""From raw records to a verified graph as HuggingKG builds it: plain Python over JSON files.

Lists of dicts, sets and loops, everything in memory, every stage saved and everything saved again
after verification, in indented JSON. Written anew from the description of what that system does;
what it fetches is given here as raw records, one JSON object a line. Unlike it this version knows
no sample caps and does not fail on repositories without a namespace.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
LINEAGE = ("adapter", "finetune", "merge", "quantized")


class Graph:
    """Entities and relations in memory, and the folder that they are saved in.

    Args:
        raw: folder of the raw records.
        out: folder of the result.
    """

    def __init__(self, raw: Path, out: Path) -> None:
        self.raw, self.out = raw, out
        self.entities: dict[str, list[Record]] = {}
        self.relations: dict[str, list[Record]] = {}

    def read(self, name: str) -> Iterator[Record]:
        """Raw records of a kind."""
        with (self.raw / f"{name}.jsonl").open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def relate(self, name: str, **ends: str) -> None:
        """Adds an edge."""
        self.relations.setdefault(name, []).append(ends)

    def save(self, *names: str) -> None:
        """Saves entities and relations of these names."""
        for name in names:
            records = self.entities.get(name, self.relations.get(name, []))
            with (self.out / f"{name}.json").open("w", encoding="utf-8") as file:
                json.dump(records, file, indent=4)


def build(raw: Path, out: Path) -> Graph:
    """All stages."""
    graph = Graph(raw, out)
    labels, types = _tasks(graph)
    _models(graph, labels, types)
    _datasets(graph, types)
    _spaces(graph)
    _likes(graph)
    _collections(graph)
    _papers(graph)
    _people(graph)
    _verify(graph)
    graph.save(*graph.entities, *graph.relations)
    return graph


def _tasks(graph: Graph) -> tuple[dict[str, str], dict[str, str]]:
    tasks = {task["id"]: task["label"] for task in graph.read("tasks")}
    labels, types = {}, {}
    for tag in graph.read("tags"):
        types[tag["id"]], labels[tag["id"]] = tag["type"], tag["label"]
        if tag["type"] in ("pipeline_tag", "task_categories"):
            tasks.setdefault(tag["id"].split(":")[-1], tag["label"])
    graph.entities["tasks"] = [{"id": i, "label": label} for i, label in tasks.items()]
    graph.save("tasks")
    return labels, types


def _models(graph: Graph, labels: dict[str, str], types: dict[str, str]) -> None:
    models = graph.entities.setdefault("models", [])
    for raw in graph.read("models"):
        own = raw["id"]
        model: Record = {
            "id": own, "name": own.split("/")[-1], "createdAt": raw["createdAt"],
            "lastModified": raw["lastModified"], "downloads": raw["downloads"],
            "likes": raw["likes"], "region": None, "other": [], "libraries": [], "license": None,
            "languages": [], "pipeline_tag": [], "description": None,
        }  # fmt: skip
        if task := raw["pipeline_tag"]:
            graph.relate("model_definedFor_task", model_id=own, task_id=task)
            model["pipeline_tag"].append(labels.get(task, task))
        for tag in raw["tags"]:
            if tag.startswith("dataset:"):
                name = tag.split(":")[1]
                graph.relate("model_trainedOrFineTunedOn_dataset", model_id=own, dataset_id=name)
            elif tag.startswith("arxiv:"):
                graph.relate("model_cite_paper", model_id=own, arxiv_id=tag.split(":")[1])
            elif tag.startswith("base_model:"):
                parts = tag.split(":")
                if len(parts) == 3 and parts[1] in LINEAGE:
                    name = f"model_{parts[1]}_model"
                    graph.relate(name, base_model_id=parts[2], model_id=own)
            else:
                kind, label = types.get(tag, "other"), labels.get(tag, tag)
                if kind in ("region", "license"):
                    model[kind] = label
                elif kind == "library":
                    model["libraries"].append(label)
                elif kind == "language":
                    model["languages"].append(label)
                elif kind == "pipeline_tag":
                    if tag != raw["pipeline_tag"]:
                        graph.relate("model_definedFor_task", model_id=own, task_id=tag)
                        model["pipeline_tag"].append(label)
                else:
                    model["other"].append(label)
        models.append(model)
        _published(graph, "model", raw)
    graph.save(
        "models", "model_definedFor_task", "model_trainedOrFineTunedOn_dataset",
        "model_cite_paper", *(f"model_{kind}_model" for kind in LINEAGE),
    )  # fmt: skip


def _published(graph: Graph, kind: str, raw: Record) -> None:
    """Remembers whose a repository is: of what kind the name is, is known later."""
    if "/" in raw["id"]:
        owner = raw["id"].split("/")[0]
        graph.relate(f"publish_{kind}", user_id=owner, **{f"{kind}_id": raw["id"]})


DATASET_TAGS = {
    "task_categories": "tasks", "task_ids": "sub-tasks", "library": "libraries",
    "language": "languages", "format": "formats", "modality": "modalities",
}  # fmt: skip


def _datasets(graph: Graph, types: dict[str, str]) -> None:
    datasets = graph.entities.setdefault("datasets", [])
    for raw in graph.read("datasets"):
        own = raw["id"]
        dataset: Record = {
            "id": own, "name": own.split("/")[-1], "createdAt": raw["createdAt"],
            "lastModified": raw["lastModified"], "downloads": raw["downloads"],
            "likes": raw["likes"], "libraries": [], "license": None, "languages": [], "other": [],
            "sub-tasks": [], "tasks": [], "size": None, "formats": [], "modalities": [],
            "tags": [], "description": None,
        }  # fmt: skip
        for tag in raw["tags"]:
            prefix, _, rest = tag.partition(":")
            if prefix == "arxiv":
                graph.relate("dataset_cite_paper", dataset_id=own, arxiv_id=rest)
            elif prefix in DATASET_TAGS:
                dataset[DATASET_TAGS[prefix]].append(rest)
                if prefix == "task_categories":
                    graph.relate("dataset_definedFor_task", dataset_id=own, task_id=rest)
            elif prefix == "license":
                dataset["license"] = rest
            elif prefix == "size_categories":
                dataset["size"] = rest
            else:
                dataset["other" if tag in types else "tags"].append(tag)
        datasets.append(dataset)
        _published(graph, "dataset", raw)
    graph.save("datasets", "dataset_cite_paper", "dataset_definedFor_task")


def _spaces(graph: Graph) -> None:
    spaces = graph.entities.setdefault("spaces", [])
    for raw in graph.read("spaces"):
        own = raw["id"]
        spaces.append(
            {
                "id": own, "name": own.split("/")[-1], "createdAt": None, "lastModified": None,
                "likes": raw["likes"], "tags": raw["tags"],
            }
        )  # fmt: skip
        for model in raw["models"] or ():
            graph.relate("space_use_model", space_id=own, model_id=model)
        for dataset in raw["datasets"] or ():
            graph.relate("space_use_dataset", space_id=own, dataset_id=dataset)
        _published(graph, "space", raw)
    graph.save("spaces", "space_use_model", "space_use_dataset")


def _likes(graph: Graph) -> None:
    names = {kind: f"user_like_{kind}" for kind in ("model", "dataset", "space")}
    for raw in graph.read("likers"):
        kind = raw["repo_kind"]
        graph.relate(names[kind], user_id=raw["user"], **{f"{kind}_id": raw["repo_id"]})
    graph.save(*names.values())


def _collections(graph: Graph) -> None:
    collections = graph.entities.setdefault("collections", [])
    for raw in graph.read("collections"):
        slug = raw["slug"]
        collections.append({key: raw[key] for key in ("slug", "title", "upvotes", "description")})
        owner = f"{raw['owner_type']}_own_collection"
        graph.relate(
            owner, **{f"{raw['owner_type']}_id": raw["owner_name"], "collection_slug": slug}
        )
        for item in raw["items"]:
            kind = item["type"]
            if kind in ("model", "dataset", "space", "paper"):
                graph.relate(
                    f"collection_contain_{kind}",
                    **{"collection_slug": slug, f"{kind}_id": item["id"]},
                )
    graph.save(
        "collections", "user_own_collection", "org_own_collection",
        *(f"collection_contain_{kind}" for kind in ("model", "dataset", "space", "paper")),
    )  # fmt: skip


def _papers(graph: Graph) -> None:
    papers = graph.entities.setdefault("papers", [])
    for raw in graph.read("papers"):
        authors = raw["authors"] or []
        papers.append(
            {
                "id": raw["id"], "authors": [author["name"] for author in authors],
                "publishedAt": raw["publishedAt"], "title": raw["title"],
                "summary": raw["summary"], "upvotes": raw["upvotes"],
            }
        )  # fmt: skip
        for author in authors:
            if author["user"]:
                graph.relate("user_publish_paper", user_id=author["user"], paper_id=raw["id"])
    graph.save("papers", "user_publish_paper")


def _people(graph: Graph) -> None:
    kinds, users, orgs = {}, [], []
    for raw in graph.read("accounts"):
        kinds[raw["name"]] = raw["kind"]
        (orgs if raw["kind"] == "org" else users).append(
            {"id": raw["name"], "fullname": raw["fullname"]}
        )
    # What HuggingKG leaves out: who is met only as a follower or member is a user too.
    for name in ("followers", "members"):
        for raw in graph.read(name):
            if raw["user"] not in kinds:
                kinds[raw["user"]] = "user"
                users.append({"id": raw["user"], "fullname": raw["fullname"]})
    graph.entities["users"], graph.entities["orgs"] = users, orgs
    for raw in graph.read("followers"):
        if raw["kind"] == "org":
            graph.relate("user_follow_org", user_id=raw["user"], org_id=raw["name"])
        else:
            graph.relate("user_follow_user", follower_id=raw["user"], followee_id=raw["name"])
    for raw in graph.read("members"):
        graph.relate("user_affiliatedWith_org", user_id=raw["user"], org_id=raw["org"])
    for kind in ("model", "dataset", "space"):
        for edge in graph.relations.pop(f"publish_{kind}", []):
            owner, own = edge["user_id"], edge[f"{kind}_id"]
            if kinds.get(owner) == "org":
                graph.relate(f"org_publish_{kind}", org_id=owner, **{f"{kind}_id": own})
            elif kinds.get(owner) == "user":
                graph.relate(f"user_publish_{kind}", user_id=owner, **{f"{kind}_id": own})
    graph.save(
        "users", "orgs", "user_follow_user", "user_follow_org", "user_affiliatedWith_org",
        *(f"{who}_publish_{k}" for who in ("user", "org") for k in ("model", "dataset", "space")),
    )  # fmt: skip


ENDS = {
    "model_id": "models", "base_model_id": "models", "dataset_id": "datasets",
    "space_id": "spaces", "paper_id": "papers", "arxiv_id": "papers",
    "collection_slug": "collections", "task_id": "tasks", "user_id": "users",
    "follower_id": "users", "followee_id": "users", "org_id": "orgs",
}  # fmt: skip
"""Key of an edge → the file of the entities that it must be in."""


def _verify(graph: Graph) -> None:
    """Keeps the edges whose ends are both there."""
    ids = {}
    for name in graph.entities:
        with (graph.out / f"{name}.json").open(encoding="utf-8") as file:
            key = "slug" if name == "collections" else "id"
            ids[name] = {record[key] for record in json.load(file)}
    for name, edges in graph.relations.items():
        graph.relations[name] = [
            edge for edge in edges if all(edge[key] in ids[ENDS[key]] for key in edge)
        ]


def main() -> None:
    """Builds the graph of a folder of raw records; prints its size and seconds as JSON."""
    raw, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    graph = build(raw, out)
    seconds = time.monotonic() - started
    counts = {name: len(edges) for name, edges in graph.relations.items()}
    nodes = sum(map(len, graph.entities.values()))
    print(json.dumps({"seconds": seconds, "nodes": nodes, "relations": counts}))


if __name__ == "__main__":
    main()

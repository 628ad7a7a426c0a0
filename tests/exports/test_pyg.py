"""`export/pyg` as PyTorch Geometric reads it."""

import json
import subprocess
import sys

import polars as pl
import pytest
import torch

from hfkg_assets.exports import pyg
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.warehouse import Warehouse

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(exports):
    return exports.make("pyg")


@pytest.fixture(scope="module")
def graph(folder):
    return torch.load(folder / "graph.pt", weights_only=True)


def test_a_fresh_process_loads_it_with_weights_only_and_makes_a_hetero_data_of_it(folder, snapshot):
    code = (
        "import sys, torch\n"
        "graph = torch.load(sys.argv[1], weights_only=True)\n"
        "assert 'torch_geometric' not in sys.modules\n"
        "from torch_geometric.data import HeteroData\n"
        "data = HeteroData.from_dict(graph)\n"
        "assert data.validate()\n"
        "print(len(data.node_types), len(data.edge_types), data.num_nodes, data.num_edges)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(folder / "graph.pt")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [snapshot.scan(f"graph/{t}").select(pl.len()).collect().item() for t in ("node", "edge")]
    assert list(map(int, printed.stdout.split())) == [len(ENTITIES), len(RELATIONS), *rows]


def test_the_edges_are_those_of_the_graph(graph, folder, snapshot):
    """Back from the numbers within a type to the names of the Hub, and beside `graph/edge`."""
    ids = {name: pl.read_parquet(folder / "ids" / f"{name}.parquet") for name in ENTITIES}
    exported = pl.concat(
        pl.DataFrame(
            {
                "source": ids[relation.subject]["id"].gather(index[0].numpy()),
                "target": ids[relation.object]["id"].gather(index[1].numpy()),
            }
        ).with_columns(relation=pl.lit(relation.name))
        for relation in RELATIONS.values()
        for index in [graph[pyg.edge_type(relation)]["edge_index"]]
    )
    name = snapshot.scan("graph/node").select("node_id", "id").collect()
    edge = snapshot.scan("graph/edge").select("source", "target", "relation").collect()
    stored = (
        edge.join(name.rename({"id": "subject"}), left_on="source", right_on="node_id")
        .join(name.rename({"id": "object"}), left_on="target", right_on="node_id")
        .select(source="subject", target="object", relation="relation")
    )
    assert exported.sort(pl.all()).equals(stored.sort(pl.all()))


def test_every_node_has_its_id_in_the_graph_and_its_times(graph, snapshot):
    node = snapshot.scan("graph/node").collect()
    for name in ENTITIES:
        stored, rows = graph[name], node.filter(type=name)
        assert stored["num_nodes"] == rows.height
        assert stored["node_id"].tolist() == rows["node_id"].to_list()
        times = rows["created_at"].dt.epoch("ms").fill_null(-1)
        assert stored["created_at"].tolist() == times.to_list()
    assert (graph["model"]["created_at"] > 0).all()
    assert (graph["task"]["created_at"] == -1).all()


def test_attributes_are_tensors_as_long_as_the_edges(graph, folder, snapshot):
    schema = json.loads((folder / "schema.json").read_text())
    for relation in RELATIONS.values():
        store = graph[pyg.edge_type(relation)]
        n = store["edge_index"].shape[1]
        assert set(store) == {"edge_index", *schema["edges"][relation.name]["attributes"]}
        assert all(tensor.shape[-1] == n for tensor in store.values())
    edge = snapshot.scan("graph/edge")
    status = edge.filter(relation="user_publish_paper").select("status").collect()["status"]
    codes = graph["user", "user_publish_paper", "paper"]["status"].tolist()
    assert [schema["codes"]["status"].get(value, -1) for value in status] == codes
    cites = edge.filter(relation="model_cite_paper").select("is_boilerplate").collect()
    told = graph["model", "model_cite_paper", "paper"]["is_boilerplate"]
    assert told.dtype == torch.bool
    assert told.tolist() == cites["is_boilerplate"].to_list()
    placed = edge.filter(relation="collection_contain_model").select("position").collect()
    told = graph["collection", "collection_contain_model", "model"]["position"]
    assert told.tolist() == placed["position"].to_list()


def test_features_stand_at_their_nodes_and_are_zero_elsewhere(snapshot, tmp_path, monkeypatch):
    """Hand-made features of some models and datasets, in batches of two rows."""
    monkeypatch.setattr(pyg, "FEATURE_ROWS", 2)
    nodes = snapshot.scan("graph/node").filter(pl.col("type").is_in(["model", "dataset"])).collect()
    chosen = nodes.filter(pl.int_range(pl.len()) % 3 == 0)
    vectors = pl.Series("features", torch.rand(chosen.height, 5).numpy(), pl.Array(pl.Float32, 5))
    table = chosen.select(kind="type", id="id").with_columns(vectors)
    warehouse = Warehouse(root=str(tmp_path))
    warehouse.write(pyg.FEATURES, snapshot.day, table)
    warehouse.write("graph/node", snapshot.day, snapshot.scan("graph/node"))
    made = pyg.feature_tensors(pyg.Snapshot(warehouse, snapshot.day))
    assert set(made) == {"model", "dataset"}
    for kind, tensors in made.items():
        expected = nodes.filter(type=kind).join(
            table.filter(kind=kind), on="id", how="left", maintain_order="left"
        )
        has = expected["features"].is_not_null()
        assert tensors["has_x"].tolist() == has.to_list()
        rows = torch.tensor(expected.filter(has)["features"].to_numpy())
        assert torch.equal(tensors["x"][tensors["has_x"]], rows)
        assert not tensors["x"][~tensors["has_x"]].any()


def test_a_graph_that_is_not_numbered_by_type_is_refused(tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    mixed = pl.DataFrame({"node_id": [0, 1, 2], "type": ["task", "model", "task"]})
    warehouse.write("graph/node", "2026-01-01", mixed)
    with pytest.raises(ValueError, match="not numbered type by type"):
        pyg.first_nodes(pyg.Snapshot(warehouse, "2026-01-01"))

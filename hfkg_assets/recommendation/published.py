"""HuggingBench's published figures of recommendation, and why they are only beside ours."""

import polars as pl

from hfkg_assets.recommendation.metrics import METRICS

HUGGINGBENCH = "HuggingBench, arXiv 2505.17507"
NOTE = (
    "no: likes of the Hub of December 2024, another split and other users and items; SSLRec's "
    "models with 64 dimensions, tuned"
)

_ROWS = (
    # model, Recall at 5, 10, 20, 40, NDCG at 5, 10, 20, 40
    ("LightGCN", 0.0856, 0.1301, 0.1932, 0.2759, 0.0868, 0.1003, 0.1192, 0.1413),
    ("HCCF", 0.0834, 0.1254, 0.1820, 0.2504, 0.0847, 0.0975, 0.1143, 0.1328),
    ("SimGCL", 0.0999, 0.1515, 0.2186, 0.3010, 0.0998, 0.1158, 0.1358, 0.1581),
    ("LightGCL", 0.1033, 0.1558, 0.2228, 0.3017, 0.1035, 0.1198, 0.1398, 0.1611),
    ("AutoCF", 0.1003, 0.1530, 0.2190, 0.3039, 0.1012, 0.1174, 0.1371, 0.1598),
    ("DCCF", 0.0985, 0.1493, 0.2167, 0.3003, 0.0983, 0.1142, 0.1343, 0.1567),
    ("MHCN (social)", 0.0979, 0.1490, 0.2162, 0.3007, 0.0998, 0.1154, 0.1353, 0.1579),
    ("DSL (social)", 0.0932, 0.1425, 0.2123, 0.2986, 0.0948, 0.1099, 0.1307, 0.1538),
    ("KGIN-2hop", 0.0002, 0.0004, 0.0008, 0.0016, 0.0003, 0.0004, 0.0005, 0.0007),
    ("KGCL-2hop", 0.1007, 0.1510, 0.2165, 0.2959, 0.1016, 0.1170, 0.1364, 0.1579),
    ("KGRec-2hop", 0.0597, 0.0941, 0.1423, 0.2122, 0.0625, 0.0729, 0.0872, 0.1057),
    ("KGIN-1hop", 0.0001, 0.0004, 0.0010, 0.0017, 0.0002, 0.0003, 0.0005, 0.0007),
    ("KGCL-1hop", 0.0993, 0.1490, 0.2135, 0.2918, 0.1009, 0.1160, 0.1351, 0.1563),
    ("KGRec-1hop", 0.0558, 0.0897, 0.1395, 0.2076, 0.0575, 0.0681, 0.0832, 0.1014),
    ("KGIN-homo", 0.0061, 0.0096, 0.0146, 0.0219, 0.0065, 0.0076, 0.0091, 0.0111),
    ("KGCL-homo", 0.1054, 0.1578, 0.2237, 0.3059, 0.1058, 0.1220, 0.1416, 0.1637),
    ("KGRec-homo", 0.0628, 0.0985, 0.1476, 0.2106, 0.0638, 0.0751, 0.0898, 0.1067),
    ("KGIN-publish", 0.0002, 0.0003, 0.0007, 0.0016, 0.0002, 0.0003, 0.0004, 0.0007),
    ("KGCL-publish", 0.1036, 0.1543, 0.2205, 0.3011, 0.1038, 0.1195, 0.1392, 0.1609),
    ("KGRec-publish", 0.0609, 0.0941, 0.1385, 0.2002, 0.0636, 0.0734, 0.0863, 0.1027),
)


def published_figures() -> pl.DataFrame:
    """The published rows in the leaderboard's columns, the best first."""
    return (
        pl.DataFrame(_ROWS, schema=["model", *METRICS], orient="row")
        .with_columns(
            protocol=pl.lit("random"),
            split=pl.lit("test"),
            role=pl.lit("published"),
            source=pl.lit(HUGGINGBENCH),
            comparable=pl.lit(NOTE),
        )
        .sort("ndcg_20", descending=True)
    )

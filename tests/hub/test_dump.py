"""The `dump` source: HuggingKG's files become raw tables from which the same graph comes out."""

import pytest

from hfkg_assets import vocabulary as v
from tests.hub.huggingkg_dumps import DAY, NAME, Imported, whole_dump, write_dump, zipped


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    return Imported(write_dump(folder / NAME, whole_dump()), folder / "store")


@pytest.mark.parametrize("relation", v.RELATIONS)
def test_every_relation_comes_out_as_its_file_has_it_and_nothing_is_rejected(imported, relation):
    told = [tuple(record.values()) for record in whole_dump()[relation]]
    assert told
    assert imported.pairs(relation) == sorted(told)
    assert imported.judged(relation)["reason"].null_count() == len(told)


def test_x(imported):
    for n in ("tasks","tags","models","datasets","spaces","collections","papers","accounts","model_cards"):
        print(imported.hub(n))
    for e in v.ENTITIES: print(imported.entity(e))

"""The planted cases of the sample world: what every real Hub has and every crawler must survive.

Belongs here: repositories, accounts, collections, papers and their edges that are written by hand,
one row each, present at any size on every day from 15 December 2024 on. Does not: the crowd around
them (`population`). Fields that a row leaves out take the defaults of `population`.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

OLDEST = "2022-03-02T23:29:04"
"""The date the Hub gives whatever is older than its records."""

BOILERPLATE_PAPER = "1910.09700"
"""The paper that the default model card cites."""

ACCOUNTS: list[Row] = [
    {"name": "ada-finch", "fullname": "Ada Finch", "created": OLDEST, "is_pro": True},
    {"name": "BoLindqvist", "fullname": "Bo Lindqvist", "created": "2022-05-11T08:00:00"},
    {"name": "chidi_okoro", "fullname": "Chidi Okoro", "created": "2022-09-01T10:30:00"},
    {"name": "mei-ling-zhou", "fullname": "周美玲 🐼", "created": "2023-01-20T03:15:00"},
    {"name": "lecki", "fullname": 'Żółć "Ł" Łęcki, Ph.D.; 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🦊',
     "created": "2023-03-03T12:00:00"},
    {"name": "kitsune-ml", "first_name": "kitsune-old", "renamed_at": "2024-05-06T07:08:09",
     "fullname": "Kitsune", "created": "2022-11-11T11:11:11"},
    # Known from one paper only: publishes, likes, follows nothing.
    {"name": "prof-eluned-pryce", "fullname": "Eluned Pryce", "created": "2023-06-01T09:00:00"},
    {"name": "rhodri88", "fullname": "Rhodri Maddox", "created": "2023-06-02T09:00:00"},
    # Renamed between two snapshots, when what this account likes stays as it was.
    {"name": "wanda-rook", "first_name": "wanda-k", "renamed_at": "2026-08-15T10:00:00",
     "fullname": "Wanda Rook", "created": "2024-05-05T05:05:05"},
    {"name": "open-models", "kind": "org", "fullname": "Open Models", "created": OLDEST},
    {"name": "Tarn-Research", "kind": "org", "fullname": "Tarn Research", "plan": "enterprise",
     "created": "2022-06-01T00:00:00", "details": "Open weights from the fells"},
    {"name": "quiet-org", "kind": "org", "fullname": "Quiet Org", "members_hidden": True,
     "created": "2022-08-01T00:00:00"},
]  # fmt: skip

MODELS: list[Row] = [
    # Short ids from before namespaces: the first two have moved, the others never did.
    {"names": ["gpt-tiny", "open-models/gpt-tiny"], "renamed": ["2024-02-19T10:00:00"],
     "created": OLDEST, "topic": "text-generation", "library": "transformers", "popularity": 9e5},
    {"names": ["bert-mini", "open-models/bert-mini"], "renamed": ["2024-02-19T10:05:00"],
     "created": OLDEST, "topic": "fill-mask", "library": "transformers", "popularity": 2e6,
     "extra_tasks": ["feature-extraction"]},
    {"names": ["relic-lm"], "created": OLDEST, "topic": "text-generation"},
    {"names": ["old-tagger"], "created": OLDEST, "topic": "token-classification"},
    # Renamed; a chain of two renames; renamed together with its owner.
    {"names": ["Tarn-Research/tarn-7b-preview", "Tarn-Research/tarn-7b"],
     "renamed": ["2024-06-14T09:30:00"], "created": "2023-04-18T12:00:00",
     "topic": "text-generation", "library": "transformers", "license": "other",
     "papers": ["2401.00001v2"], "popularity": 4e5},
    {"names": ["ada-finch/wren", "ada-finch/wren-small", "Tarn-Research/wren-small"],
     "renamed": ["2023-11-02T10:00:00", "2024-08-21T16:45:00"], "created": "2023-05-05T05:05:05",
     "topic": "summarization", "library": "transformers", "papers": ["2311.04321"]},
    {"names": ["kitsune-old/fox-voice", "kitsune-ml/fox-voice"], "renamed": ["2024-05-06T07:08:09"],
     "created": "2023-02-14T14:00:00", "topic": "text-to-speech", "language": "ja"},
    # References to old, short, wrongly spelled and missing ids.
    {"names": ["chidi_okoro/gpt-tiny-poems-lora"], "created": "2023-07-01T10:00:00",
     "topic": "text-generation", "library": "peft", "relation": "adapter", "bases": ["gpt-tiny"],
     "datasets": ["tiny-squad", "open-models/poems"], "papers": [BOILERPLATE_PAPER],
     "layout": "template"},
    {"names": ["ada-finch/tarn-7b-legal"], "created": "2023-12-24T18:00:00",
     "topic": "text-generation", "library": "transformers", "relation": "finetune",
     "bases": ["Tarn-Research/tarn-7b-preview"], "datasets": ["vanished-lab/ghost-corpus"],
     "papers": [BOILERPLATE_PAPER], "layout": "template"},
    {"names": ["mei-ling-zhou/tarn-7b-GGUF"], "created": "2024-07-02T01:02:03",
     "topic": "text-generation", "relation": "quantized", "bases": ["tarn-research/TARN-7B"],
     "layout": "copy", "library": None},
    {"names": ["open-models/bert-mini-int8"], "created": "2023-11-11T11:11:11",
     "topic": "fill-mask", "library": "transformers", "relation": "quantized",
     "bases": ["open-models/bert-mini"], "papers": [BOILERPLATE_PAPER], "layout": "template"},
    {"names": ["Tarn-Research/tarn-wren-merge"], "created": "2024-09-09T09:09:09",
     "topic": "text-generation", "library": "transformers", "relation": "merge",
     "bases": ["Tarn-Research/tarn-7b", "ada-finch/wren", "open-models/gpt-tiny"]},
    {"names": ["BoLindqvist/ouroboros"], "created": "2023-08-08T08:08:08",
     "topic": "text-generation", "relation": "finetune", "bases": ["BoLindqvist/ouroboros"]},
    {"names": ["BoLindqvist/ghost-13b-lora"], "created": "2023-09-10T11:12:13",
     "topic": "text-generation", "library": "peft", "relation": "adapter",
     "bases": ["vanished-lab/ghost-13b"], "papers": ["2312.98765", "hep-th/9901001"]},
    {"names": ["chidi_okoro/untyped-finetune"], "created": "2023-10-10T10:10:10",
     "topic": "text-classification", "library": "transformers", "bases": ["bert-mini"],
     "datasets": ["open-models/poems"]},
    # Several tasks at once, odd names, odd tags, odd texts.
    {"names": ["open-models/multi-head"], "created": "2023-03-30T12:00:00",
     "topic": "text-classification", "library": "transformers",
     "extra_tasks": ["token-classification", "feature-extraction"], "papers": ["cs/0201001"]},
    {"names": ["mei-ling-zhou/llm_2.5-mini.v1"], "created": "2024-01-31T23:59:59",
     "topic": "text-generation", "language": "zh",
     "free_tags": ['say "hi"', "a, b and c", "note: not final", "🤗", "../../etc/passwd", "标签"]},
    {"names": ["lecki/No.1_Model"], "created": "2024-03-01T00:00:00", "topic": "text-generation"},
    # Access.
    {"names": ["Tarn-Research/tarn-70b-gated"], "created": "2024-04-04T04:04:04",
     "topic": "text-generation", "gated": "auto"},
    {"names": ["quiet-org/manual-gate"], "created": "2024-04-05T04:04:04", "topic": "fill-mask",
     "gated": "manual"},
    {"names": ["BoLindqvist/taken-down"], "created": "2023-01-01T01:01:01",
     "topic": "text-generation", "disabled_from": "2023-02-01T00:00:00"},
    # The counter knows likes whose likers are gone.
    {"names": ["ada-finch/popular-once"], "created": "2022-12-01T12:00:00",
     "topic": "image-classification", "library": "timm", "unlisted_likes": 37},
    # What is still to come: so even a small world changes.
    {"names": ["mei-ling-zhou/draft", "mei-ling-zhou/heron-2B"],
     "renamed": ["2025-05-05T10:00:00"], "created": "2024-10-20T10:00:00",
     "topic": "text-generation"},
    {"names": ["ada-finch/short-lived"], "created": "2023-05-08T08:00:00",
     "topic": "text-to-speech", "deleted": "2025-06-01T12:00:00"},
    {"names": ["kitsune-ml/soon-gated"], "created": "2024-08-09T08:00:00",
     "topic": "text-to-speech", "gated": "auto", "gated_from": "2025-08-01T09:00:00"},
    {"names": ["kitsune-ml/soon-disabled"], "created": "2024-08-10T08:00:00",
     "topic": "text-to-speech", "disabled_from": "2025-09-01T09:00:00"},
    # Cards in every state.
    {"names": ["BoLindqvist/card-crlf"], "created": "2023-02-02T02:00:00",
     "topic": "object-detection", "flaw": "crlf"},
    {"names": ["BoLindqvist/card-bom"], "created": "2023-02-03T02:00:00",
     "topic": "image-segmentation", "flaw": "bom"},
    {"names": ["BoLindqvist/card-without-head"], "created": "2023-02-04T02:00:00",
     "topic": "translation", "flaw": "no_head"},
    {"names": ["BoLindqvist/card-broken-head"], "created": "2023-02-05T02:00:00",
     "topic": "question-answering", "flaw": "broken_head"},
    {"names": ["BoLindqvist/card-latin1"], "created": "2023-02-06T02:00:00",
     "topic": "translation", "language": "fr", "flaw": "not_utf8"},
    {"names": ["BoLindqvist/card-of-megabytes"], "created": "2023-02-07T02:00:00",
     "topic": "automatic-speech-recognition", "flaw": "huge"},
    {"names": ["BoLindqvist/card-empty"], "created": "2023-02-08T02:00:00",
     "topic": "text-to-image", "layout": "empty"},
    {"names": ["BoLindqvist/card-only-head"], "created": "2023-02-09T02:00:00",
     "topic": "text-to-image", "library": "diffusers", "layout": "head_only"},
    {"names": ["BoLindqvist/card-missing"], "created": "2023-02-10T02:00:00",
     "topic": "text-to-image", "layout": None},
]  # fmt: skip

_LONG = "Ein sehr langer Satz über Vögel, 鳥についての長い文, и ещё о птицах 🐦. " * 400

DATASETS: list[Row] = [
    {"names": ["tiny-squad", "open-models/tiny-squad"], "renamed": ["2024-02-20T10:00:00"],
     "created": OLDEST, "topic": "question-answering", "papers": ["2311.04321"], "popularity": 1e5},
    {"names": ["open-models/poems"], "created": "2022-10-10T00:00:00", "topic": "text-generation",
     "extra_tasks": ["fill-mask"]},
    {"names": ["ada-finch/bird-calls", "ada-finch/bird-songs"], "renamed": ["2024-03-03T03:03:03"],
     "created": "2023-04-01T06:00:00", "topic": "audio-classification",
     "papers": ["2401.00001", "2312.98765"], "description": _LONG},
    {"names": ["bare-corpus"], "created": OLDEST, "topic": "text-generation"},
    # Its namespace is nobody's account.
    {"names": ["nobody-here/orphan-set"], "created": "2023-05-06T07:08:09", "topic": None},
    {"names": ["Tarn-Research/gated-set"], "created": "2024-01-02T03:04:05",
     "topic": "text-classification", "gated": "manual"},
    {"names": ["lecki/disabled_set.v2"], "created": "2023-06-07T08:09:10",
     "topic": "translation", "disabled_from": "2024-01-01T00:00:00"},
]  # fmt: skip

SPACES: list[Row] = [
    {"names": ["ada-finch/tarn-chat"], "created": "2023-05-01T00:00:00", "sdk": "gradio",
     "title": "Tarn Chat", "emoji": "🏔", "datasets": ["open-models/poems"],
     "models": ["Tarn-Research/tarn-7b-preview", "gpt-tiny", "TARN-RESEARCH/wren-small",
                "vanished-lab/ghost-13b"]},
    {"names": ["open-models/qa-demo"], "created": OLDEST, "sdk": "streamlit",
     "title": "Ask \"anything\": demo", "emoji": "❓", "models": ["bert-mini"],
     "datasets": ["tiny-squad", "vanished-lab/ghost-corpus"]},
    # A Space may leave out what it uses, or say that it uses nothing.
    {"names": ["BoLindqvist/hello-world"], "created": "2022-12-12T12:12:12", "sdk": "static",
     "title": "Hello", "emoji": "👋", "models": None, "datasets": None},
    {"names": ["kitsune-old/fox-says", "kitsune-ml/fox-says"], "renamed": ["2024-05-06T07:08:09"],
     "created": "2023-03-15T00:00:00", "sdk": "docker", "title": "What the fox says", "emoji": "🦊",
     "models": ["kitsune-old/fox-voice"], "datasets": []},
    {"names": ["lecki/taken-down-demo"], "created": "2023-08-15T00:00:00", "sdk": "gradio",
     "title": "Gone", "emoji": "🚫", "models": [], "datasets": [],
     "disabled_from": "2024-02-02T00:00:00"},
    # A Space and a model may share an id.
    {"names": ["ada-finch/popular-once"], "created": "2023-01-05T12:00:00", "sdk": "gradio",
     "title": "Popular once", "emoji": "⭐", "models": ["ada-finch/popular-once"], "datasets": []},
]  # fmt: skip

LIKES: dict[str, list[tuple[str, str]]] = {
    "model": [
        ("open-models/gpt-tiny", "ada-finch"), ("open-models/gpt-tiny", "BoLindqvist"),
        ("open-models/gpt-tiny", "kitsune-ml"), ("Tarn-Research/tarn-7b", "chidi_okoro"),
        ("Tarn-Research/tarn-7b", "ada-finch"), ("Tarn-Research/wren-small", "mei-ling-zhou"),
        ("Tarn-Research/wren-small", "wanda-rook"),
        ("ada-finch/popular-once", "lecki"), ("ada-finch/popular-once", "BoLindqvist"),
    ],
    "dataset": [
        ("open-models/tiny-squad", "ada-finch"), ("open-models/tiny-squad", "lecki"),
        ("ada-finch/bird-songs", "chidi_okoro"),
    ],
    "space": [("ada-finch/tarn-chat", "kitsune-ml"), ("ada-finch/tarn-chat", "mei-ling-zhou")],
}  # fmt: skip
"""Repository by its last name, and user; all liked on the same day of 2024."""

LIKED_AT = "2024-09-20T12:00:00"

FOLLOWS = [
    ("ada-finch", "BoLindqvist"), ("BoLindqvist", "ada-finch"), ("lecki", "ada-finch"),
    ("kitsune-ml", "mei-ling-zhou"), ("ada-finch", "Tarn-Research"), ("lecki", "open-models"),
    ("chidi_okoro", "quiet-org"),
]  # fmt: skip
"""Follower and followed: users and organizations."""

MEMBERS = [
    ("open-models", "ada-finch"), ("open-models", "BoLindqvist"), ("Tarn-Research", "ada-finch"),
    ("Tarn-Research", "mei-ling-zhou"), ("quiet-org", "chidi_okoro"), ("quiet-org", "lecki"),
]  # fmt: skip
"""Organization and user."""

COLLECTIONS: list[Row] = [
    {"title": "Everything at once", "owner": "ada-finch", "description": "One of each kind 🧺",
     "items": [
         ("model", "Tarn-Research/tarn-7b-preview", "The old name, on purpose"),
         ("dataset", "tiny-squad", None), ("space", "open-models/qa-demo", "Try it"),
         ("paper", "2311.04321", None), ("collection", "Exactly four", None),
         ("bucket", "ada-finch/raw-recordings", None), ("model", "gpt-tiny", None),
     ]},
    {"title": "Exactly four", "owner": "open-models", "description": None,
     "items": [
         ("model", "open-models/gpt-tiny", None), ("model", "open-models/bert-mini", None),
         ("dataset", "open-models/poems", None), ("paper", "2401.00001", None),
     ]},
    {"title": "Twice the same", "owner": "BoLindqvist", "description": "Added twice by mistake",
     "items": [
         ("model", "ada-finch/popular-once", None), ("model", "ada-finch/popular-once", "again"),
         ("paper", "cs/0201001", None),
     ]},
    {"title": "Under two names", "owner": "wanda-rook", "description": "Its owner was renamed",
     "items": [("model", "Tarn-Research/wren-small", None)]},
    {"title": "Names as they were: wren / fox", "owner": "kitsune-ml", "description": _LONG,
     "items": [
         ("model", "ada-finch/wren", None), ("space", "kitsune-old/fox-says", None),
         ("dataset", "ada-finch/bird-calls", None), ("model", "TARN-RESEARCH/TARN-7B", "Shouting"),
     ]},
    {"title": "Empty for now", "owner": "quiet-org", "description": "", "items": []},
]  # fmt: skip
"""All created on the same day of 2024; a `collection` item names another by its title."""

COLLECTED_AT = "2024-10-01T08:00:00"

PAPERS: list[Row] = [
    {"id": BOILERPLATE_PAPER, "title": "What Training a Model Emits",
     "published": "2019-10-21T20:00:00",
     "authors": [("N. Ferrant", None, None), ("P. Osei", None, None)]},
    {"id": "cs/0201001", "title": "On Tagging Short Sentences", "published": "2002-01-02T00:00:00",
     "authors": [("Eluned Pryce", "prof-eluned-pryce", "claimed_verified")]},
    {"id": "2311.04321", "title": "Wren: Summaries That Keep Their Figures",
     "published": "2023-11-08T17:00:00", "summary": _LONG,
     "authors": [("Ada Finch", "ada-finch", "claimed_verified"),
                 ("Bo Lindqvist", "BoLindqvist", "admin_assigned"),
                 ("B. Lindberg", "BoLindqvist", "extracted_pending"),
                 ("Zażółć Łęcki", "lecki", "extracted_pending"), ("Nobody Linked", None, None)]},
    {"id": "2401.00001", "title": "Tarn: \"Open\" Weights,\nOpen Questions 🏔",
     "published": "2024-01-01T18:00:00",
     "authors": [("Rhodri Maddox", "rhodri88", "claimed_verified"),
                 ("R. Maddox", "rhodri88", "admin_assigned"),
                 # Linked to an account that no longer exists.
                 ("Gone Scholar", "gone-scholar", "admin_assigned")]},
]  # fmt: skip
"""Authors: name, linked user, status of the link."""

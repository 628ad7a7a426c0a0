"""Word lists of the sample world: names, titles, tags, and how often each is used.

Belongs here: lists and weights. Does not: what is drawn from them (`population`), nor the prose of
cards (`cards`). All names are invented; task ids, libraries, licences and languages are real ones.
"""

ADJECTIVES = (
    "amber", "ashen", "bold", "brisk", "calm", "clever", "cobalt", "copper", "crisp", "dapper",
    "dusky", "eager", "early", "faint", "fleet", "frosty", "gentle", "gilded", "glad", "golden",
    "grand", "hazel", "humble", "ivory", "jolly", "keen", "kind", "late", "lively", "lone",
    "lucid", "mellow", "merry", "misty", "mossy", "nimble", "noble", "odd", "pale", "patient",
    "plain", "proud", "quiet", "rapid", "rustic", "salty", "sandy", "sharp", "silent", "silver",
    "sly", "small", "solar", "spare", "steady", "still", "sturdy", "sunny", "swift", "tidy",
    "tiny", "umber", "velvet", "vivid", "warm", "wild", "windy", "wise", "witty", "young",
)  # fmt: skip

NOUNS = (
    "acorn", "alder", "anvil", "badger", "basin", "beacon", "birch", "bison", "bramble", "brook",
    "canyon", "cedar", "cinder", "clover", "comet", "condor", "coral", "crane", "delta", "dune",
    "egret", "ember", "falcon", "fern", "finch", "fjord", "flint", "fox", "gale", "garnet",
    "glade", "grove", "gull", "harbor", "hare", "hazel", "heron", "hollow", "ibis", "iris",
    "jackdaw", "juniper", "kelp", "kestrel", "kite", "lagoon", "larch", "lark", "ledge", "lichen",
    "lynx", "maple", "marsh", "martin", "meadow", "mesa", "mole", "moth", "newt", "oak",
    "orchid", "otter", "owl", "pebble", "pine", "plover", "poplar", "quartz", "quill", "raven",
    "reed", "ridge", "robin", "rook", "sable", "sage", "shoal", "sparrow", "spruce", "stoat",
    "stork", "swallow", "tarn", "teal", "thicket", "thistle", "thrush", "tundra", "vale", "viper",
    "vole", "walnut", "warbler", "weasel", "willow", "wren", "yarrow", "yew", "zephyr", "zinnia",
)  # fmt: skip

GIVEN_NAMES = (
    "Ada", "Aiko", "Amara", "Anneli", "Arjun", "Beatriz", "Bronwen", "Chidi", "Dariusz", "Eilidh",
    "Elif", "Emre", "Fatima", "Gaëlle", "Giulia", "Hana", "Ibrahim", "Ingrid", "Ján", "Jorge",
    "Kenji", "Lena", "Léo", "Mei", "Mikael", "Noor", "Olga", "Pádraig", "Priya", "Rahel",
    "Rasmus", "Sofía", "Tomasz", "Thảo", "Uche", "Vera", "Wanjiru", "Xin", "Yusuf", "Zoë",
)  # fmt: skip

FAMILY_NAMES = (
    "Abebe", "Ayers", "Bergström", "Bianchi", "Chen", "Costa", "Demir", "Dvořák", "Eriksen",
    "Farah", "Fischer", "García", "Haddad", "Hughes", "Ishikawa", "Ivanov", "Jensen", "Kamau",
    "Kovács", "Lambert", "Lindqvist", "Moreau", "Nakamura", "Nguyễn", "Novak", "Okafor", "Öztürk",
    "Park", "Petrov", "Quispe", "Rao", "Rossi", "Santos", "Silva", "Tanaka", "Torres", "Virtanen",
    "Wójcik", "Yamada", "Zhou",
)  # fmt: skip

ORG_KINDS = ("labs", "research", "ai", "collective", "studio", "institute", "works", "group")

DETAILS = (
    "Small models for small machines", "Speech and music", "NLP for under-served languages",
    "PhD student, computer vision", "Quantizes what others train", "Open data enthusiast",
    "Robotics & control 🤖", "Machine learning engineer", "研究者 (自然言語処理)",
    "Merges. Lots of merges.",
)  # fmt: skip

FAMILIES = (
    "Lumo", "Tarn", "Quill", "Vesper", "Corvid", "Nimbus", "Orrery", "Saffron", "Tessel", "Umbra",
    "Wisp", "Zephyra", "Aurelia", "Basalt", "Calyx", "Drift", "Ember", "Fathom", "Gossamer",
    "Halcyon", "Inkling", "Juniper", "Kite", "Lattice", "Marrow", "Nacre", "Opaline", "Petrel",
    "Runnel", "Sorrel", "Thimble", "Verdigris", "Willow", "Yarrow", "Zinnia",
)  # fmt: skip

SIZES = ("tiny", "mini", "small", "base", "large", "0.5B", "1.5B", "3B", "7B", "8x7B", "13B", "70b")

DOMAINS = (
    "legal", "clinical", "finance", "news", "tweets", "reviews", "recipes", "poems", "wiki",
    "radiology", "satellite", "street", "retail", "sports", "chess", "birdsong", "dialect",
    "podcasts", "manuals", "patents", "forum", "math", "code", "history", "chemistry", "weather",
    "farming", "fashion", "comics", "maps",
)  # fmt: skip

TASK_HINTS = {
    "text-generation": ("chat", "instruct", "lm", "writer"),
    "text-to-image": ("diffusion", "style", "painter", "portrait"),
    "text-classification": ("sentiment", "topic", "toxicity", "intent"),
    "automatic-speech-recognition": ("asr", "speech", "transcribe"),
    "text-to-speech": ("tts", "voice"),
    "token-classification": ("ner", "pos", "tagger"),
    "question-answering": ("qa", "reader"),
    "fill-mask": ("bert", "mlm", "roberta"),
    "translation": ("mt", "translate", "en-xx"),
    "summarization": ("sum", "digest"),
    "sentence-similarity": ("embed", "sbert"),
    "feature-extraction": ("encoder", "embed"),
    "image-classification": ("vit", "resnet", "classifier"),
    "object-detection": ("detr", "detect"),
    "image-segmentation": ("seg", "segformer"),
    "reinforcement-learning": ("ppo", "dqn", "LunarLander"),
    "image-text-to-text": ("vl", "vision-chat"),
    "audio-classification": ("audio-tags", "sounds"),
}
"""What publishers put into a model's name; other tasks leave no trace in it."""

MODEL_TASKS = {
    "text-generation": 0.355, "text-to-image": 0.158, "text-classification": 0.138,
    "reinforcement-learning": 0.035, "automatic-speech-recognition": 0.03,
    "token-classification": 0.03, "fill-mask": 0.018, "image-classification": 0.022,
    "feature-extraction": 0.016, "sentence-similarity": 0.015, "question-answering": 0.0125,
    "translation": 0.0125, "image-text-to-text": 0.012, "summarization": 0.012,
    "text-to-speech": 0.012, "object-detection": 0.012, "audio-classification": 0.012,
    "image-segmentation": 0.012, "image-to-image": 0.011, "text-to-video": 0.011,
    "robotics": 0.011, "image-to-video": 0.011, "depth-estimation": 0.011,
    "text-to-audio": 0.01, "zero-shot-classification": 0.002, "tabular-classification": 0.002,
    "video-classification": 0.0015, "any-to-any": 0.0015, "text-ranking": 0.0015,
    "image-to-text": 0.0015, "unconditional-image-generation": 0.001,
    "time-series-forecasting": 0.001, "visual-question-answering": 0.001,
    "zero-shot-image-classification": 0.001, "tabular-regression": 0.001,
    "image-feature-extraction": 0.001, "audio-to-audio": 0.001, "mask-generation": 0.001,
    "document-question-answering": 0.0008, "text-to-3d": 0.0008, "image-to-3d": 0.0008,
    "graph-ml": 0.0008, "keypoint-detection": 0.0008, "audio-text-to-text": 0.0008,
    "visual-document-retrieval": 0.0008, "video-text-to-text": 0.0008,
    "zero-shot-object-detection": 0.0008, "voice-activity-detection": 0.0008,
    "table-question-answering": 0.0008, "image-text-to-image": 0.0008,
}  # fmt: skip
"""Some twenty tasks are common enough to be learned in a world of 1,500 repositories."""

DATASET_TASKS = {
    "text-generation": 0.28, "text-classification": 0.14, "question-answering": 0.12,
    "automatic-speech-recognition": 0.06, "image-classification": 0.06, "robotics": 0.05,
    "translation": 0.045, "summarization": 0.04, "token-classification": 0.04,
    "text-retrieval": 0.03, "fill-mask": 0.02, "object-detection": 0.02, "text-to-image": 0.02,
    "image-segmentation": 0.015, "text-to-speech": 0.015, "tabular-classification": 0.01,
    "sentence-similarity": 0.01, "multiple-choice": 0.01, "audio-classification": 0.01,
    "visual-question-answering": 0.008, "feature-extraction": 0.008,
    "table-question-answering": 0.005,
    "time-series-forecasting": 0.005, "image-to-text": 0.005, "zero-shot-classification": 0.004,
    "table-to-text": 0.003, "graph-ml": 0.003, "tabular-regression": 0.003,
    "video-classification": 0.003, "depth-estimation": 0.002,
}  # fmt: skip

TEXT_TASKS = (
    "text-generation", "text-classification", "token-classification", "fill-mask",
    "feature-extraction", "sentence-similarity", "question-answering", "translation",
    "summarization", "zero-shot-classification", "text-ranking", "table-question-answering",
)  # fmt: skip
"""Tasks whose models read text alone."""

WRITING_TASKS = (
    "text-generation", "translation", "summarization", "image-text-to-text", "any-to-any",
    "audio-text-to-text", "video-text-to-text",
)  # fmt: skip
"""Tasks whose models write text."""

TASK_LIBRARIES = {
    "text-to-image": "diffusers", "text-to-video": "diffusers", "image-to-video": "diffusers",
    "image-to-image": "diffusers", "unconditional-image-generation": "diffusers",
    "reinforcement-learning": "stable-baselines3", "robotics": "lerobot",
    "sentence-similarity": "sentence-transformers", "text-ranking": "sentence-transformers",
    "tabular-classification": "sklearn", "tabular-regression": "sklearn",
    "image-feature-extraction": "timm", "object-detection": "ultralytics",
    "voice-activity-detection": "pyannote-audio", "audio-to-audio": "speechbrain",
    "text-to-audio": "audiocraft", "zero-shot-image-classification": "open_clip",
}  # fmt: skip
"""The library of a task's models where it is not `transformers`."""

LICENSES = {
    "apache-2.0": 0.4, "mit": 0.2, "openrail": 0.05, "creativeml-openrail-m": 0.07,
    "cc-by-4.0": 0.06, "cc-by-nc-4.0": 0.06, "cc-by-sa-4.0": 0.04, "llama3": 0.04, "gemma": 0.03,
    "gpl-3.0": 0.02, "other": 0.03,
}  # fmt: skip

LANGUAGES = {
    "en": 0.6, "zh": 0.09, "es": 0.05, "fr": 0.05, "de": 0.05, "pt": 0.03, "ja": 0.03, "ru": 0.03,
    "ar": 0.02, "ko": 0.02, "vi": 0.01, "sw": 0.01, "cy": 0.01,
}  # fmt: skip

FREE_TAGS = (
    "generated_from_trainer", "conversational", "chat", "art", "anime", "medical", "legal", "code",
    "not-for-all-audiences", "experimental", "low-resource", "synthetic", "rlhf", "moe", "agent",
    "on-device", "biology", "finance", "music", "climate",
)  # fmt: skip

ODD_TAGS = (
    'say "hello"', "one, two, three", "note: draft", "it's fine", "emoji 🤗 tag", "标签", "a/b",
    "back\\slash", "key=value; other", "  spaced  out  ", "semi:colon:colon",
)  # fmt: skip

SIZE_CATEGORIES = {
    "n<1K": 0.35, "1K<n<10K": 0.3, "10K<n<100K": 0.2, "100K<n<1M": 0.1, "1M<n<10M": 0.05,
}  # fmt: skip

FORMATS = {"parquet": 0.5, "json": 0.2, "csv": 0.15, "imagefolder": 0.1, "webdataset": 0.05}

SPACE_TITLES = (
    "Playground", "Demo", "Explorer", "Leaderboard", "Chat", "Studio", "Arena", "Viewer", "Lab",
    "Translator", "Generator", "Detector",
)  # fmt: skip

EMOJI = ("🤗", "🚀", "🌎", "🐢", "🎨", "🔥", "📚", "🧪", "🦉", "🎧", "🗺", "🧠")

SDKS = {"gradio": 0.6, "streamlit": 0.13, "docker": 0.15, "static": 0.12}

THEMES = ("orange", "blue", "green", "purple", "pink", "indigo")

COLLECTION_TITLES = (
    "Reading list", "Favourites", "To try", "Small models", "Quantized", "Our releases", "Datasets",
    "Papers of the month", "Speech", "Vision", "Evaluation", "Merges I like", "Baselines",
)  # fmt: skip

NOTES = (
    "Start here", "Best of the bunch so far", "Needs 24 GB", "Read the appendix first",
    "Superseded, kept for comparison", "要チェック", "Runs on a laptop ☕",
)  # fmt: skip

METHODS = (
    "Sparse", "Contrastive", "Retrieval-Augmented", "Hierarchical", "Self-Supervised", "Low-Rank",
    "Curriculum", "Multi-View", "Token-Free", "Energy-Based", "Calibrated", "Federated",
)  # fmt: skip

SUBJECTS = (
    "Language Models", "Speech Recognition", "Image Synthesis", "Dialogue", "Retrieval",
    "Graph Learning", "Robot Control", "Document Understanding", "Code Generation",
    "Low-Resource Translation", "Video Understanding", "Tabular Prediction",
)  # fmt: skip

"""What the files of the sample Hub's repositories hold.

Belongs here: the bytes of every file, written from its repository's facts when asked for, and their
ids in git and LFS. Does not: which files there are (`file_names`), what a README says (`cards`),
how files are listed and sent (`repository_files`).

The same facts give the same bytes. Models of one line have one tokenizer, licences one text each, a
repackaged model the weights of its base: a store that keeps equal bytes once has something to save.
Large files are as small as can be tried with; of their formats they have the magic bytes, weights
in safetensors also a header that can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

import orjson

from hfkg_resources.sample_hub import cards, file_names, words
from hfkg_resources.sample_hub.file_names import README

Facts = Mapping[str, Any]

_COMMITTED = ("siblings", "created", "edit_every")
FACTS = {
    "model": (*cards.FACTS["model"], *_COMMITTED, "base_relation", "family_key", "weights_key"),
    "dataset": (*cards.FACTS["dataset"], *_COMMITTED),
    "space": (*cards.FACTS["space"], *_COMMITTED),
}
"""What the files of each kind are written from, and what tells when they were committed."""

LARGE = (".safetensors", ".bin", ".gguf", ".onnx", ".pt", ".pth", ".h5", ".parquet", ".zip", ".tar")
"""Endings of files that the Hub keeps in LFS."""

RETRAINED_EVERY = 3
"""Of a model whose weights change at all they do so with every third edit."""

_SIZES = {
    "training_args.bin": (5_000, 6_000),
    "adapter_model.safetensors": (20_000, 60_000),
    ".parquet": (5_000, 60_000),
    ".zip": (20_000, 120_000),
    ".tar": (20_000, 120_000),
    "": (20_000, 400_000),
}
"""Bytes of large files, least and most, by how the name ends: the first that fits counts."""
_MAGIC = {".gguf": b"GGUF\3\0\0\0", ".parquet": b"PAR1", ".zip": b"PK\3\4", ".pt": b"PK\3\4"}
_CACHED_BLOBS, _CACHED_CONTENTS, _CACHED_TOKENIZERS = 16_384, 64, 256


# -- Ids ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blob:
    """A file as git knows it.

    Attributes:
        size: of the file in bytes.
        oid: of the blob in git: of a large file this is its pointer.
        sha256: of a large file's bytes, else None.
        pointer_size: of a large file's pointer in bytes, else 0.
    """

    size: int
    oid: str
    sha256: str | None = None
    pointer_size: int = 0

    @classmethod
    def of(cls, content: bytes, is_large: bool) -> Blob:
        """The blob of some bytes."""
        if not is_large:
            return cls(len(content), git_oid(content))
        text = pointer(content)
        digest = hashlib.sha256(content).hexdigest()
        return cls(len(content), git_oid(text), digest, len(text))


def git_oid(content: bytes, kind: str = "blob") -> str:
    """The id of a blob, or of another object, in git."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()


def pointer(content: bytes) -> bytes:
    """What git holds in place of a large file."""
    digest = hashlib.sha256(content).hexdigest()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    return text.encode()


def is_large(path: str) -> bool:
    """Whether the Hub keeps the file in LFS."""
    return path.endswith(LARGE)


def blob(kind: str, facts: Facts, path: str) -> Blob:
    """A file's size and ids."""
    if is_large(path):
        return _large_blob(*_weights(facts, path))
    return Blob.of(content(kind, facts, path), is_large=False)


def content(kind: str, facts: Facts, path: str) -> bytes:
    """A file's bytes.

    Args:
        kind: `model`, `dataset` or `space`.
        facts: the values of `FACTS[kind]`; `revision` may be one before the present one.
        path: one of `facts["siblings"]`.
    """
    if path == README:
        return cards.card(kind, facts)
    if is_large(path):
        return _large(*_weights(facts, path))
    return _WRITTEN[path](facts)


def changed_at(facts: Facts, path: str) -> int:
    """The revision, up to the present one, that last committed a file."""
    if path == README:
        return int(facts["revision"])
    if is_large(path):
        return _weights(facts, path)[2] * RETRAINED_EVERY
    return 0


def committed_at(facts: Facts, revision: int) -> datetime:
    """When a revision was committed (UTC)."""
    moment = facts["created"] + revision * facts["edit_every"]
    return datetime.fromtimestamp(moment // 1000, UTC) + timedelta(milliseconds=moment % 1000)


def commit_title(revision: int) -> str:
    """The first line of a revision's message."""
    return f"Update {README}" if revision else "initial commit"


# -- Large files ----------------------------------------------------------------------------------


def _weights(facts: Facts, path: str) -> tuple[int, str, int]:
    """Whose weights a large file is, its path, and how often they have been trained anew."""
    key = facts.get("weights_key", facts["key"])
    # A repackaged model keeps what it was made of; of the others every second is finished.
    trains_on = key == facts["key"] and key // 7 % 2 == 0
    return key, path, facts["revision"] // RETRAINED_EVERY if trains_on else 0


@lru_cache(_CACHED_BLOBS)
def _large_blob(key: int, path: str, version: int) -> Blob:
    return Blob.of(_large(key, path, version), is_large=True)


@lru_cache(_CACHED_CONTENTS)
def _large(key: int, path: str, version: int) -> bytes:
    """Random bytes behind a true head; training anew changes them but not their number."""
    size, head = _large_size(key, path), _head(key, path)
    noise = hashlib.shake_128(f"{key} {path} {version}".encode()).digest(size - len(head))
    return head + noise


def _large_size(key: int, path: str) -> int:
    least, most = next(span for end, span in _SIZES.items() if path.endswith(end))
    return Random(f"{key} {path}").randrange(least, most) // 2 * 2


def _head(key: int, path: str) -> bytes:
    if path.endswith(".safetensors"):
        return _safetensors_head(path, _large_size(key, path))
    return next((magic for end, magic in _MAGIC.items() if path.endswith(end)), b"")


def _safetensors_head(path: str, size: int) -> bytes:
    """The header of one tensor that fills the rest of the file (github.com/huggingface/safetensors:
    eight bytes of length, JSON, padded with spaces)."""
    length = 128
    bytes_left = size - 8 - length
    tensor = {"dtype": "F16", "shape": [bytes_left // 2], "data_offsets": [0, bytes_left]}
    header = orjson.dumps({_tensor_name(path): tensor}).ljust(length)
    return length.to_bytes(8, "little") + header


def _tensor_name(path: str) -> str:
    return f"layers.{file_names.SHARDS.index(path) if path in file_names.SHARDS else 0}.weight"


# -- Configurations -------------------------------------------------------------------------------

_DECODERS = ("Llama", "Qwen2", "Mistral", "Gemma2", "GPT2", "Phi3")
_ENCODERS = ("Bert", "Roberta", "DebertaV2", "DistilBert", "Electra")
_ARCHITECTURES = {
    "text-generation": [f"{name}ForCausalLM" for name in _DECODERS],
    "fill-mask": [f"{name}ForMaskedLM" for name in _ENCODERS],
    "text-classification": [f"{name}ForSequenceClassification" for name in _ENCODERS],
    "zero-shot-classification": ["DebertaV2ForSequenceClassification"],
    "text-ranking": ["BertForSequenceClassification", "RobertaForSequenceClassification"],
    "token-classification": [f"{name}ForTokenClassification" for name in _ENCODERS],
    "question-answering": [f"{name}ForQuestionAnswering" for name in _ENCODERS],
    "feature-extraction": [f"{name}Model" for name in _ENCODERS],
    "sentence-similarity": [f"{name}Model" for name in _ENCODERS],
    "table-question-answering": ["TapasForQuestionAnswering"],
    "translation": ["MBartForConditionalGeneration", "T5ForConditionalGeneration"],
    "summarization": ["BartForConditionalGeneration", "PegasusForConditionalGeneration"],
    "automatic-speech-recognition": ["WhisperForConditionalGeneration", "Wav2Vec2ForCTC"],
    "audio-classification": ["Wav2Vec2ForSequenceClassification"],
    "text-to-speech": ["VitsModel", "SpeechT5ForTextToSpeech"],
    "image-classification": ["ViTForImageClassification", "ResNetForImageClassification"],
    "image-segmentation": ["SegformerForSemanticSegmentation"],
    "object-detection": ["DetrForObjectDetection"],
    "depth-estimation": ["DPTForDepthEstimation"],
    "video-classification": ["VideoMAEForVideoClassification"],
    "image-text-to-text": ["LlavaForConditionalGeneration", "Qwen2VLForConditionalGeneration"],
    "image-to-text": ["BlipForConditionalGeneration"],
    "visual-question-answering": ["ViltForQuestionAnswering"],
    "mask-generation": ["SamModel"],
}  # fmt: skip
"""Classes of transformers' models by what they are for; a line of models has the same one."""
_TYPES = {
    "DebertaV2": "deberta-v2", "SpeechT5": "speecht5", "Qwen2VL": "qwen2_vl", "GPT2": "gpt2",
    "Wav2Vec2": "wav2vec2", "VideoMAE": "videomae",
}  # fmt: skip
_DIFFUSERS = {
    "text-to-video": "WanPipeline", "image-to-video": "StableVideoDiffusionPipeline",
    "image-to-image": "StableDiffusionImg2ImgPipeline",
    "unconditional-image-generation": "DDPMPipeline",
}  # fmt: skip
_PEFT_TASKS = {
    "text-generation": "CAUSAL_LM", "text-classification": "SEQ_CLS", "translation": "SEQ_2_SEQ_LM",
    "token-classification": "TOKEN_CLS", "question-answering": "QUESTION_ANS",
    "summarization": "SEQ_2_SEQ_LM", "feature-extraction": "FEATURE_EXTRACTION",
}  # fmt: skip


def listed_config(facts: Facts) -> dict[str, Any] | None:
    """What the Hub tells of a model's configuration: the field `config` of its record."""
    files = facts["siblings"]
    if file_names.CONFIG in files:
        return _architecture(facts)
    if file_names.ADAPTER_CONFIG in files:
        told = _adapter(facts)
        return {"peft": {name: told[name] for name in ("base_model_name_or_path", "task_type")}}
    if file_names.DIFFUSERS_INDEX in files:
        return {"diffusers": {"_class_name": _diffuser(facts)}}
    return None


def _architecture(facts: Facts) -> dict[str, Any]:
    names = _ARCHITECTURES.get(facts["topic"], ("BertModel",))
    name = names[facts["family_key"] % len(names)]
    family = name.partition("For")[0].removesuffix("Model")
    return {"architectures": [name], "model_type": _TYPES.get(family, family.lower())}


def _config(facts: Facts) -> bytes:
    rng = Random(facts["family_key"])
    heads = rng.choice((4, 8, 12, 16))
    return _json(
        _architecture(facts)
        | {
            "hidden_size": heads * 64,
            "num_attention_heads": heads,
            "num_hidden_layers": rng.choice((2, 4, 6, 12)),
            "torch_dtype": "float16",
            "transformers_version": "4.57.1",
            "vocab_size": _vocabulary_size(facts["family_key"]),
        }
    )


def _adapter(facts: Facts) -> dict[str, Any]:
    rng = Random(facts["key"])
    rank = rng.choice((8, 16, 32, 64))
    return {
        "base_model_name_or_path": next(iter(facts["base_ids"]), None),
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.05,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": ["q_proj", "v_proj"],
        "task_type": _PEFT_TASKS.get(facts["topic"]),
    }


def _diffuser(facts: Facts) -> str:
    return _DIFFUSERS.get(facts["topic"], "StableDiffusionPipeline")


def _diffusers_index(facts: Facts) -> bytes:
    parts = {"unet": ["diffusers", "UNet2DConditionModel"]}
    if "vae/diffusion_pytorch_model.safetensors" in facts["siblings"]:
        parts["vae"] = ["diffusers", "AutoencoderKL"]
    return _json({"_class_name": _diffuser(facts), "_diffusers_version": "0.35.2"} | parts)


def _weights_index(facts: Facts) -> bytes:
    sizes = {path: _large_size(facts["weights_key"], path) for path in file_names.SHARDS}
    return _json(
        {
            "metadata": {"total_size": sum(sizes.values())},
            "weight_map": {_tensor_name(path): path for path in sizes},
        }
    )


# -- Tokenizers -----------------------------------------------------------------------------------

_SYLLABLES = (
    "ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ra", "se", "ti", "vo", "wu", "xa", "yo",
    "zi", "che", "sha", "tru",
)  # fmt: skip
_SPECIAL = ("[UNK]", "[PAD]", "[BOS]", "[EOS]")


def _vocabulary_size(family: int) -> int:
    return len(_SPECIAL) + Random(f"{family} vocabulary").randrange(900, 2_900)


def _vocabulary(family: int) -> list[str]:
    """Some thousand made-up words, each once, the same for all models of a line."""
    base, numbers = len(_SYLLABLES), _vocabulary_size(family) - len(_SPECIAL)
    drawn = Random(f"{family} words").sample(range(base, base**3), numbers)
    return [*_SPECIAL, *(_word(number, base) for number in drawn)]


def _word(number: int, base: int) -> str:
    above = _word(number // base, base) if number >= base else ""
    return above + _SYLLABLES[number % base]


@lru_cache(_CACHED_TOKENIZERS)
def _tokenizer(family: int) -> bytes:
    special = [
        {
            "id": number, "content": word, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True,
        }
        for number, word in enumerate(_SPECIAL)
    ]  # fmt: skip
    return _json(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": special,
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordLevel",
                "vocab": {word: number for number, word in enumerate(_vocabulary(family))},
                "unk_token": "[UNK]",
            },
        }
    )


def _tokenizer_config(facts: Facts) -> bytes:
    return _json(
        {
            "bos_token": "[BOS]",
            "eos_token": "[EOS]",
            "model_max_length": Random(facts["family_key"]).choice((512, 2_048, 4_096, 32_768)),
            "pad_token": "[PAD]",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": "[UNK]",
        }
    )


# -- Texts ----------------------------------------------------------------------------------------


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _attributes(facts: Facts) -> bytes:
    lines = (f"*{end} filter=lfs diff=lfs merge=lfs -text\n" for end in LARGE)
    return "".join(lines).encode()


def _licence(facts: Facts) -> bytes:
    """A text that stands for the licence's own; it depends on nothing else."""
    name = facts["license"]
    terms = (
        "Permission to use, copy and change this sample is given to everybody. It comes as it is, "
        "without warranty of any kind; nobody is liable for what its use may lead to.\n"
    )
    sections = "".join(f"\n{number}. {terms}" for number in range(1, 8 + len(name)))
    return f"SAMPLE OF THE LICENCE {name}\n{sections}".encode()


def _rows(facts: Facts) -> list[dict[str, Any]]:
    rng = Random(facts["key"])
    domains = words.DOMAINS
    return [
        {"id": number, "text": f"{rng.choice(domains)} {rng.choice(domains)}", "label": label}
        for number, label in enumerate(rng.choices(("yes", "no"), k=rng.randint(80, 900)))
    ]


def _csv(facts: Facts) -> bytes:
    lines = ("{id},{text},{label}\n".format_map(row) for row in _rows(facts))
    return ("id,text,label\n" + "".join(lines)).encode()


def _application(facts: Facts) -> bytes:
    model = next(iter(facts["models"] or ()), "")
    sdk = facts["sdk"] if facts["sdk"] in ("gradio", "streamlit") else "http.server"
    return f'"""{facts["title"]}"""\n\nimport {sdk}\n\nMODEL = "{model}"\n'.encode()


def _page(facts: Facts) -> bytes:
    return f"<!doctype html>\n<title>{facts['title']}</title>\n<p>{facts['emoji']}</p>\n".encode()


_DOCKERFILE = b"FROM python:3.11-slim\nCOPY . .\nRUN pip install -r requirements.txt\n"
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
_WRITTEN: dict[str, Callable[[Facts], bytes]] = {
    ".gitattributes": _attributes,
    "LICENSE": _licence,
    file_names.EMPTY: lambda facts: b"",
    file_names.WIDE_NAME: lambda facts: f"Пример {facts['key'] % 997} 例\n".encode(),
    file_names.SIGNS_NAME: lambda facts: b"#1: 100 % of the runs finished.\n",
    file_names.CONFIG: _config,
    file_names.ADAPTER_CONFIG: lambda facts: _json(_adapter(facts)),
    file_names.DIFFUSERS_INDEX: _diffusers_index,
    file_names.WEIGHTS_INDEX: _weights_index,
    "1_Pooling/config.json": lambda facts: _json({"pooling_mode_mean_tokens": True}),
    "generation_config.json": lambda facts: _json({"bos_token_id": 2, "eos_token_id": 3}),
    "modules.json": lambda facts: _json(_MODULES),
    "tokenizer.json": lambda facts: _tokenizer(facts["family_key"]),
    "tokenizer_config.json": _tokenizer_config,
    "unet/config.json": lambda facts: _json({"_class_name": "UNet2DConditionModel"}),
    "data/train.csv": _csv,
    "data/train.jsonl": lambda facts: b"".join(orjson.dumps(r) + b"\n" for r in _rows(facts)),
    "Dockerfile": lambda facts: _DOCKERFILE,
    "app.py": _application,
    "index.html": _page,
    "requirements.txt": lambda facts: f"{facts['sdk']}\nhuggingface_hub\n".encode(),
    "style.css": lambda facts: b"body { font-family: sans-serif }\n",
}
"""Texts by path, written from facts."""

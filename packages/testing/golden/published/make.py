"""Makes the folders beside this file: small random models as `transformers` saves them, and the logits that it computes.

    python3 -m venv venv && venv/bin/pip install torch transformers
    venv/bin/python packages/testing/golden/published/make.py [NAME...]

Each folder is what a user would hand over, in the forms that are met: with and without the prefix `transformer.`, with the buffers of old
checkpoints, in shards, in float16 and in bfloat16, with an output projection of its own, with tokenizer.json or with vocab.json and merges.txt; GPT-2s, and
XMoE models of packages/models/python/modeling_xmoe.py with each router that it has, with thresholds by layer and with equal weights.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "../../../models/python"))
from modeling_xmoe import XmoeConfig, XmoeForCausalLM  # noqa: E402

TEXT = ["the house and the peace of the people", "a great war, an old law; naïve café 日本 🎓", "we'll see what they're for, don't we?"]

CASES = {
    # As saved by GPT2LMHeadModel.save_pretrained.
    "usual": dict(n_embd=16, n_head=2, n_layer=2, n_positions=12),
    # As the first checkpoints of GPT-2: no prefix, the causal masks as buffers; exact GELU, a hidden size and an epsilon of its own.
    "bare": dict(n_embd=12, n_head=3, n_layer=2, n_positions=9, n_inner=20, activation_function="gelu", layer_norm_epsilon=1e-3),
    # Several files and half precision.
    "shards": dict(n_embd=8, n_head=4, n_layer=3, n_positions=7, activation_function="relu"),
    # One layer, one head, an odd width, and an output projection of its own.
    "untied": dict(n_embd=5, n_head=1, n_layer=1, n_positions=6, n_inner=7, tie_word_embeddings=False),
}


def experts(every, **router):
    return dict(every=every, experts=5, expertHidden=3, capacityFactor=2, router=router)


XMOE = {
    "xmoe-threshold": dict(n_embd=8, n_head=2, n_layer=3, n_positions=8, moe=experts(2, type="threshold", threshold=0.8)),
    "xmoe-shares": dict(n_embd=6, n_head=2, n_layer=2, n_positions=8, activation_function="gelu",
                        moe=experts(1, type="threshold", threshold=0.95, maxExpertsPerToken=3, renormalize=True)),
    "xmoe-topk": dict(n_embd=6, n_head=2, n_layer=2, n_positions=8, moe=experts(1, type="topk", k=2)),
    "xmoe-base": dict(n_embd=6, n_head=3, n_layer=2, n_positions=8, activation_function="relu", moe=experts(2, type="base")),
}

# The number of a case is its seed: new ones come last.
LATER = {
    # As training in bfloat16 leaves it.
    "bfloat16": dict(n_embd=8, n_head=2, n_layer=2, n_positions=10),
    "xmoe-layers": dict(n_embd=6, n_head=2, n_layer=4, n_positions=8,
                        moe=dict(experts(2, type="threshold", threshold=0.4), thresholds=[0.4, 0.9])),
    "xmoe-equal": dict(n_embd=6, n_head=2, n_layer=2, n_positions=8, moe=experts(1, type="threshold", threshold=0.7, equalWeights=True)),
}


def tokenizer():
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(TEXT, vocab_size=272, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False)
    return made


def random_model(shape, vocabulary, seed):
    torch.manual_seed(seed)
    config, model = (XmoeConfig, XmoeForCausalLM) if "moe" in shape else (GPT2Config, GPT2LMHeadModel)
    model = model(config(vocab_size=vocabulary, bos_token_id=0, eos_token_id=0, **shape)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Far from the initial values: biases and the weights of norms too.
            parameter.copy_(torch.randn_like(parameter) * 0.4 + (1.0 if ".ln_" in name and name.endswith("weight") else 0.0))
    return model


def save(name, model, folder):
    if name == "bare":
        model.config.save_pretrained(folder)
        tensors = {key: value.contiguous() for key, value in model.transformer.state_dict().items()}
        size = model.config.n_positions
        for layer in range(model.config.n_layer):
            tensors[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(1, 1, size, size))
            tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    elif name == "shards":
        model.half().save_pretrained(folder, max_shard_size="5KB")
        model.float()
    elif name == "bfloat16":
        model.bfloat16().save_pretrained(folder)
        model.float()  # the logits are those of the rounded weights, computed in float32
    else:
        model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def main():
    made = tokenizer()
    cases = {**CASES, **XMOE, **LATER}
    unknown = set(sys.argv[1:]) - set(cases)
    if unknown:
        sys.exit(f"there is no case {', '.join(sorted(unknown))}: pass none, or some of {', '.join(cases)}")
    for seed, (name, shape) in enumerate(cases.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        model = random_model(shape, made.get_vocab_size(), seed)
        save(name, model, folder)
        if name == "bare":
            made.save_model(str(folder))
        else:
            made.save(str(folder / "tokenizer.json"))
        ids = torch.randint(0, made.get_vocab_size(), (2, shape["n_positions"]))
        with torch.no_grad():
            logits = model(ids).logits
        texts = [{"text": text, "ids": made.encode(text).ids} for text in TEXT]
        expected = {"ids": ids.tolist(), "logits": [[[round(v, 6) for v in row] for row in rows[-2:]] for rows in logits.tolist()], "texts": texts}
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()

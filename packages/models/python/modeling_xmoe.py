"""XMoE language models for `transformers`: GPT-2 in whose feed-forward layers each token takes as many experts as it needs.

    AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

For using a trained model: no token is dropped, and there is no auxiliary loss. config.moe is the section `moe` of the training:
experts in layers every, 2 * every, ... (from 1); `experts` of them with `expertHidden` units each; `router`, its type and its options;
`thresholds` of the layers with experts, where they differ.
"""

import math

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.activations import ACT2FN

ONE = 2**30  # probabilities are added up in whole units, as in training: sums of floats depend on their order


class XmoeConfig(GPT2Config):
    model_type = "xmoe"

    def __init__(self, moe=None, **kwargs):
        super().__init__(**kwargs)
        self.moe = moe


class Experts(nn.Module):
    """y = sum over the experts i that a token takes of w_i * E_i(x), with E_i(x) = act(x @ w1[i] + b1[i]) @ w2[i] + b2[i]."""

    def __init__(self, config, place):
        super().__init__()
        moe, width = config.moe, config.n_embd
        count, hidden = moe["experts"], moe["expertHidden"]
        self.options = dict(moe["router"])
        if moe.get("thresholds"):
            self.options["threshold"] = moe["thresholds"][place]  # of the layers with experts, from 0
        self.router = nn.Module()
        self.router.weight = nn.Parameter(torch.randn(width, count) * config.initializer_range)
        self.experts = nn.Module()
        self.experts.w1 = nn.Parameter(torch.randn(count, width, hidden) * config.initializer_range)
        self.experts.b1 = nn.Parameter(torch.zeros(count, hidden))
        self.experts.w2 = nn.Parameter(torch.randn(count, hidden, width) * config.initializer_range)
        self.experts.b2 = nn.Parameter(torch.zeros(count, width))
        self.act = ACT2FN[config.activation_function]

    def forward(self, x):
        tokens = x.reshape(-1, x.shape[-1])
        weights = self.route(tokens.float() @ self.router.weight.float()).to(x.dtype)
        y = torch.zeros_like(tokens)
        e = self.experts
        for i in range(weights.shape[1]):
            taken = weights[:, i].nonzero().squeeze(1)
            hidden = self.act(tokens[taken] @ e.w1[i] + e.b1[i])
            y.index_add_(0, taken, weights[taken, i, None] * (hidden @ e.w2[i] + e.b2[i]))
        return y.reshape(x.shape)

    def route(self, logits):
        """The weight of each expert for each token [T, N]: 0 for those that it does not take."""
        kind, count = self.options["type"], logits.shape[1]
        if kind == "base":
            best = logits.argmax(1, keepdim=True)
            return torch.zeros_like(logits).scatter(1, best, logits.gather(1, best).sigmoid())
        p, order = logits.softmax(1).sort(dim=1, descending=True, stable=True)
        if kind == "threshold":
            t = self.options["threshold"]
            # As many as there are before the sum reaches t, and the one that reaches it.
            reached = math.ceil((t - 1e-6) * ONE) - count if t < 1 else math.inf
            before = (p.double().clamp(max=1) * ONE).floor().cumsum(1).roll(1, 1)
            before[:, 0] = -math.inf
            keep = before < reached
            keep[:, self.options.get("maxExpertsPerToken") or count :] = False
        else:
            keep = torch.arange(count, device=p.device) < {"topk": self.options.get("k"), "switch": 1}[kind]
        p = torch.where(keep, torch.full_like(p, 1 / count) if self.options.get("equalWeights") else p, 0.0)
        if self.options.get("renormalize"):
            p = p / p.sum(1, keepdim=True)
        return torch.zeros_like(p).scatter(1, order, p)


class XmoeForCausalLM(GPT2LMHeadModel):
    config_class = XmoeConfig

    def __init__(self, config):
        super().__init__(config)
        for index, block in enumerate(self.transformer.h, start=1):
            if index % config.moe["every"] == 0:
                block.mlp = Experts(config, index // config.moe["every"] - 1)
        self.post_init()

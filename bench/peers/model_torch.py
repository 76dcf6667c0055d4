"""A train step of GPT-2's shape in PyTorch, dense or with experts in every second layer: forward, backward, clipping, AdamW.

Speed only: weights and tokens are random, dropout is off on both sides. Half precision is autocast with a loss scale. Experts are
those of moe_torch.py's grouped layer with forced-uniform choices: an even load, one batched product, nothing read back.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        if hasattr(F, "scaled_dot_product_attention"):
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            hidden = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).masked_fill(hidden, float("-inf"))
            mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Dense(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.leave = nn.Linear(hidden, width)

    def forward(self, x):
        return self.leave(F.gelu(self.enter(x), approximate="tanh"))


class Experts(nn.Module):
    def __init__(self, width, experts, hidden, k):
        super().__init__()
        self.k = k
        self.gate = nn.Linear(width, experts, bias=False)
        self.w1 = nn.Parameter(torch.randn(experts, width, hidden) * 0.02)
        self.b1 = nn.Parameter(torch.zeros(experts, 1, hidden))
        self.w2 = nn.Parameter(torch.randn(experts, hidden, width) * 0.02)
        self.b2 = nn.Parameter(torch.zeros(experts, 1, width))

    def forward(self, x):
        tokens = x.reshape(-1, x.shape[-1])
        experts = self.gate.out_features
        choices = torch.arange(tokens.shape[0] * self.k, device=x.device).remainder(experts)
        order = torch.argsort(choices, stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(order.numel(), device=x.device)
        with torch.autocast(x.device.type, enabled=False):
            p = torch.softmax(F.linear(tokens.float(), self.gate.weight), dim=-1)
        weights = p.gather(1, choices.view(-1, self.k))
        rows = tokens.index_select(0, torch.div(order, self.k, rounding_mode="floor")).view(experts, -1, tokens.shape[1])
        hidden = F.gelu(rows @ self.w1 + self.b1, approximate="tanh")
        outputs = (hidden @ self.w2 + self.b2).view(-1, tokens.shape[1]).index_select(0, place)
        claims = outputs.view(tokens.shape[0], self.k, -1)
        return torch.bmm(weights.to(claims.dtype).unsqueeze(1), claims).reshape(x.shape)


class Block(nn.Module):
    def __init__(self, width, heads, feed_forward):
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.before_feed_forward = nn.LayerNorm(width)
        self.feed_forward = feed_forward

    def forward(self, x):
        x = x + self.attention(self.before_attention(x))
        return x + self.feed_forward(self.before_feed_forward(x))


class Model(nn.Module):
    def __init__(self, spec):
        super().__init__()
        width = spec["width"]
        self.tokens = nn.Embedding(spec["vocabulary"], width)
        self.positions = nn.Embedding(spec["length"], width)
        experts = spec.get("experts")
        sparse = lambda index: experts is not None and index % spec["every"] == 0
        blocks = [
            Block(width, spec["heads"], Experts(width, experts, spec["expertHidden"], spec["k"]) if sparse(index) else Dense(width, spec["hidden"]))
            for index in range(1, spec["layers"] + 1)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs, targets):
        x = self.tokens(inputs) + self.positions.weight
        logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)  # tied
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def train_step(spec, device):
    torch.manual_seed(1)
    model = Model(spec).to(device)
    with torch.no_grad():
        model.tokens.weight.mul_(0.02)
    # By default AdamW on a CPU is a loop of passes; one pass has to be asked for, and is there from 2.4 on.
    fused = {"fused": True} if spec.get("fused", device.type == "cuda") and tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4 if device.type == "cpu" else 0) else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, **fused)
    half = spec["dtype"] == "float16"
    scaler = torch.cuda.amp.GradScaler(enabled=half)
    ids = torch.randint(spec["vocabulary"], (spec["batch"], spec["length"] + 1), device=device)

    def run():
        with torch.autocast(device.type, dtype=torch.float16 if half else torch.bfloat16, enabled=half):
            loss = model(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return run, run().item()

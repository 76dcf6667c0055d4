"""Generation with a dense model of GPT-2's shape in PyTorch: greedy, keys and values in a cache that is made once and written in place."""
import torch
import torch.nn.functional as F


class Decoder:
    def __init__(self, spec, tensors):
        self.spec = spec
        self.weights = tensors
        size = spec["width"] // spec["heads"]
        shape = [spec["layers"], 2, spec["batch"], spec["heads"], spec["context"], size]
        self.cache = torch.zeros(shape, device=tensors["wte.weight"].device)
        self.length = 0

    def norm(self, name, x):
        return F.layer_norm(x, [x.shape[-1]], self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-5)

    def linear(self, name, x):
        return torch.addmm(self.weights[name + ".bias"], x.flatten(0, 1), self.weights[name + ".weight"]).view(*x.shape[:2], -1)

    def attention(self, layer, x):
        batch, count, width = x.shape
        past, length = self.length, self.length + count
        parts = self.linear(f"h.{layer}.attn.c_attn", x).chunk(3, dim=-1)
        q, k, v = (part.view(batch, count, self.spec["heads"], -1).transpose(1, 2) for part in parts)
        keys, values = self.cache[layer]
        keys[:, :, past:length] = k
        values[:, :, past:length] = v
        # A text is read at once only from its beginning.
        mixed = F.scaled_dot_product_attention(q, keys[:, :, :length], values[:, :, :length], is_causal=count > 1)
        return mixed.transpose(1, 2).reshape(batch, count, width)

    def read(self, tokens):
        """tokens [B, T], which come next -> logits [B, V] of the last"""
        count = tokens.shape[1]
        x = self.weights["wte.weight"][tokens] + self.weights["wpe.weight"][self.length:self.length + count]
        for layer in range(self.spec["layers"]):
            name = f"h.{layer}"
            x = x + self.linear(f"{name}.attn.c_proj", self.attention(layer, self.norm(f"{name}.ln_1", x)))
            hidden = F.gelu(self.linear(f"{name}.mlp.c_fc", self.norm(f"{name}.ln_2", x)), approximate="tanh")
            x = x + self.linear(f"{name}.mlp.c_proj", hidden)
        self.length += count
        return F.linear(self.norm("ln_f", x)[:, -1], self.weights["wte.weight"])


def generation(spec, formula):
    """Texts go on by spec["tokens"]; the value are the logits of the last text after its beginning and one more token."""
    tensors = {}
    for parameter in spec["parameters"]:
        shape, scale = parameter["shape"], parameter["scale"]
        made = formula(shape, parameter["seed"], 1 if scale is None else scale)
        tensors[parameter["name"]] = torch.ones_like(made) if scale is None else made
    beginnings = torch.tensor(spec["beginnings"], device=tensors["wte.weight"].device)  # with the one more token
    decoder = Decoder(spec, tensors)

    def run():
        with torch.inference_mode():
            decoder.length = 0
            tokens = beginnings[:, :-1]
            for _ in range(spec["tokens"]):
                tokens = decoder.read(tokens).argmax(-1, keepdim=True)
                tokens.tolist()  # they are wanted one by one

    with torch.inference_mode():
        decoder.read(beginnings[:, :-1])
        logits = decoder.read(beginnings[:, -1:])
    return run, logits[-1].tolist()

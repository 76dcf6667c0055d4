"""PyTorch's side of the peer benchmark: GEMM, a dense feed-forward layer and MoE layers, forward and backward; train steps.

It measures what it is told and prints numbers; what is measured, and against what, is in the TypeScript files beside it.
One JSON object per line: requests on stdin, answers on stdout (protocol in python.ts). Arguments: threads, then cpu or cuda.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

import decoder_torch
import model_torch

AUX_COEFFICIENT = 0.01
DEVICE = torch.device(sys.argv[2])


def formula(shape, seed, scale, dtype=torch.float32):
    """The tensor that formulaValues of formula.ts makes: both sides compute with the same numbers."""
    size = 1
    for extent in shape:
        size *= extent
    index = torch.arange(size, dtype=torch.int64)
    return (((index * (7919 + 2 * seed) + 31 * seed) % 10007).double() / 10007 - 0.5).mul(scale).float().reshape(shape).to(DEVICE, dtype)


def dtype_of(spec):
    return getattr(torch, spec.get("dtype", "float32"))


def gemm(spec):
    dtype = dtype_of(spec)
    a = formula([spec["M"], spec["K"]], 1, 1, dtype)
    b = formula([spec["N"], spec["K"]] if spec["transposeB"] else [spec["K"], spec["N"]], 2, 1, dtype)
    right = b.t() if spec["transposeB"] else b
    return (lambda: torch.mm(a, right)), torch.mm(a, right)[-1, -1].item()


def dense_layer(x, w1, b1, w2, b2):
    return torch.addmm(b2, F.gelu(torch.addmm(b1, x, w1), approximate="tanh"), w2), 0


def route(x, gate, choices):
    """The gate, in float32, with forced-uniform choices: weights p of the chosen experts [T, K], and the balance loss."""
    tokens, experts = x.shape[0], gate.shape[1]
    p = torch.softmax(x.float() @ gate, dim=-1)
    share = torch.bincount(p.argmax(-1), minlength=experts).float() / tokens
    return p.gather(1, choices), AUX_COEFFICIENT * experts * (share * p.mean(0)).sum()


def claims_by_expert(choices):
    """The claims [T·K] ordered by expert, and where each claim is in that order."""
    order = torch.argsort(choices.reshape(-1), stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel(), device=order.device)
    return order, place


def combine(outputs, place, weights):
    tokens, k = weights.shape
    claims = outputs.index_select(0, place).view(tokens, k, -1)
    return torch.bmm(weights.to(claims.dtype).unsqueeze(1), claims).squeeze(1)


def sorted_layer(x, gate, w1, b1, w2, b2, choices):
    """Claims sorted by expert, rows gathered, one product per expert, then per token the weighted sum of its claims."""
    weights, aux = route(x, gate, choices)
    order, place = claims_by_expert(choices)
    counts = torch.bincount(choices.reshape(-1), minlength=gate.shape[1]).tolist()
    rows = x.index_select(0, torch.div(order, choices.shape[1], rounding_mode="floor")).split(counts)
    # unbind, not w1[e]: its gradient is one stack instead of a zero tensor of all experts for each of them.
    experts = zip(rows, w1.unbind(0), b1.unbind(0), w2.unbind(0), b2.unbind(0))
    outputs = [dense_layer(part, *parameters)[0] for part, *parameters in experts]
    return combine(torch.cat(outputs), place, weights), aux


def grouped_layer(x, gate, w1, b1, w2, b2, choices):
    """As sorted_layer, but the products of all experts are one batched product: an even load makes the segments equal.

    Nothing is padded and no size is read back, so it is what the best grouped product would do for this load.
    """
    weights, aux = route(x, gate, choices)
    order, place = claims_by_expert(choices)
    rows = x.index_select(0, torch.div(order, choices.shape[1], rounding_mode="floor"))
    outputs = expert_products(rows.view(gate.shape[1], -1, x.shape[1]), w1, b1, w2, b2)
    return combine(outputs.reshape(rows.shape), place, weights), aux


def expert_products(rows, w1, b1, w2, b2):
    """rows [N, C, d] through their experts."""
    hidden = F.gelu(torch.baddbmm(b1.unsqueeze(1), rows, w1), approximate="tanh")
    return torch.baddbmm(b2.unsqueeze(1), hidden, w2)


def einsum_layer(x, gate, w1, b1, w2, b2, choices):
    """Dense dispatch as in the published code: masks [T, N, C] and an einsum over them on both sides of the experts.

    The masks are filled by one scatter, which is cheaper than a product of one-hot tensors per choice.
    """
    tokens, experts = x.shape[0], gate.shape[1]
    k = choices.shape[1]
    capacity = -(-tokens * k // experts)
    weights, aux = route(x, gate, choices)
    claimed = F.one_hot(choices, experts).sum(1)  # [T, N]
    slots = (claimed.cumsum(0) - 1).gather(1, choices)  # [T, K]
    token = torch.arange(tokens, device=x.device).unsqueeze(1).expand(-1, k)
    mask = torch.zeros(tokens, experts, capacity, dtype=x.dtype, device=x.device)
    mask = mask.index_put((token, choices, slots), weights.to(x.dtype))
    dispatch = (mask.detach() > 0).to(x.dtype)
    outputs = expert_products(torch.einsum("tnc,td->ncd", dispatch, x), w1, b1, w2, b2)
    return torch.einsum("tnc,ncd->td", mask, outputs), aux


def layer(spec):
    """Forward, then the gradients of the input and of all weights."""
    tokens, width, kind = spec["tokens"], spec["width"], spec["layer"]
    dtype = dtype_of(spec)
    x = formula([tokens, width], 1, 2, dtype).requires_grad_()
    dy = formula([tokens, width], 2, 2, dtype)
    parameters = []
    for i, shape in enumerate(spec["shapes"]):
        is_gate = kind != "dense" and i == 0
        scale = 2 * shape[-2] ** -0.5 if len(shape) > 1 else 0.1
        parameters.append(formula(shape, 3 + i, scale, torch.float32 if is_gate else dtype).requires_grad_())
    if kind == "dense":
        apply = lambda: dense_layer(x, *parameters)
    else:
        experts, k = spec["experts"], spec["k"]
        choices = torch.arange(tokens * k, device=DEVICE).remainder(experts).view(tokens, k)
        function = {"sorted": sorted_layer, "grouped": grouped_layer, "einsum": einsum_layer}[kind]
        apply = lambda: function(x, *parameters, choices)

    def run():
        output, aux = apply()
        loss = (output.float() * dy.float()).sum() + aux
        return loss, torch.autograd.grad(loss, [x, *parameters])

    # The loss, and a number that every gradient enters.
    loss, gradients = run()
    return run, [loss.item()] + [(g.double() * formula(list(g.shape), 9, 1, torch.float64)).sum().item() for g in gradients]


def model(spec):
    """A train step of a whole model; its value is the loss of the first."""
    return model_torch.train_step(spec, DEVICE)


def generation(spec):
    """Texts that go on, token by token; its value are logits."""
    return decoder_torch.generation(spec, formula)


PREPARE = {"gemm": gemm, "layer": layer, "model": model, "generation": generation}


def wait():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def answer(request, work):
    kind = request["request"]
    if kind == "prepare":
        work[request["id"]], value = PREPARE[request["kind"]](request["spec"])
        return {"value": value}
    if kind == "drop":
        work.clear()
        if DEVICE.type == "cuda":
            torch.cuda.empty_cache()
        return {}
    run = work[request["id"]]
    wait()
    start = time.perf_counter()
    for _ in range(request["loops"]):
        run()
    wait()
    return {"ms": 1000 * (time.perf_counter() - start)}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    work = {}
    # Raises where there is no such device.
    name = torch.cuda.get_device_name(DEVICE) if DEVICE.type == "cuda" else "CPU"
    print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads(), "device": name}), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), work)
        except Exception as error:  # whatever it is, the other side reports it
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()

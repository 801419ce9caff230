# SPDX-License-Identifier: Apache-2.0
"""The models of the device tests, with weights and inputs that do not depend on the GPU's size.

torch's CUDA random numbers do depend on it: the grid of its generators follows the multiprocessor
count, and with it which thread draws which number. Weights and inputs are therefore hashes of their
index.
"""

import hashlib
import math

import torch

CHUNK = 4096
RAW_BYTES = 16 << 20


def pseudo_random(shape, seed, scale, dtype=torch.float32):
    """Numbers in [-scale, scale), a function of index and seed alone."""
    n = math.prod(shape)
    x = torch.arange(n, dtype=torch.int32, device="cuda")
    x.add_(seed * 7919 + 1)
    for factor, shift in ((-1640531535, 15), (-2048144777, 13), (-1028477379, 16)):
        x.mul_(factor)
        x.bitwise_xor_(x.bitwise_right_shift(shift))
    return x.to(torch.float32).mul_(scale / 2**31).to(dtype).view(shape)


def token_ids(shape, vocabulary):
    x = torch.arange(math.prod(shape), dtype=torch.int64, device="cuda")
    return ((x * 2654435761 + 12345) % vocabulary).view(shape)


def fill(model):
    """Weights like a usual initialisation's: variance 1/fan-in, norms 1, biases 0."""
    with torch.no_grad():
        for seed, (name, p) in enumerate(model.named_parameters()):
            if p.dim() < 2:
                p.fill_(0 if name.endswith("bias") else 1)
                continue
            scale = math.sqrt(3 * p.shape[0] / p.numel())
            p.copy_(pseudo_random(tuple(p.shape), seed, scale, p.dtype))
    return model


def digest(tensors, raw_bytes=RAW_BYTES):
    """sha256 over tensors. Of those larger than raw_bytes the integer checksum of every 4096 words
    goes in instead of the words: position-weighted, modulo 2^64, so exact and independent of the
    order of summation."""
    total = hashlib.sha256()
    weights = torch.arange(1, 2 * CHUNK, 2, dtype=torch.int64, device="cuda")
    words = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    for tensor in tensors:
        flat = tensor.detach().contiguous().flatten()
        flat = flat.view(words[flat.element_size()])
        total.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        if flat.numel() * flat.element_size() > raw_bytes:
            whole = flat.numel() // CHUNK * CHUNK
            sums = (flat[:whole].view(-1, CHUNK).to(torch.int64) * weights).sum(1)
            total.update(sums.cpu().numpy().tobytes())
            flat = flat[whole:]
        total.update(flat.cpu().numpy().tobytes())
    return total.hexdigest()


def settle(strict):
    """How libraries pick their kernels: by rule, in full precision; strict: none without a fixed
    order."""
    torch.use_deterministic_algorithms(strict)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


class Case:
    """One model at work: step() does one iteration, outputs() is what must be bit-identical.

    fixed_steps: how many steps come before outputs() is taken; an inference needs one.
    """

    fixed_steps = 1

    def step(self):
        raise NotImplementedError

    def outputs(self):
        return [self.result]

    def synchronize(self):
        # Overridden where another library's work is waited for.
        torch.cuda.synchronize()


def resnet50(batch):
    import timm
    model = fill(timm.create_model("resnet50", pretrained=False)).cuda()
    model = model.half().to(memory_format=torch.channels_last)
    images = pseudo_random((batch, 3, 224, 224), 1, 1.7, torch.float16)
    return model, images.contiguous(memory_format=torch.channels_last)


class ResnetEager(Case):
    def __init__(self):
        self.model, self.images = resnet50(8)
        self.model.eval()

    @torch.no_grad()
    def step(self):
        self.result = self.model(self.images)


class ResnetGraph(ResnetEager):
    def __init__(self):
        super().__init__()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                super().step()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self.graph):
            self.result = self.model(self.images)

    def step(self):
        self.graph.replay()


class Training(Case):
    def begin(self, model, learning_rate):
        self.model = model.train()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
        self.losses = []

    def loss(self):
        raise NotImplementedError

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.detach().float())

    def outputs(self):
        return [torch.stack(self.losses), *self.model.parameters()]


class ResnetTraining(Training):
    """Half precision with single-precision norms: cuDNN then uses its cooperative batch
    normalisation."""

    fixed_steps = 3
    batch = 64

    def __init__(self):
        model, self.images = resnet50(self.batch)
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.float()
        self.labels = token_ids((self.batch,), 1000)
        self.begin(model, 1e-3)

    def loss(self):
        return torch.nn.functional.cross_entropy(self.model(self.images).float(), self.labels)


class ResnetTrainingLarge(ResnetTraining):
    """Bound by the GPU, and with kernels long enough to be split; for the cost of that
    (split_cost.py). With 256 images six processes are too many for 139 GiB, and PyTorch frees and
    allocates in every iteration."""

    batch = 192


class BertLarge(Case):
    def __init__(self):
        from transformers import BertConfig, BertModel
        config = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                            intermediate_size=4096)
        self.model = fill(BertModel(config)).cuda().half().eval()
        self.ids = token_ids((8, 128), 30000)

    @torch.no_grad()
    def step(self):
        self.result = self.model(input_ids=self.ids).last_hidden_state


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(hidden_size=4096, num_hidden_layers=8, num_attention_heads=32,
                         num_key_value_heads=8, intermediate_size=14336, vocab_size=32000,
                         max_position_embeddings=4096, use_cache=False, tie_word_embeddings=False)
    torch.set_default_dtype(torch.bfloat16)
    try:
        return fill(LlamaForCausalLM(config)).cuda()
    finally:
        torch.set_default_dtype(torch.float32)


class LlamaPrefill(Case):
    def __init__(self):
        self.model = llama().eval()
        self.ids = token_ids((1, 2048), 32000)

    @torch.no_grad()
    def step(self):
        self.result = self.model(input_ids=self.ids, use_cache=False).logits


class LlamaTraining(Training):
    fixed_steps = 2

    def __init__(self):
        self.ids = token_ids((2, 2048), 32000)
        self.begin(llama(), 1e-3)

    def loss(self):
        logits = self.model(input_ids=self.ids, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1),
                                                 self.ids[:, 1:].flatten())


try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton:
    @triton.jit
    def softmax_rows(out_ptr, in_ptr, nr_columns, block: tl.constexpr):
        row = tl.program_id(0)
        columns = tl.arange(0, block)
        inside = columns < nr_columns
        x = tl.load(in_ptr + row * nr_columns + columns, mask=inside, other=-float("inf"))
        x = tl.exp(x - tl.max(x, axis=0))
        tl.store(out_ptr + row * nr_columns + columns, x / tl.sum(x, axis=0), mask=inside)


class TritonSoftmax(Case):
    def __init__(self):
        if not triton:
            raise ImportError("triton")
        self.x = pseudo_random((8192, 2000), 3, 4.0)
        self.result = torch.empty_like(self.x)

    def step(self):
        softmax_rows[(self.x.shape[0],)](self.result, self.x, self.x.shape[1], block=2048)


class JaxJit(Case):
    """Beside torch in one process; hashed as the bytes its own array gives."""

    def __init__(self):
        import jax
        import jax.numpy as jnp

        @jax.jit
        def work(x, w):
            y = jnp.tanh(x @ w)
            return y, y.sum()

        def numbers(shape, odd):
            i = jnp.arange(math.prod(shape), dtype=jnp.int32)
            return ((i * odd % 2003) / 2003.0 - 0.5).astype(jnp.float32).reshape(shape)

        self.result = None
        self.work, self.x, self.w = work, numbers((2048, 2048), 1237), numbers((2048, 2048), 1559)

    def step(self):
        self.result = self.work(self.x, self.w)

    def synchronize(self):
        for array in self.result or ():
            array.block_until_ready()

    def outputs(self):
        import numpy
        return [torch.from_numpy(numpy.array(array)).reshape(-1).cuda() for array in self.result]


CASES = {
    "resnet50-b8-eager": ResnetEager,
    "resnet50-b8-graph": ResnetGraph,
    "resnet50-b64-training": ResnetTraining,
    "bert-large-b8": BertLarge,
    "triton-softmax": TritonSoftmax,
    "llama8-prefill-2048": LlamaPrefill,
    "llama8-training-2x2048": LlamaTraining,
    "jax-jit": JaxJit,
}

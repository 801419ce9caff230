# SPDX-License-Identifier: Apache-2.0
"""Operations of libraries, by name: what library.py runs.

An entry is a function that makes the inputs and returns a function without arguments; that one does
the work and returns tensors. Inputs are hashes of their index (zoo.py), nothing is changed in
place, so an entry can be run any number of times. Shapes are such that a grid has many blocks and a
kernel takes some 20 us to 2 ms; what launches many small kernels (factorisations, recurrent
networks) is kept small. An operation that this release or this GPU lacks raises, and library.py
notes it.
"""

import functools

import torch
import torch.nn.functional as F

import zoo

COUNT = 1 << 23
ROWS = (2048, 4096)
DTYPES = {
    "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64,
    "i8": torch.int8, "u8": torch.uint8, "i32": torch.int32, "i64": torch.int64, "bool": torch.bool,
    "e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2,
    "c64": torch.complex64, "c128": torch.complex128,
}
FLOATS = ("f32", "f16", "bf16", "f64")
TABLE = {}


def numbers(*shape, dtype="f32", seed=1, scale=1.0):
    kind = DTYPES[dtype]
    if kind.is_complex:
        half = torch.float32 if dtype == "c64" else torch.float64
        parts = [zoo.pseudo_random(shape, seed + i, scale, half) for i in (0, 100)]
        return torch.complex(*parts)
    if kind is torch.bool:
        return zoo.pseudo_random(shape, seed, 1.0) > 0
    if not kind.is_floating_point:
        whole = zoo.pseudo_random(shape, seed, 100.0)
        return (whole.abs() if kind is torch.uint8 else whole).to(kind)
    return zoo.pseudo_random(shape, seed, scale, kind)


def x(*shape, **how):
    """An input that is made when its entry is."""
    return functools.partial(numbers, *shape, **how)


def ids(shape, below):
    return functools.partial(zoo.token_ids, shape, below)


def made(value):
    return value() if isinstance(value, functools.partial) else value


def add(name, function, *inputs):
    """The entry `name`: the function, of the inputs."""
    def make():
        ready = [made(value) for value in inputs]
        return lambda: function(*ready)

    if name in TABLE:
        raise ValueError("two entries " + name)
    TABLE[name] = make


def tensors(value):
    """The tensors of nested tuples, lists and dictionaries, in order."""
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [t for inner in value for t in tensors(inner)]
    return []


def gradients(outputs, leaves):
    """Of the outputs weighted by themselves."""
    outputs = [o for o in outputs if o.requires_grad]
    grads = torch.autograd.grad(outputs, leaves, [o.detach() for o in outputs], allow_unused=True)
    return [g for g in grads if g is not None]


def both(function):
    """Forward and backward: the outputs and the gradients of all floating-point inputs."""
    def run(*inputs):
        leaves = [t.detach().requires_grad_() if torch.is_tensor(t) and t.is_floating_point() else t
                  for t in inputs]
        outputs = tensors(function(*leaves))
        return outputs + gradients(outputs, [t for t in leaves if torch.is_tensor(t) and t.requires_grad])
    return run


def strictly(function):
    """With the deterministic form of everything; raises where there is none."""
    def run(*inputs):
        torch.use_deterministic_algorithms(True)
        try:
            return function(*inputs)
        finally:
            torch.use_deterministic_algorithms(False)
    return run


def with_tf32(function):
    def run(*inputs):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        try:
            return function(*inputs)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return run


def unary():
    names = ("abs neg exp log sqrt rsqrt sin cos tan tanh sigmoid erf erfinv expm1 log1p log2 floor round "
             "trunc sign reciprocal asin atan sinh asinh exp2 lgamma digamma")
    for op in names.split():
        for dtype in FLOATS:
            add(f"unary.{op}.{dtype}", getattr(torch, op), x(COUNT, dtype=dtype))
    for op in ("abs", "neg", "sign", "bitwise_not"):
        for dtype in ("i32", "i64"):
            add(f"unary.{op}.{dtype}", getattr(torch, op), x(COUNT, dtype=dtype))
    for op in ("abs", "neg", "exp", "reciprocal"):
        add(f"unary.{op}.c64", getattr(torch, op), x(COUNT // 2, dtype="c64"))
    names = ("relu gelu silu elu leaky_relu hardswish mish softplus hardsigmoid selu logsigmoid hardtanh "
             "softshrink")
    for op in names.split():
        for dtype in ("f32", "bf16"):
            add(f"activation.{op}.{dtype}", both(getattr(F, op)), x(COUNT, dtype=dtype, scale=4.0))


def binary():
    for op in ("add", "sub", "mul", "maximum", "minimum", "eq", "lt"):
        for dtype in (*FLOATS, "i32", "i64"):
            add(f"binary.{op}.{dtype}", getattr(torch, op), x(COUNT, dtype=dtype),
                x(COUNT, dtype=dtype, seed=2))
    for op in ("div", "pow", "atan2", "fmod", "hypot", "copysign", "logaddexp"):
        for dtype in ("f32", "bf16", "f64"):
            add(f"binary.{op}.{dtype}", getattr(torch, op), x(COUNT, dtype=dtype),
                x(COUNT, dtype=dtype, seed=2))
    for op in ("bitwise_and", "bitwise_or", "bitwise_xor", "gcd"):
        for dtype in ("i32", "i64", "u8"):
            add(f"binary.{op}.{dtype}", getattr(torch, op), x(COUNT, dtype=dtype),
                x(COUNT, dtype=dtype, seed=2))
    for dtype in ("f32", "f16", "i32", "c64"):
        add(f"scalar.add.{dtype}", lambda a: a + 3, x(COUNT, dtype=dtype))
        add(f"scalar.mul.{dtype}", lambda a: a * 3, x(COUNT, dtype=dtype))
        # Not dense: kernels other than those for vectors.
        add(f"strided.add.{dtype}", lambda a: a[:, ::2] + a[:, 1::2], x(*ROWS, dtype=dtype))
        add(f"strided.transpose.{dtype}", lambda a: a.t().contiguous(), x(*ROWS, dtype=dtype))
        add(f"broadcast.mul.{dtype}", torch.mul, x(*ROWS, dtype=dtype), x(ROWS[1], dtype=dtype, seed=2))
    for dtype in ("f32", "bf16", "f64"):
        a, b, c = (x(COUNT, dtype=dtype, seed=seed) for seed in (1, 2, 3))
        mask = x(COUNT, dtype="bool", seed=4)
        add(f"ternary.where.{dtype}", torch.where, mask, a, b)
        add(f"ternary.clamp.{dtype}", torch.clamp, a, -0.5, 0.5)
        add(f"ternary.lerp.{dtype}", torch.lerp, a, b, c)
        add(f"ternary.addcmul.{dtype}", torch.addcmul, a, b, c)
        add(f"ternary.addcdiv.{dtype}", torch.addcdiv, a, b, c)
        add(f"ternary.masked_fill.{dtype}", torch.masked_fill, a, mask, 2.0)


def casts():
    others = [d for d in DTYPES if d not in ("f32", "c64", "c128")]
    pairs = [("f32", d) for d in others] + [(d, "f32") for d in others]
    pairs += [("f16", "bf16"), ("bf16", "f16"), ("i64", "i32"), ("i32", "i64"), ("bf16", "f64"),
              ("bool", "i64"), ("i64", "f16"), ("u8", "f16")]
    for source, target in pairs:
        add(f"cast.{source}.{target}", lambda a, kind: a.to(kind), x(COUNT, dtype=source), DTYPES[target])


def reductions():
    operations = {
        "sum": torch.sum, "mean": torch.mean, "amax": torch.amax, "std": torch.std,
        "logsumexp": torch.logsumexp, "norm": lambda a, dim: torch.linalg.vector_norm(a, dim=dim),
        "norm1": lambda a, dim: torch.linalg.vector_norm(a, 1, dim=dim),
    }
    for dtype in ("f32", "bf16", "f64"):
        for name, op in operations.items():
            for dim in ((0, 1), 0, 1):
                label = "all" if dim == (0, 1) else dim
                add(f"reduce.{name}.{label}.{dtype}", op, x(*ROWS, dtype=dtype), dim)
        for dim in (0, 1):
            add(f"reduce.argmax.{dim}.{dtype}", torch.argmax, x(*ROWS, dtype=dtype), dim)
            add(f"reduce.min.{dim}.{dtype}", torch.min, x(*ROWS, dtype=dtype), dim)
            add(f"reduce.prod.{dim}.{dtype}", torch.prod, x(*ROWS, dtype=dtype, scale=1.7), dim)
    for dtype in ("i32", "i64", "bool"):
        add(f"reduce.sum.{dtype}", torch.sum, x(*ROWS, dtype=dtype))
        add(f"reduce.any.{dtype}", torch.any, x(*ROWS, dtype=dtype), 1)
        add(f"reduce.count_nonzero.{dtype}", torch.count_nonzero, x(*ROWS, dtype=dtype), 0)
    add("reduce.sum.c64", torch.sum, x(*ROWS, dtype="c64"), 1)
    add("reduce.var_mean", torch.var_mean, x(*ROWS), 1)
    add("reduce.aminmax", torch.aminmax, x(*ROWS))
    add("reduce.cdist", torch.cdist, x(1024, 64), x(1024, 64, seed=2))


def softmaxes():
    shapes = {"warp": ((8192, 512), -1), "block": ((2048, 4096), -1), "long": ((64, 100000), -1),
              "spatial": ((16, 64, 64, 64), 1)}
    for dtype in ("f32", "f16", "bf16"):
        for label, (shape, dim) in shapes.items():
            for op in (F.softmax, F.log_softmax):
                add(f"softmax.{op.__name__}.{label}.{dtype}", both(op), x(*shape, dtype=dtype, scale=4.0),
                    dim)


def norms():
    images = (16, 128, 56, 56)
    statistics = [functools.partial(torch.zeros, 128), functools.partial(torch.ones, 128)]
    for dtype in ("f32", "f16", "bf16"):
        weight, bias = x(1024, dtype=dtype, seed=2), x(1024, dtype=dtype, seed=3)
        add(f"norm.layer.{dtype}", both(lambda a, w, b: F.layer_norm(a, (1024,), w, b)),
            x(8192, 1024, dtype=dtype), weight, bias)
        add(f"norm.rms.{dtype}", both(lambda a, w: F.rms_norm(a, (1024,), w, 1e-5)),
            x(8192, 1024, dtype=dtype), weight)
        add(f"norm.group.{dtype}", both(lambda a, w, b: F.group_norm(a, 32, w, b)), x(*images, dtype=dtype),
            x(128, dtype=dtype, seed=2), x(128, dtype=dtype, seed=3))
        for layout in (torch.contiguous_format, torch.channels_last):
            label = "nhwc" if layout is torch.channels_last else "nchw"
            for training in (True, False):
                add(f"norm.batch.{label}.{'train' if training else 'eval'}.{dtype}",
                    batch_norm(layout, training, True), x(*images, dtype=dtype), x(128, seed=2),
                    x(128, seed=3), *statistics)
            add(f"norm.batch.{label}.native.{dtype}", batch_norm(layout, True, False),
                x(*images, dtype=dtype), x(128, seed=2), x(128, seed=3), *statistics)
    add("norm.instance", both(F.instance_norm), x(*images))
    add("norm.local_response", both(lambda a: F.local_response_norm(a, 5)), x(*images))
    add("norm.normalize", both(F.normalize), x(*ROWS))


def batch_norm(layout, training, use_cudnn):
    def run(images, weight, bias, mean, var):
        images = images.contiguous(memory_format=layout)
        # The running statistics are changed in place: copies.
        mean, var = mean.clone(), var.clone()
        torch.backends.cudnn.enabled = use_cudnn
        try:
            return both(lambda a, w, b: F.batch_norm(a, mean, var, w, b, training))(images, weight, bias)
        finally:
            torch.backends.cudnn.enabled = True
    return run


def pooling():
    for dtype in ("f32", "f16"):
        flat, images, volumes = (8, 64, 16384), (16, 64, 96, 96), (4, 32, 24, 48, 48)
        for rank, shape in ((1, flat), (2, images), (3, volumes)):
            add(f"pool.max{rank}d.{dtype}", both(getattr(F, f"max_pool{rank}d")), x(*shape, dtype=dtype), 3, 2)
            add(f"pool.avg{rank}d.{dtype}", both(getattr(F, f"avg_pool{rank}d")), x(*shape, dtype=dtype), 3, 2)
            add(f"pool.adaptive_avg{rank}d.{dtype}", both(getattr(F, f"adaptive_avg_pool{rank}d")),
                x(*shape, dtype=dtype), 7)
            add(f"pool.adaptive_max{rank}d.{dtype}", both(getattr(F, f"adaptive_max_pool{rank}d")),
                x(*shape, dtype=dtype), 7)
        add(f"pool.max2d.nhwc.{dtype}", both(lambda a: F.max_pool2d(
            a.contiguous(memory_format=torch.channels_last), 3, 2)), x(*images, dtype=dtype))
        add(f"pool.avg2d.nhwc.{dtype}", both(lambda a: F.avg_pool2d(
            a.contiguous(memory_format=torch.channels_last), 3, 2)), x(*images, dtype=dtype))


def matmuls():
    shapes = ((1024, 1024, 1024), (4096, 4096, 1024), (2048, 512, 4096), (129, 257, 513), (64, 64, 16384),
              (16, 8192, 4096), (8192, 64, 1024))
    for rows, columns, inner in shapes:
        size = f"{rows}x{columns}x{inner}"
        for dtype in FLOATS:
            a, b = x(rows, inner, dtype=dtype), x(inner, columns, dtype=dtype, seed=2)
            at, bt = x(inner, rows, dtype=dtype), x(columns, inner, dtype=dtype, seed=2)
            add(f"matmul.nn.{size}.{dtype}", torch.mm, a, b)
            add(f"matmul.nt.{size}.{dtype}", lambda p, q: p @ q.t(), a, bt)
            if dtype in ("f16", "bf16"):
                add(f"matmul.tn.{size}.{dtype}", lambda p, q: p.t() @ q, at, b)
                add(f"matmul.tt.{size}.{dtype}", lambda p, q: p.t() @ q.t(), at, bt)
        add(f"matmul.tf32.{size}", with_tf32(torch.mm), x(rows, inner), x(inner, columns, seed=2))
    for dtype in (*FLOATS, "c64"):
        add(f"matmul.batched.{dtype}", torch.bmm, x(32, 256, 128, dtype=dtype),
            x(32, 128, 256, dtype=dtype, seed=2))
        add(f"matmul.vector.{dtype}", torch.mv, x(4096, 4096, dtype=dtype), x(4096, dtype=dtype, seed=2))
        add(f"matmul.dot.{dtype}", torch.dot, x(COUNT, dtype=dtype), x(COUNT, dtype=dtype, seed=2))
    for dtype in ("f32", "f16", "bf16"):
        bias, a, w = x(1024, dtype=dtype, seed=3), x(2048, 512, dtype=dtype), x(512, 1024, dtype=dtype, seed=2)
        add(f"matmul.bias.{dtype}", torch.addmm, bias, a, w)
        add(f"matmul.gelu.{dtype}", lambda b, p, q: torch._addmm_activation(b, p, q, use_gelu=True), bias, a, w)
        add(f"matmul.relu.{dtype}", lambda b, p, q: torch._addmm_activation(b, p, q), bias, a, w)
        add(f"matmul.linear.{dtype}", both(F.linear), a, x(1024, 512, dtype=dtype, seed=2), bias)
        add(f"matmul.baddbmm.{dtype}", torch.baddbmm, x(16, 256, 256, dtype=dtype),
            x(16, 256, 64, dtype=dtype, seed=2), x(16, 64, 256, dtype=dtype, seed=3))
    for dtype in ("c64", "c128"):
        add(f"matmul.complex.{dtype}", torch.mm, x(1024, 512, dtype=dtype), x(512, 1024, dtype=dtype, seed=2))
    add("matmul.int8", lambda a, b: torch._int_mm(a, b.t()), x(1024, 1024, dtype="i8"),
        x(2048, 1024, dtype="i8", seed=2))
    add("matmul.einsum", torch.einsum, "bij,bkj->bik", x(16, 256, 128), x(16, 256, 128, seed=2))
    add("matmul.fp8", fp8_product, x(2048, 1024, dtype="e4m3"), x(2048, 1024, dtype="e4m3", seed=2),
        functools.partial(torch.ones, ()), functools.partial(torch.ones, ()))
    add("matmul.fp8.rowwise", fp8_product, x(2048, 1024, dtype="e4m3"), x(2048, 1024, dtype="e4m3", seed=2),
        functools.partial(torch.ones, 2048, 1), functools.partial(torch.ones, 1, 2048))


def fp8_product(a, b, scale_a, scale_b):
    return torch._scaled_mm(a, b.t(), scale_a=scale_a, scale_b=scale_b, out_dtype=torch.bfloat16)


def convolutions():
    cases = {
        "1x1": (F.conv2d, (16, 256, 28, 28), (256, 256, 1, 1), {}),
        "3x3": (F.conv2d, (16, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
        "3x3.stride": (F.conv2d, (16, 128, 56, 56), (128, 128, 3, 3), {"stride": 2, "padding": 1}),
        "7x7": (F.conv2d, (8, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
        "dilated": (F.conv2d, (8, 64, 56, 56), (64, 64, 3, 3), {"padding": 2, "dilation": 2}),
        "grouped": (F.conv2d, (16, 128, 28, 28), (128, 4, 3, 3), {"padding": 1, "groups": 32}),
        "depthwise": (F.conv2d, (16, 128, 56, 56), (128, 1, 3, 3), {"padding": 1, "groups": 128}),
        "1d": (F.conv1d, (16, 128, 4096), (128, 128, 5), {"padding": 2}),
        "3d": (F.conv3d, (4, 32, 16, 32, 32), (32, 32, 3, 3, 3), {"padding": 1}),
        "transposed": (F.conv_transpose2d, (16, 128, 28, 28), (128, 64, 4, 4), {"stride": 2, "padding": 1}),
    }
    for name, (function, images, weight, options) in cases.items():
        run = both(functools.partial(call_with, function, options))
        for dtype in ("f32", "f16", "bf16"):
            add(f"conv.{name}.{dtype}", run, x(*images, dtype=dtype), x(*weight, dtype=dtype, seed=2, scale=0.1))
        if len(images) == 4:
            nhwc = both(functools.partial(call_with, channels_last(function), options))
            add(f"conv.{name}.nhwc.f16", nhwc, x(*images, dtype="f16"),
                x(*weight, dtype="f16", seed=2, scale=0.1))
            add(f"conv.{name}.tf32", with_tf32(run), x(*images), x(*weight, seed=2, scale=0.1))
    add("conv.3x3.f64", both(functools.partial(call_with, F.conv2d, {"padding": 1})),
        x(8, 32, 56, 56, dtype="f64"), x(32, 32, 3, 3, dtype="f64", seed=2))


def call_with(function, options, *inputs):
    return function(*inputs, **options)


def channels_last(function):
    def run(*inputs, **options):
        return function(*(t.contiguous(memory_format=torch.channels_last) for t in inputs), **options)
    return run


def attention():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def attend(backend, causal):
        def run(q, k, v):
            with sdpa_kernel(backend):
                return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return both(run)

    shapes = ((4, 16, 1024, 64), (2, 8, 1024, 128), (2, 8, 1000, 96))
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION,
                "math": SDPBackend.MATH, "cudnn": SDPBackend.CUDNN_ATTENTION}
    for name, backend in backends.items():
        for dtype in ("f16", "bf16", "f32"):
            if dtype == "f32" and name in ("flash", "cudnn"):
                continue
            for shape in shapes:
                for causal in (False, True):
                    inputs = [x(*shape, dtype=dtype, seed=seed) for seed in (1, 2, 3)]
                    label = f"attention.{name}.{shape[-1]}{'.causal' if causal else ''}.{dtype}"
                    add(label, attend(backend, causal), *inputs)
                    if causal and dtype == "f16" and name in ("flash", "efficient"):
                        add(label + ".strict", strictly(attend(backend, causal)), *inputs)


def indexing():
    table, words = x(32000, 512), ids((16, 1024), 32000)
    for dtype in ("f32", "f16", "bf16"):
        add(f"index.embedding.{dtype}", both(lambda w, i: F.embedding(i, w)), x(32000, 512, dtype=dtype), words)
        add(f"index.select.{dtype}", torch.index_select, x(*ROWS, dtype=dtype), 0, ids((3000,), 2048))
        add(f"index.gather.{dtype}", torch.gather, x(*ROWS, dtype=dtype), 1, ids((2048, 2000), 4096))
        add(f"index.scatter.{dtype}", lambda a, i: a.scatter(1, i.argsort(1), a), x(512, 2048, dtype=dtype),
            ids((512, 2048), 2048))
        for name, wrap in (("", lambda f: f), (".strict", strictly)):
            add(f"index.add{name}.{dtype}", wrap(torch.index_add), x(*ROWS, dtype=dtype), 0,
                ids((4096,), 2048), x(4096, 4096, dtype=dtype, seed=2))
            add(f"index.scatter_add{name}.{dtype}", wrap(torch.scatter_add), x(*ROWS, dtype=dtype), 1,
                ids(ROWS, 4096), x(*ROWS, dtype=dtype, seed=2))
            add(f"index.put{name}.{dtype}", wrap(lambda a, i, b: a.index_put((i,), b, accumulate=True)),
                x(*ROWS, dtype=dtype), ids((4096,), 2048), x(4096, 4096, dtype=dtype, seed=2))
    add("index.embedding_bag", lambda w, i: F.embedding_bag(i, w, mode="mean"), table, words)
    add("index.scatter_add.i64", torch.scatter_add, x(*ROWS, dtype="i64"), 1, ids(ROWS, 4096),
        x(*ROWS, dtype="i64", seed=2))
    add("index.scatter_reduce", lambda a, i, b: a.scatter_reduce(1, i, b, "amax"), x(*ROWS), ids(ROWS, 4096),
        x(*ROWS, seed=2))
    add("index.take", torch.take, x(COUNT), ids((COUNT // 2,), COUNT))
    add("index.copy", torch.index_copy, x(*ROWS), 0, functools.partial(torch.arange, 2047, -1, -1),
        x(*ROWS, seed=2))
    add("index.masked_select", torch.masked_select, x(COUNT), x(COUNT, dtype="bool", seed=2))
    add("index.masked_scatter", torch.masked_scatter, x(COUNT), x(COUNT, dtype="bool", seed=2), x(COUNT, seed=3))
    add("index.boolean", lambda a, mask: a[mask], x(*ROWS), x(ROWS[0], dtype="bool", seed=2))
    add("index.repeat_interleave", torch.repeat_interleave, x(2048, 256), ids((2048,), 8), 0)
    add("index.roll", torch.roll, x(*ROWS), (5, 7), (0, 1))
    add("index.flip", torch.flip, x(*ROWS), (0, 1))
    add("index.tril", torch.tril, x(*ROWS))
    add("index.one_hot", F.one_hot, ids((8192,), 500), 500)
    for dtype in ("f32", "f16", "i64"):
        add(f"index.cat.{dtype}", lambda a, b: torch.cat((a, b), 1), x(*ROWS, dtype=dtype),
            x(2048, 100, dtype=dtype, seed=2))
        add(f"index.stack.{dtype}", lambda a, b: torch.stack((a, b), -1), x(*ROWS, dtype=dtype),
            x(*ROWS, dtype=dtype, seed=2))


def scans_and_sorts():
    for dtype in ("f32", "f16", "f64", "i32", "i64"):
        add(f"scan.cumsum.flat.{dtype}", torch.cumsum, x(COUNT, dtype=dtype), 0)
        add(f"scan.cumsum.rows.{dtype}", torch.cumsum, x(*ROWS, dtype=dtype), 1)
        add(f"scan.cumsum.columns.{dtype}", torch.cumsum, x(*ROWS, dtype=dtype), 0)
        add(f"sort.flat.{dtype}", lambda a: torch.sort(a, stable=True), x(COUNT // 4, dtype=dtype))
        add(f"sort.rows.{dtype}", lambda a: torch.sort(a, stable=True), x(1024, 2048, dtype=dtype))
        add(f"sort.small.{dtype}", lambda a: torch.sort(a, stable=True), x(16384, 100, dtype=dtype))
        add(f"topk.rows.{dtype}", lambda a: torch.topk(a, 50)[0], x(256, 8192, dtype=dtype))
        add(f"topk.long.{dtype}", lambda a: torch.topk(a, 50)[0], x(4, 1 << 19, dtype=dtype))
        add(f"unique.{dtype}", lambda a: torch.unique(a, return_inverse=True, return_counts=True),
            x(COUNT // 8, dtype=dtype))
        add(f"nonzero.{dtype}", torch.nonzero, x(*ROWS, dtype=dtype))
    add("scan.cumsum.strict", strictly(torch.cumsum), x(COUNT), 0)
    add("scan.cumprod", torch.cumprod, x(*ROWS, scale=1.7), 1)
    add("scan.cumprod.flat", torch.cumprod, x(COUNT, scale=1.7), 0)
    add("scan.cummax", torch.cummax, x(*ROWS), 1)
    add("scan.logcumsumexp", torch.logcumsumexp, x(*ROWS), 1)
    add("sort.median", torch.median, x(1024, 2048), 1)
    add("sort.kthvalue", torch.kthvalue, x(1024, 2048), 100, 1)
    add("sort.mode", torch.mode, x(512, 1024, dtype="i32"), 1)
    add("sort.search", torch.searchsorted, functools.partial(torch.linspace, -1, 1, 4096), x(COUNT))
    add("sort.unique_consecutive", torch.unique_consecutive, x(COUNT // 8, dtype="i32"))
    add("sort.unique_rows", lambda a: torch.unique(a, dim=0), x(4096, 2, dtype="i32"))
    add("count.bincount", torch.bincount, ids((COUNT,), 4096))
    add("count.histc", torch.histc, x(COUNT), 256)


def recurrent():
    for kind in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN):
        for dtype in ("f32", "f16"):
            for bidirectional in (False, True):
                label = f"recurrent.{kind.__name__}{'.bi' if bidirectional else ''}.{dtype}"
                options = {"num_layers": 2, "bidirectional": bidirectional}
                TABLE[label] = functools.partial(recurrent_entry, kind, dtype, options)
    for kind in (torch.nn.LSTMCell, torch.nn.GRUCell):
        TABLE[f"recurrent.{kind.__name__}"] = functools.partial(recurrent_entry, kind, "f32", {})


def recurrent_entry(kind, dtype, options):
    module = zoo.fill(kind(256, 512, **options)).cuda().to(DTYPES[dtype])
    inputs = numbers(*((32, 64, 256) if options else (4096, 256)), dtype=dtype)

    def run():
        outputs = tensors(module(inputs))
        return outputs + gradients(outputs, list(module.parameters()))
    return run


def transforms():
    for dtype in ("f32", "f64"):
        for length in (256, 1000, 1021, 4096, 16384):
            rows = (1 << 21) // length
            add(f"fft.rfft.{length}.{dtype}", torch.fft.rfft, x(rows, length, dtype=dtype))
            add(f"fft.fft.{length}.{dtype}", torch.fft.fft,
                x(rows, length, dtype="c64" if dtype == "f32" else "c128"))
        add(f"fft.irfft.{dtype}", torch.fft.irfft, x(1024, 1025, dtype="c64" if dtype == "f32" else "c128"))
        add(f"fft.2d.{dtype}", torch.fft.rfft2, x(8, 512, 512, dtype=dtype))
        add(f"fft.3d.{dtype}", torch.fft.rfftn, x(128, 128, 128, dtype=dtype))
    add("fft.f16", torch.fft.rfft, x(1024, 1024, dtype="f16"))
    add("fft.stft", lambda a, w: torch.stft(a, 512, window=w, return_complex=True), x(8, 65536), x(512, seed=2))


def definite(n, dtype="f32", batch=()):
    """Symmetric, positive definite, well conditioned."""
    a = numbers(*batch, n, n, dtype=dtype)
    return a @ a.mT + n * torch.eye(n, dtype=a.dtype)


def algebra():
    for dtype in ("f32", "f64"):
        spd = functools.partial(definite, 512, dtype)
        small = functools.partial(definite, 32, dtype, (256,))
        tall = x(512, 128, dtype=dtype)
        for label, matrix in (("512", spd), ("batch", small)):
            add(f"linalg.cholesky.{label}.{dtype}", torch.linalg.cholesky, matrix)
            add(f"linalg.lu.{label}.{dtype}", torch.linalg.lu_factor, matrix)
            add(f"linalg.inv.{label}.{dtype}", torch.linalg.inv, matrix)
            add(f"linalg.det.{label}.{dtype}", torch.linalg.slogdet, matrix)
            add(f"linalg.solve.{label}.{dtype}", lambda a: torch.linalg.solve(a, a[..., :16] * 2), matrix)
            add(f"linalg.cholesky_solve.{label}.{dtype}", lambda a: torch.cholesky_solve(a[..., :16], a), matrix)
            add(f"linalg.triangular.{label}.{dtype}", lambda a: torch.linalg.solve_triangular(
                a.tril(), a[..., :16], upper=False), matrix)
        add(f"linalg.eigh.128.{dtype}", torch.linalg.eigh, functools.partial(definite, 128, dtype))
        add(f"linalg.eigh.batch.{dtype}", torch.linalg.eigh, small)
        add(f"linalg.eigvalsh.{dtype}", torch.linalg.eigvalsh, functools.partial(definite, 128, dtype))
        add(f"linalg.svd.{dtype}", lambda a: torch.linalg.svd(a, full_matrices=False), x(128, 64, dtype=dtype))
        add(f"linalg.svd.batch.{dtype}", lambda a: torch.linalg.svd(a, full_matrices=False),
            x(64, 24, 24, dtype=dtype))
        add(f"linalg.qr.{dtype}", torch.linalg.qr, tall)
        add(f"linalg.qr.batch.{dtype}", torch.linalg.qr, x(64, 32, 16, dtype=dtype))
        add(f"linalg.lstsq.{dtype}", lambda a: torch.linalg.lstsq(a, a[:, :4]).solution, tall)
        add(f"linalg.triangular.wide.{dtype}", lambda a: torch.linalg.solve_triangular(
            a.tril(), a, upper=False), spd)
    add("linalg.matrix_exp", torch.linalg.matrix_exp, x(16, 64, 64))
    add("linalg.cross", torch.linalg.cross, x(1 << 20, 3), x(1 << 20, 3, seed=2))


def thinned(rows, columns, dtype="f32", seed=1):
    a = numbers(rows, columns, dtype=dtype, seed=seed)
    return torch.where(a.abs() > 0.95, a, torch.zeros_like(a))


def sparse():
    dense = functools.partial(thinned, 2048, 2048)
    for dtype in ("f32", "f16", "f64"):
        matrix = functools.partial(thinned, 2048, 2048, dtype)
        add(f"sparse.csr.matmul.{dtype}", lambda a, b: a.to_sparse_csr() @ b, matrix, x(2048, 256, dtype=dtype))
        add(f"sparse.csr.vector.{dtype}", lambda a, b: a.to_sparse_csr() @ b, matrix, x(2048, dtype=dtype))
        add(f"sparse.coordinates.matmul.{dtype}", lambda a, b: torch.sparse.mm(a.to_sparse(), b), matrix,
            x(2048, 256, dtype=dtype))
    add("sparse.csr.product", lambda a: values_of(a.to_sparse_csr() @ a.to_sparse_csr()), dense)
    add("sparse.coordinates.product", lambda a: values_of(torch.sparse.mm(a.to_sparse(), a.to_sparse())), dense)
    add("sparse.coalesce", lambda a: values_of((a.to_sparse() + a.t().to_sparse()).coalesce()), dense)
    add("sparse.sampled", lambda a, b: torch.sparse.sampled_addmm(a.to_sparse_csr(), b, b.t()).values(), dense,
        x(2048, 64))
    add("sparse.softmax", lambda a: values_of(torch.sparse.softmax(a.to_sparse(), 1)), dense)


def values_of(matrix):
    if matrix.layout is torch.sparse_csr:
        return [matrix.crow_indices(), matrix.col_indices(), matrix.values()]
    matrix = matrix.coalesce()
    return [matrix.indices(), matrix.values()]


def random_numbers():
    """Seeded by the runner. Their grids follow the number of SMs, which is the same in all runs
    here."""
    for dtype in ("f32", "f16", "f64"):
        kind = DTYPES[dtype]
        add(f"random.uniform.{dtype}", lambda k: torch.rand(COUNT, dtype=k), kind)
        add(f"random.normal.{dtype}", lambda k: torch.randn(COUNT, dtype=k), kind)
        add(f"random.exponential.{dtype}", lambda k: torch.empty(COUNT, dtype=k).exponential_(), kind)
        add(f"random.cauchy.{dtype}", lambda k: torch.empty(COUNT, dtype=k).cauchy_(), kind)
        add(f"random.dropout.{dtype}", both(F.dropout), x(COUNT, dtype=dtype), 0.3)
        add(f"random.bernoulli.{dtype}", lambda a: torch.bernoulli(a.abs()), x(COUNT, dtype=dtype))
    add("random.integers", lambda: torch.randint(0, 1000, (COUNT,)))
    add("random.permutation", lambda: torch.randperm(1 << 20))
    add("random.multinomial", lambda a: torch.multinomial(a.abs(), 64), x(1024, 4096))
    add("random.multinomial.again", lambda a: torch.multinomial(a.abs(), 64, True), x(1024, 4096))
    add("random.poisson", lambda a: torch.poisson(a.abs() * 9), x(COUNT // 4))
    add("random.gamma", lambda a: torch._standard_gamma(a.abs() + 1), x(COUNT // 4))


def images():
    for dtype in ("f32", "f16"):
        planes, solid = x(8, 32, 96, 96, dtype=dtype), x(2, 16, 32, 48, 48, dtype=dtype)
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
            add(f"image.resize.{mode}.{dtype}", functools.partial(resize, mode), planes)
        add(f"image.resize.backward.{dtype}", both(functools.partial(resize, "bilinear")), planes)
        add(f"image.resize.strict.{dtype}", strictly(both(functools.partial(resize, "bilinear"))), planes)
        add(f"image.resize.antialias.{dtype}", lambda a: F.interpolate(
            a, scale_factor=0.7, mode="bilinear", antialias=True), planes)
        add(f"image.resize.trilinear.{dtype}", functools.partial(resize, "trilinear"), solid)
        add(f"image.reflect.{dtype}", both(lambda a: F.pad(a, (3, 3, 3, 3), mode="reflect")), planes)
        add(f"image.replicate.{dtype}", both(lambda a: F.pad(a, (3, 3, 3, 3), mode="replicate")), planes)
        add(f"image.unfold.{dtype}", both(lambda a: F.unfold(a, 3, padding=1)), planes)
        add(f"image.shuffle.{dtype}", lambda a: F.pixel_shuffle(a, 2), planes)
        for mode in ("bilinear", "nearest", "bicubic"):
            add(f"image.grid_sample.{mode}.{dtype}", functools.partial(sample, mode), planes,
                x(8, 128, 128, 2, dtype=dtype, seed=2))
        add(f"image.grid_sample.3d.{dtype}", functools.partial(sample, "bilinear"), solid,
            x(2, 32, 48, 48, 3, dtype=dtype, seed=2))
    add("image.grid_sample.backward", both(functools.partial(sample, "bilinear")), x(8, 32, 96, 96),
        x(8, 128, 128, 2, seed=2))


def resize(mode, a):
    return F.interpolate(a, scale_factor=2.0, mode=mode)


def sample(mode, a, grid):
    return F.grid_sample(a, grid, mode=mode, align_corners=False)


def losses():
    for dtype in ("f32", "bf16"):
        a, b = x(8192, 1024, dtype=dtype), x(8192, 1024, dtype=dtype, seed=2)
        labels = ids((8192,), 1024)
        for op in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            add(f"loss.{op}.{dtype}", both(getattr(F, op)), a, b)
        for op in ("cross_entropy", "multi_margin_loss"):
            add(f"loss.{op}.{dtype}", both(getattr(F, op)), a, labels)
        add(f"loss.bce.{dtype}", both(lambda p, q: F.binary_cross_entropy_with_logits(p, q.detach().abs())), a, b)
        add(f"loss.soft_margin.{dtype}", both(lambda p, q: F.soft_margin_loss(p, q.detach().sign())), a, b)
        add(f"loss.kl_div.{dtype}", both(lambda p, q: F.kl_div(p, q, log_target=True)), a, b)
        add(f"loss.cosine.{dtype}", both(F.cosine_similarity), a, b)
    add("loss.nll2d", both(F.nll_loss), x(8, 32, 128, 128), ids((8, 128, 128), 32))
    add("loss.smoothed", both(lambda p, i: F.cross_entropy(p, i, label_smoothing=0.1)), x(8192, 1024),
        ids((8192,), 1024))
    add("loss.ctc", both(lambda p, i: F.ctc_loss(p.log_softmax(2), i + 1, [128] * 32, [20] * 32)),
        x(128, 32, 64), ids((32, 20), 60))


def optimizers():
    optim = torch.optim
    kinds = {
        "sgd": (optim.SGD, {"momentum": 0.9}), "adam": (optim.Adam, {}), "adamw": (optim.AdamW, {}),
        "rmsprop": (optim.RMSprop, {}), "adagrad": (optim.Adagrad, {}), "nadam": (optim.NAdam, {}),
        "adamax": (optim.Adamax, {}), "adadelta": (optim.Adadelta, {}), "rprop": (optim.Rprop, {}),
    }
    for name, (kind, options) in kinds.items():
        for dtype in ("f32", "bf16"):
            add(f"optimizer.{name}.foreach.{dtype}", optimize, kind, dict(options, foreach=True), dtype)
        add(f"optimizer.{name}.plain", optimize, kind, dict(options, foreach=False), "f32")
    for name in ("sgd", "adam", "adamw"):
        kind, options = kinds[name]
        for dtype in ("f32", "bf16"):
            add(f"optimizer.{name}.fused.{dtype}", optimize, kind, dict(options, fused=True), dtype)
    for op in ("add", "mul", "div", "maximum"):
        for dtype in ("f32", "f16"):
            add(f"foreach.{op}.{dtype}", getattr(torch, "_foreach_" + op), parameters(dtype, 1),
                parameters(dtype, 2))
    for op in ("sqrt", "exp", "abs", "neg", "norm"):
        for dtype in ("f32", "f16"):
            add(f"foreach.{op}.{dtype}", getattr(torch, "_foreach_" + op), parameters(dtype, 1))


def parameters(dtype, seed):
    def make():
        return [numbers(256, 512 * i, dtype=dtype, seed=seed + i) for i in range(1, 8)]
    return functools.partial(make)


def optimize(kind, options, dtype):
    weights = [w.requires_grad_() for w in parameters(dtype, 1)()]
    for weight, grad in zip(weights, parameters(dtype, 50)()):
        weight.grad = grad
    optimizer = kind(weights, lr=1e-2, **options)
    for _ in range(2):
        optimizer.step()
    return weights


def quantisation():
    scale, zero = functools.partial(torch.full, (4096,), 0.1), functools.partial(
        torch.zeros, 4096, dtype=torch.int32)
    add("quantise.tensor", both(lambda a: torch.fake_quantize_per_tensor_affine(a, 0.1, 0, -128, 127)),
        x(*ROWS, scale=10.0))
    add("quantise.channel", lambda a, s, z: torch.fake_quantize_per_channel_affine(a, s, z, 1, -128, 127),
        x(*ROWS, scale=10.0), scale, zero)
    add("quantise.int8", lambda a: torch.quantize_per_tensor(a, 0.1, 0, torch.qint8).int_repr(),
        x(*ROWS, scale=10.0))


if zoo.triton:
    import triton
    import triton.language as tl

    @triton.jit
    def triton_add(out_ptr, a_ptr, b_ptr, count, block: tl.constexpr):
        at = tl.program_id(0) * block + tl.arange(0, block)
        inside = at < count
        tl.store(out_ptr + at, tl.load(a_ptr + at, mask=inside) + tl.load(b_ptr + at, mask=inside), mask=inside)

    @triton.jit
    def triton_layer_norm(out_ptr, in_ptr, nr_columns, block: tl.constexpr):
        row = tl.program_id(0)
        at = tl.arange(0, block)
        inside = at < nr_columns
        a = tl.load(in_ptr + row * nr_columns + at, mask=inside, other=0.0)
        centred = tl.where(inside, a - tl.sum(a, axis=0) / nr_columns, 0.0)
        variance = tl.sum(centred * centred, axis=0) / nr_columns
        tl.store(out_ptr + row * nr_columns + at, centred / tl.sqrt(variance + 1e-5), mask=inside)

    @triton.jit
    def triton_matmul(out_ptr, a_ptr, b_ptr, size: tl.constexpr, tile: tl.constexpr):
        rows = tl.program_id(0) * tile + tl.arange(0, tile)
        columns = tl.program_id(1) * tile + tl.arange(0, tile)
        total = tl.zeros((tile, tile), dtype=tl.float32)
        for k in range(0, size, tile):
            inner = k + tl.arange(0, tile)
            a = tl.load(a_ptr + rows[:, None] * size + inner[None, :])
            b = tl.load(b_ptr + inner[:, None] * size + columns[None, :])
            total += tl.dot(a, b)
        tl.store(out_ptr + rows[:, None] * size + columns[None, :], total)

    @triton.jit
    def triton_count(out_ptr, in_ptr, count, block: tl.constexpr):
        at = tl.program_id(0) * block + tl.arange(0, block)
        value = tl.load(in_ptr + at, mask=at < count, other=0)
        tl.atomic_add(out_ptr + value.to(tl.int32) % 64, 1, mask=at < count)


def triton_kernels():
    if not zoo.triton:
        return

    def launch(kernel, grid, shape, dtype, *inputs, **options):
        out = torch.zeros(shape, dtype=dtype)
        kernel[grid](out, *inputs, **options)
        return out

    f32 = torch.float32
    add("triton.add", lambda a, b: launch(triton_add, (COUNT // 1024,), COUNT, f32, a, b, COUNT, block=1024),
        x(COUNT), x(COUNT, seed=2))
    add("triton.softmax", lambda a: launch(zoo.softmax_rows, (8192,), a.shape, f32, a, 2000, block=2048),
        x(8192, 2000, scale=4.0))
    add("triton.layer_norm", lambda a: launch(triton_layer_norm, (8192,), a.shape, f32, a, 1000, block=1024),
        x(8192, 1000))
    for dtype in ("f16", "bf16"):
        add(f"triton.matmul.{dtype}", lambda a, b: launch(triton_matmul, (16, 16), a.shape, f32, a, b, 1024,
                                                          tile=64),
            x(1024, 1024, dtype=dtype), x(1024, 1024, dtype=dtype, seed=2))
    add("triton.count", lambda a: launch(triton_count, (COUNT // 1024,), 64, torch.int32, a, COUNT, block=1024),
        x(COUNT, dtype="u8"))


def jax_arrays(*shapes):
    import jax.numpy as jnp
    arrays = []
    for seed, shape in enumerate(shapes):
        flat = jnp.arange(functools.reduce(lambda a, b: a * b, shape), dtype=jnp.int32)
        arrays.append(((flat * (1237 + 322 * seed) % 2003) / 2003.0 - 0.5).astype(jnp.float32).reshape(shape))
    return arrays


def jax_kernels():
    def entry(name, write, *shapes):
        def make():
            import jax
            import jax.numpy as jnp
            compiled = jax.jit(functools.partial(write, jax, jnp))
            arrays = jax_arrays(*shapes)
            return lambda: compiled(*arrays)
        TABLE["jax." + name] = make

    square = (2048, 2048)
    entry("product", lambda jax, jnp, a, b: jnp.tanh(a @ b), square, square)
    entry("half", lambda jax, jnp, a, b: (a.astype(jnp.bfloat16) @ b.astype(jnp.bfloat16)).astype(jnp.float32),
          square, square)
    entry("fusion", lambda jax, jnp, a, b: jnp.sum(jnp.exp(a) * jnp.sin(b) + a, axis=0), square, square)
    entry("softmax", lambda jax, jnp, a: jax.nn.softmax(a * 9, axis=1), square)
    entry("scan", lambda jax, jnp, a: jnp.cumsum(a, axis=1), square)
    entry("sort", lambda jax, jnp, a: jnp.sort(a, axis=1), (512, 4096))
    entry("gather", lambda jax, jnp, a: jnp.take(a, jnp.arange(4096) * 7 % 2048, axis=0), square)
    entry("gradient", lambda jax, jnp, a, b: jax.grad(lambda p: jnp.sum(jax.nn.gelu(p @ b)))(a), square, square)
    entry("convolution", lambda jax, jnp, a, b: jax.lax.conv(a, b, (1, 1), "SAME"), (8, 32, 64, 64), (32, 32, 3, 3))


def entries():
    """All entries by name, in the order in which they are to run."""
    for group in (unary, binary, casts, reductions, softmaxes, norms, pooling, matmuls, convolutions, attention,
                  indexing, scans_and_sorts, recurrent, transforms, algebra, sparse, random_numbers, images,
                  losses, optimizers, quantisation, triton_kernels, jax_kernels):
        group()
    return TABLE

# SPDX-License-Identifier: Apache-2.0
"""The models that tenants of lithos bench run, from timm, torchvision and transformers.

Weights and inputs are random: how long a forward pass or a training step takes does not depend on
them. Models are made on the GPU, and nothing is downloaded.

Each function takes the batch and returns (work, version): work() launches one forward pass or one
training step on the current stream and does not wait for it, and returns what it computed. `rows`
at the end names them.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

NR_WORDS = 32000


def forward(model, *inputs, **named):
    """A forward pass without gradients. Inputs stay where they are, as a captured graph needs
    them."""
    def work():
        with torch.no_grad():
            return model(*inputs, **named)
    return work


def transformers_version():
    import transformers
    return f"transformers {transformers.__version__}"


def unmasked_attention():
    """PyTorch's attention without a mask tensor. While a graph is captured, transformers would make
    one even where nothing is padded, and the fast kernels take none."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    AttentionInterface.register("unmasked", sdpa_attention_forward)
    AttentionMaskInterface.register("unmasked", lambda *args, **named: None)
    return "unmasked"


def vision(name, torchvision_name, batch):
    """timm's model, or torchvision's where there is no timm. Half precision, channels last."""
    try:
        import timm
        model, version = timm.create_model(name, pretrained=False), f"timm {timm.__version__}"
    except ImportError:
        import torchvision
        model = getattr(torchvision.models, torchvision_name)(weights=None)
        version = f"torchvision {torchvision.__version__}"
    model = model.half().to(memory_format=torch.channels_last).eval()
    images = torch.randn(batch, 3, 224, 224).half().contiguous(memory_format=torch.channels_last)
    return forward(model, images), version


def bert(width, nr_layers, batch):
    """An encoder over 128 tokens without padding."""
    from transformers import BertConfig, BertModel
    config = BertConfig(hidden_size=width, num_hidden_layers=nr_layers,
                        num_attention_heads=width // 64, intermediate_size=4 * width,
                        attn_implementation=unmasked_attention())
    model = BertModel(config, add_pooling_layer=False).half().eval()
    ids = torch.randint(0, config.vocab_size, (batch, 128))
    return forward(model, input_ids=ids), transformers_version()


def llama(nr_layers, **named):
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(hidden_size=4096, num_hidden_layers=nr_layers, num_attention_heads=32,
                         num_key_value_heads=8, intermediate_size=14336, vocab_size=NR_WORDS,
                         max_position_embeddings=4096, tie_word_embeddings=False, **named)
    torch.set_default_dtype(torch.float16)
    try:
        return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)


def prefill(batch):
    """The first 2,048 tokens of a request, 4 layers, into a new cache; logits of the last token."""
    model = llama(4, attn_implementation=unmasked_attention()).eval()
    ids = torch.randint(0, NR_WORDS, (batch, 2048))
    work = forward(model, input_ids=ids, use_cache=True, logits_to_keep=1)
    return work, transformers_version()


def training(model, optimizer, logits, ids):
    """A step over whole sequences: every token but the first is to be foretold."""
    model.train()

    def work():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(logits(ids)[:, :-1].flatten(0, 1).float(),
                                                 ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss.detach()
    return work


def llama_training(batch):
    """8 layers, 2,048 tokens a sequence, plain SGD."""
    model = llama(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    ids = torch.randint(0, NR_WORDS, (batch, 2048))

    def logits(ids):
        return model(input_ids=ids, use_cache=False).logits
    return training(model, optimizer, logits, ids), transformers_version()


def gpt2_training(batch):
    """GPT-2 (124 M), 512 tokens a sequence, AdamW; weights in single precision, work in
    bfloat16."""
    from transformers import GPT2Config, GPT2LMHeadModel
    config = GPT2Config(use_cache=False)
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, config.vocab_size, (batch, 512))

    def logits(ids):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return model(input_ids=ids, use_cache=False).logits
    return training(model, optimizer, logits, ids), transformers_version()


rows = {
    "resnet50": lambda batch: vision("resnet50", "resnet50", batch),
    "resnet101": lambda batch: vision("resnet101", "resnet101", batch),
    "vit-b": lambda batch: vision("vit_base_patch16_224", "vit_b_16", batch),
    "bert-base": lambda batch: bert(768, 12, batch),
    "bert-large": lambda batch: bert(1024, 24, batch),
    "prefill": prefill,
    "llama-train": llama_training,
    "gpt2-train": gpt2_training,
}

# SPDX-License-Identifier: Apache-2.0
"""Background of the hybrid scenario: a training step of a Llama-type model, 8 layers, half
precision, 2 x 2048 tokens, plain SGD.

Weights and tokens are random and the loss is not looked at: the time of a step does not depend on
them.
"""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import session as bench

NR_SEQUENCES, NR_TOKENS, NR_WORDS = 2, 2048, 32000
NR_WARM = 4


def llama(torch):
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(hidden_size=4096, num_hidden_layers=8, num_attention_heads=32,
                         num_key_value_heads=8, intermediate_size=14336, vocab_size=NR_WORDS,
                         max_position_embeddings=4096, use_cache=False, tie_word_embeddings=False)
    torch.set_default_dtype(torch.float16)
    try:
        return LlamaForCausalLM(config).cuda().train()
    finally:
        torch.set_default_dtype(torch.float32)


def main():
    session = bench.from_command_line(__doc__)
    import torch
    import transformers
    torch.set_default_device("cuda")
    torch.manual_seed(0)
    model = llama(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    ids = torch.randint(0, NR_WORDS, (NR_SEQUENCES, NR_TOKENS))

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = model(input_ids=ids, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(),
                                          ids[:, 1:].flatten()).backward()
        optimizer.step()

    for _ in range(NR_WARM):
        step()
    torch.cuda.synchronize()
    session.ready(torch.cuda.get_device_name(), [f"torch {torch.__version__}",
                                                 f"transformers {transformers.__version__}"])
    session.wait_go()
    session.result(bench.work_until_stopped(session, step, torch.cuda.Event))


if __name__ == "__main__":
    sys.exit(main())

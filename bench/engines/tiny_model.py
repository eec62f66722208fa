"""Makes a llama of a few hundred kilobytes whose weights are random and whose vocabulary is made up: it writes nonsense, at speed.

    tiny_model.py FILE
"""

import sys

import gguf
import numpy

WORDS = "the of and to in is it that for was on are as with they be at one have this from or had by hot but some what there we can out".split()
WIDTH, LAYERS, HEADS, CONTEXT = 64, 2, 4, 8192

vocabulary = {}  # text: (type, score); a word's beginnings are in it, for it is put together from the left


def add(text, kind, score=0.0):
    vocabulary.setdefault(text, (kind, score))


add("<unk>", gguf.TokenType.UNKNOWN)
add("<s>", gguf.TokenType.CONTROL)
add("</s>", gguf.TokenType.CONTROL)
for byte in range(256):
    add(f"<0x{byte:02X}>", gguf.TokenType.BYTE)
for letter in [chr(c) for c in range(33, 127)] + ["\u2581"]:
    add(letter, gguf.TokenType.NORMAL, -100.0)
for word in WORDS:
    for end in range(1, len(word) + 1):
        add("\u2581" + word[:end], gguf.TokenType.NORMAL, float(end - 50))

random = numpy.random.default_rng(7)


def weights(*shape, scale):
    return (random.standard_normal(shape) * scale).astype(numpy.float32)


# The first number of each token is large and the same, so what the output gives for it is a bias: bytes and control tokens are rare.
into, out = weights(len(vocabulary), WIDTH, scale=0.5), weights(len(vocabulary), WIDTH, scale=0.12)
into[:, 0], out[:, 0], out[: 3 + 256, 0] = 4, 0, -3

w = gguf.GGUFWriter(sys.argv[1], "llama")
w.add_name("tiny")
w.add_context_length(CONTEXT)
w.add_embedding_length(WIDTH)
w.add_block_count(LAYERS)
w.add_feed_forward_length(2 * WIDTH)
w.add_head_count(HEADS)
w.add_head_count_kv(HEADS)
w.add_layer_norm_rms_eps(1e-5)
w.add_rope_dimension_count(WIDTH // HEADS)
w.add_vocab_size(len(vocabulary))
w.add_tokenizer_model("llama")
w.add_token_list(list(vocabulary))
w.add_token_types([int(kind) for kind, _ in vocabulary.values()])
w.add_token_scores([score for _, score in vocabulary.values()])
w.add_unk_token_id(0)
w.add_bos_token_id(1)
w.add_eos_token_id(2)
w.add_chat_template("{% for m in messages %}{{ m['role'] + ': ' + m['content'] + ' ' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}")
w.add_tensor("token_embd.weight", into)
w.add_tensor("output.weight", out)
w.add_tensor("output_norm.weight", numpy.ones(WIDTH, numpy.float32))
for i in range(LAYERS):
    for name in "attn_norm", "ffn_norm":
        w.add_tensor(f"blk.{i}.{name}.weight", numpy.ones(WIDTH, numpy.float32))
    for name in "attn_q", "attn_k", "attn_v", "attn_output":
        w.add_tensor(f"blk.{i}.{name}.weight", weights(WIDTH, WIDTH, scale=0.04))
    for name in "ffn_gate", "ffn_up":
        w.add_tensor(f"blk.{i}.{name}.weight", weights(2 * WIDTH, WIDTH, scale=0.04))
    w.add_tensor(f"blk.{i}.ffn_down.weight", weights(WIDTH, 2 * WIDTH, scale=0.04))
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()

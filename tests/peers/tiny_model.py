"""Writes a llama model small enough to keep nowhere: random weights, valid vocabulary, answers that are text.

The weights are random but for one thing: the first dimension of the residual stream is constant, so a token's
weight on it is a bias. With it the raw bytes, which the vocabulary needs for any input to have tokens, are never
generated, and an answer ends by itself after some tens of tokens.
"""

import sys

import gguf
import numpy as np

WIDTH, HEADS, LAYERS, FEED_FORWARD, CONTEXT = 64, 4, 2, 128, 2048
UNKNOWN, BEGIN, END = 0, 1, 2
WORDS = "the a of and to in is it you that one daemon token queue answer model hello world".split()
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'()-\n" + "äéñøßλж日本語🦀"
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def vocabulary():
    """(text, score, kind) of every token; `▁` is the space, as SentencePiece writes it."""
    yield "<unk>", 0.0, gguf.TokenType.UNKNOWN
    yield "<s>", 0.0, gguf.TokenType.CONTROL
    yield "</s>", 0.0, gguf.TokenType.CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", 0.0, gguf.TokenType.BYTE
    pieces = ["▁" + word for word in WORDS] + ["▁"] + list(LETTERS)
    for rank, piece in enumerate(pieces):
        yield piece, -float(rank), gguf.TokenType.NORMAL


def tensors(kinds):
    """The llama architecture's tensors by name."""
    random = np.random.default_rng(20)

    def weights(rows, columns):
        return random.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)

    def into_residual(columns):
        matrix = weights(WIDTH, columns)
        matrix[0] = 0
        return matrix

    ones = np.ones(WIDTH, dtype=np.float32)
    embedding = random.normal(0, 1, (len(kinds), WIDTH)).astype(np.float32)
    embedding[:, 0] = 4
    output = weights(len(kinds), WIDTH) * 4
    output[:, 0] = [4 if kind == gguf.TokenType.NORMAL else -100 for kind in kinds]
    output[END, 0] = 6

    yield "token_embd.weight", embedding
    for layer in range(LAYERS):
        yield f"blk.{layer}.attn_norm.weight", ones
        yield f"blk.{layer}.attn_q.weight", weights(WIDTH, WIDTH)
        yield f"blk.{layer}.attn_k.weight", weights(WIDTH, WIDTH)
        yield f"blk.{layer}.attn_v.weight", weights(WIDTH, WIDTH)
        yield f"blk.{layer}.attn_output.weight", into_residual(WIDTH)
        yield f"blk.{layer}.ffn_norm.weight", ones
        yield f"blk.{layer}.ffn_gate.weight", weights(FEED_FORWARD, WIDTH)
        yield f"blk.{layer}.ffn_up.weight", weights(FEED_FORWARD, WIDTH)
        yield f"blk.{layer}.ffn_down.weight", into_residual(FEED_FORWARD)
    yield "output_norm.weight", ones
    yield "output.weight", output


def write(path):
    """Writes the model to `path`."""
    texts, scores, kinds = zip(*vocabulary())
    model = gguf.GGUFWriter(path, "llama")
    model.add_name("tiny")
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(FEED_FORWARD)
    model.add_head_count(HEADS)
    model.add_head_count_kv(HEADS)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_pooling_type(gguf.PoolingType.MEAN)
    model.add_vocab_size(len(texts))
    model.add_tokenizer_model("llama")
    model.add_token_list(texts)
    model.add_token_scores(scores)
    model.add_token_types(kinds)
    model.add_unk_token_id(UNKNOWN)
    model.add_bos_token_id(BEGIN)
    model.add_eos_token_id(END)
    model.add_chat_template(TEMPLATE)
    for name, tensor in tensors(kinds):
        model.add_tensor(name, tensor)
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


if __name__ == "__main__":
    write(sys.argv[1])

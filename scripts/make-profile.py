#!/usr/bin/env python3
"""Makes playback profiles from published per-kernel latencies of a GPU.

    scripts/make-profile.py PUBLISHED.json kernels/playback/profiles

PUBLISHED.json holds, for one GPU and the shapes of Llama-3-70B, per layer and
on one GPU: gemm_s[dtype][] {n_new, qkv, out, gate_up, down}, attention_s[
"activations/kv"][] {n_tokens, latency_s} of causal prompts without past,
hbm_bandwidth_bytes_per_s and peak_flops. Nobody publishes whole layers over
(n_new, n_past), so a layer's time is put together from three parts, each
derived:

  GEMMs        the four latencies at n_new, linear between the table's points
  attention    max(FLOPs / rate, KV bytes / HBM bandwidth); FLOPs =
               4 Hq D (n_new n_past + n_new (n_new + 1) / 2); rate = what the table
               reaches for a causal prompt of n_new + n_past tokens, linear between its
               points and held beyond the last
  elementwise  bytes that norms, residuals, RoPE, the KV store and SwiGLU move,
               at 0.85 of HBM bandwidth

Each file then holds this function on a grid. Between grid points the program
interpolates bilinearly; this script prints how far that is off the function.
"""

import json
import random
import sys
from pathlib import Path

SHAPE = {
    "name": "llama-3-70b", "layers": 80, "hidden": 8192, "q_heads": 64, "kv_heads": 8,
    "head_dim": 128, "ffn": 28672, "vocabulary": 128256, "tied": False,
    "rope_theta": 500000.0, "norm_eps": 1e-5,
}
HBM_SHARE = 0.85  # of peak HBM bandwidth that elementwise kernels reach
BF16_BYTES = 2
# Closer together where attention curves, and where it stops to be bound by HBM (12, 23).
N_NEW = [1, 8, 12, 16, 23, 32, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 5120, 6144,
         7168, 8192, 10240, 12288, 14336, 16384, 20480, 24576, 28672, 32768]
N_PAST = [0, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 10240, 12288, 16384,
          24576, 32768, 49152, 65536, 98304, 131072]
VARIANTS = [  # file, GEMM table, attention table, element, kv_element
    ("h100-sxm-llama-3-70b", "bfloat16", "bfloat16/bfloat16", "bf16", "bf16"),
    ("h100-sxm-llama-3-70b-kv-fp8", "bfloat16", "bfloat16/fp8", "bf16", "fp8"),
    ("h100-sxm-llama-3-70b-fp8", "fp8", "bfloat16/fp8", "fp8", "fp8"),
]


def element_bytes(element):
    return 2 if element == "bf16" else 1


def between(points, x):
    """Linear between (x, y) points, held outside them."""
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]


def attention_flops(n_new, n_past):
    """One layer, both products, causal."""
    row = 4 * SHAPE["q_heads"] * SHAPE["head_dim"]
    return row * (n_new * n_past + n_new * (n_new + 1) / 2)


class Layer:
    """Seconds of one layer, from the published tables of one variant."""

    def __init__(self, published, gemm, attention, element, kv_element):
        self.hbm = published["hbm_bandwidth_bytes_per_s"]
        self.element, self.kv_element = element, kv_element
        self.gemms = [(row["n_new"], sum(row[k] for k in ("qkv", "out", "gate_up", "down")))
                      for row in published["gemm_s"][gemm]]
        self.rates = [(row["n_tokens"], attention_flops(row["n_tokens"], 0) / row["latency_s"])
                      for row in published["attention_s"][attention]]

    def attention_s(self, n_new, n_past):
        rate = between(self.rates, n_new + n_past)
        kv_row = 2 * SHAPE["kv_heads"] * SHAPE["head_dim"] * element_bytes(self.kv_element)
        return max(attention_flops(n_new, n_past) / rate, (n_new + n_past) * kv_row / self.hbm)

    def elementwise_bytes(self):
        """Per token: what each kernel reads and writes; activations are bf16, what FP8 GEMMs
        take is written in 1 byte by the kernel before them."""
        gemm_input = element_bytes(self.element)
        d, f = SHAPE["hidden"], SHAPE["ffn"]
        q = SHAPE["q_heads"] * SHAPE["head_dim"]
        kv = SHAPE["kv_heads"] * SHAPE["head_dim"]
        residual_norm = 3 * d * BF16_BYTES + d * gemm_input  # x, residual in; sum, normed out
        rope = 2 * (q + kv) * BF16_BYTES
        kv_store = 2 * kv * (BF16_BYTES + element_bytes(self.kv_element))
        quantise = q * (BF16_BYTES + 1) if self.element == "fp8" else 0  # attention's output
        swiglu = 2 * f * BF16_BYTES + f * gemm_input
        return 2 * residual_norm + rope + kv_store + quantise + swiglu

    def seconds(self, n_new, n_past):
        elementwise_s = n_new * self.elementwise_bytes() / (HBM_SHARE * self.hbm)
        return between(self.gemms, n_new) + self.attention_s(n_new, n_past) + elementwise_s

    def embedding_s(self, n_new):
        return n_new * 2 * SHAPE["hidden"] * BF16_BYTES / (HBM_SHARE * self.hbm)

    def head_s(self):
        """bf16 in every variant, as the LM head is left unquantised in practice."""
        return SHAPE["vocabulary"] * SHAPE["hidden"] * BF16_BYTES / (HBM_SHARE * self.hbm)


def rounded(seconds):
    return float(f"{seconds:.6g}")


def bilinear(rows, n_new, n_past):
    columns = [(n, between(list(zip(N_PAST, row)), n_past)) for n, row in zip(N_NEW, rows)]
    return between(columns, n_new)


def grid_error(layer, rows):
    """Largest |grid / function - 1| over 20000 points, uniform in the logarithms."""
    worst, draw = 0.0, random.Random(1)
    for _ in range(20000):
        n_new = round(32768 ** draw.random())
        n_past = round(131073 ** draw.random()) - 1
        worst = max(worst, abs(bilinear(rows, n_new, n_past) / layer.seconds(n_new, n_past) - 1))
    return worst


def how_layer(layer):
    return (
        "One layer = GEMMs + attention + elementwise. GEMMs: the four published latencies at "
        "n_new, linear between the table's points. Attention: max(FLOPs / rate, KV bytes / "
        "3.35 TB/s), FLOPs = 4 Hq D (n_new n_past + n_new (n_new + 1) / 2), rate = what the table "
        "reaches for a causal prompt of n_new + n_past tokens, held beyond 16384: no table has "
        f"prompts with past. Elementwise: {layer.elementwise_bytes()} bytes a token at "
        f"{HBM_SHARE} of 3.35 TB/s. No launch gaps are counted, and a short n_new after a long "
        "n_past has no floor of kernel latency (about 0.01 ms a layer).")


def compose(published, variant):
    name, gemm, attention, element, kv_element = variant
    layer = Layer(published, gemm, attention, element, kv_element)
    rows = [[rounded(layer.seconds(n, p)) for p in N_PAST] for n in N_NEW]
    print(f"{name}: grid within {grid_error(layer, rows):.2%} of the function")
    return {
        "schema": "refill-profile/1",
        "about": "Derived from published kernel latencies of one H100 SXM at Llama-3-70B shapes, "
                 f"TP1, {element} weights, {kv_element} KV; not measured as a whole. gate_up is "
                 "the n=16384, k=8192 row scaled by 57344/16384 and down the n=8192, k=16384 row "
                 "scaled by 28672/16384, since the exact shapes are not in the tables. Boost "
                 "clocks; no flush of the L2 cache was seen in the source's timing helper.",
        "source": "aiconfigurator (ai-dynamo, Apache-2.0), systems/data/h100_sxm, vLLM 0.24.0 "
                  "tables gemm_perf and context_attention_perf (FA3), retrieved 2026-11; peaks: "
                  "NVIDIA H100 datasheet, dense",
        "device": "NVIDIA H100 80GB HBM3 (SXM)",
        "shape": SHAPE,
        "element": element,
        "kv_element": kv_element,
        "layer_s": {"from": "derived", "how": how_layer(layer), "n_new": N_NEW, "n_past": N_PAST,
                    "seconds": rows},
        "embedding_s": {"from": "derived",
                        "how": f"a row read and written per token at {HBM_SHARE} of 3.35 TB/s",
                        "n_new": [1, 32768],
                        "seconds": [rounded(layer.embedding_s(n)) for n in (1, 32768)]},
        "head_s": {"from": "derived",
                   "how": f"the LM head's bf16 weights read once at {HBM_SHARE} of 3.35 TB/s",
                   "seconds": rounded(layer.head_s())},
        "peaks": {"from": "published", "flops_per_s": published["peak_flops"][gemm],
                  "hbm_bytes_per_s": layer.hbm},
    }


def text_of(profile):
    """JSON with a line for each field and each row of seconds, so that diffs can be read."""
    marks = {}

    def mark(value):
        marks[f"@{len(marks)}@"] = json.dumps(value)
        return f"@{len(marks) - 1}@"

    for part in ("layer_s", "embedding_s", "head_s"):
        for key, value in profile[part].items():
            if isinstance(value, list):
                nested = isinstance(value[0], list)
                profile[part][key] = [mark(row) for row in value] if nested else mark(value)
    text = json.dumps(profile, indent=1)
    for key, value in marks.items():
        text = text.replace(f'"{key}"', value)
    return text + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    published = json.loads(Path(sys.argv[1]).read_text())
    for variant in VARIANTS:
        path = Path(sys.argv[2]) / f"{variant[0]}.json"
        path.write_text(text_of(compose(published, variant)))
        print(f"wrote {path}")


if __name__ == "__main__":
    main()

"""Model families, each with a tiny configuration that has every peculiarity of the family.

Peculiarities are what changes an activation: shared keys, windows shorter than the prompts, ALiBi,
norms after the MLP, residual multipliers, experts, layers without attention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import CONFIG_MAPPING

CONTEXT = 96
WINDOW = 24
"""Of local layers; smaller than the tree budget, so that fallback is exercised."""

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "max_position_embeddings": CONTEXT,
    # Beyond a small vocabulary by default.
    "pad_token_id": None,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_WINDOW = {"sliding_window": WINDOW}
_MIXED = {**_WINDOW, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SHARED = {"num_experts": 4, "shared_expert_intermediate_size": 32, **_EXPERTS}
_LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "linear_attention", "full_attention"],
}
_POST_NORM = "post_feedforward_layernorm"


@dataclass(frozen=True)
class Family:
    """One family, or a variant that computes a layer in another way.

    `mlp` names what is added to the stream: the first of these modules that a block has.
    """

    type: str
    name: str
    example: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    mlp: tuple[str, ...] = ("mlp",)
    scale: float = 1.0

    def config(self, d_vocab: int) -> Any:
        """A configuration of a few thousand parameters."""
        kind = CONFIG_MAPPING[self.type]
        known, names = kind().to_dict(), kind.attribute_map
        sizes = {names.get(key, key): value for key, value in _SIZES.items()}
        sizes = {key: value for key, value in sizes.items() if key in known}
        return kind(**{"vocab_size": d_vocab, **sizes, **self.settings})


FAMILIES = (
    Family("gpt2", "GPT-2", "gpt2"),
    Family(
        "gpt_neo",
        "GPT-Neo",
        "EleutherAI/gpt-neo-125M",
        {"num_layers": 4, "attention_types": [[["global", "local"], 2]], "window_size": WINDOW},
    ),
    Family("gpt_neox", "GPT-NeoX", "EleutherAI/pythia-160m"),
    Family(
        "gpt_neox",
        "GPT-NeoX, one after the other",
        "rinna/japanese-gpt-neox-small",
        {"use_parallel_residual": False},
    ),
    Family("gptj", "GPT-J", "EleutherAI/gpt-j-6b", {"rotary_dim": 4}),
    Family("openai-gpt", "GPT", "openai-community/openai-gpt"),
    Family("gpt_bigcode", "GPT-BigCode", "bigcode/tiny_starcoder_py"),
    Family("codegen", "CodeGen", "Salesforce/codegen-350M-mono", {"rotary_dim": 4}),
    Family("opt", "OPT", "facebook/opt-125m", {"ffn_dim": 64, "word_embed_proj_dim": 32}, ("fc2",)),
    Family(
        "opt",
        "OPT, norms after the sums",
        "facebook/opt-350m",
        {"ffn_dim": 64, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
        ("fc2",),
    ),
    Family("xglm", "XGLM", "facebook/xglm-564M", {"ffn_dim": 64}, ("fc2",)),
    Family("bloom", "BLOOM", "bigscience/bloom-560m", {}, ("mlp.dense_4h_to_h",)),
    Family("mpt", "MPT", "mosaicml/mpt-7b", {"max_seq_len": CONTEXT}, ("ffn.down_proj",)),
    Family("falcon", "Falcon", "tiiuae/falcon-7b", {"ffn_hidden_size": 64}),
    Family(
        "falcon",
        "Falcon, two norms",
        "tiiuae/falcon-40b",
        {"new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    Family(
        "falcon",
        "Falcon, ALiBi",
        "tiiuae/falcon-rw-1b",
        {"alibi": True, "parallel_attn": False, "multi_query": False, "bias": True},
    ),
    Family("llama", "Llama", "meta-llama/Llama-3.2-1B"),
    Family("mistral", "Mistral", "mistralai/Mistral-7B-v0.1", _WINDOW),
    Family("mixtral", "Mixtral", "mistralai/Mixtral-8x7B-v0.1", {"num_local_experts": 4}),
    Family(
        "qwen2",
        "Qwen 2 and 2.5",
        "Qwen/Qwen2.5-0.5B-Instruct",
        {"use_sliding_window": True, **_MIXED},
    ),
    Family("qwen2_moe", "Qwen 2 MoE", "Qwen/Qwen1.5-MoE-A2.7B", _SHARED),
    Family("qwen3", "Qwen 3", "Qwen/Qwen3-0.6B", {"use_sliding_window": True, **_MIXED}),
    Family("qwen3_moe", "Qwen 3 MoE", "Qwen/Qwen3-30B-A3B", {"num_experts": 4, **_EXPERTS}),
    Family("qwen3_next", "Qwen 3 Next", "Qwen/Qwen3-Next-80B-A3B-Instruct", {**_SHARED, **_LINEAR}),
    Family("phi", "Phi", "microsoft/phi-2", {"num_key_value_heads": 4}),
    Family("phi3", "Phi-3 and 4", "microsoft/Phi-3-mini-4k-instruct", _WINDOW),
    Family("gemma", "Gemma", "google/gemma-2b"),
    Family("gemma2", "Gemma 2", "google/gemma-2-2b", _WINDOW, (_POST_NORM,)),
    Family("gemma3_text", "Gemma 3", "google/gemma-3-270m", _MIXED, (_POST_NORM,)),
    Family("vaultgemma", "VaultGemma", "google/vaultgemma-1b", _MIXED),
    Family(
        "recurrent_gemma",
        "RecurrentGemma",
        "google/recurrentgemma-2b",
        {"lru_width": 32, "attention_window_size": WINDOW},
        ("mlp_block",),
    ),
    Family("stablelm", "StableLM", "stabilityai/stablelm-2-1_6b"),
    Family(
        "stablelm",
        "StableLM, parallel",
        "stabilityai/stablelm-2-12b",
        {"use_parallel_residual": True, "qk_layernorm": True},
    ),
    Family("olmo", "OLMo", "allenai/OLMo-1B-hf"),
    Family("olmo2", "OLMo 2", "allenai/OLMo-2-0425-1B", {}, (_POST_NORM,)),
    Family("olmo3", "OLMo 3", "allenai/Olmo-3-1025-7B", _MIXED, (_POST_NORM,)),
    Family("olmoe", "OLMoE", "allenai/OLMoE-1B-7B-0924", {"num_experts": 4, **_EXPERTS}),
    Family(
        "olmo_hybrid",
        "OLMo Hybrid",
        "allenai/Olmo-Hybrid-7B",
        {**_LINEAR, "linear_num_key_heads": 4},
        (_POST_NORM, "mlp"),
    ),
    Family(
        "granite",
        "Granite",
        "ibm-granite/granite-3.3-2b-instruct",
        {"residual_multiplier": 0.22, "embedding_multiplier": 12.0},
        scale=0.22,
    ),
    Family(
        "granitemoe",
        "Granite MoE",
        "ibm-granite/granite-3.1-1b-a400m-instruct",
        {"residual_multiplier": 0.22, "num_local_experts": 4},
        ("block_sparse_moe",),
        0.22,
    ),
    Family(
        "granitemoehybrid",
        "Granite 4 without Mamba",
        "ibm-granite/granite-4.0-350m",
        {
            "residual_multiplier": 0.22,
            "num_local_experts": 0,
            "shared_intermediate_size": 64,
            "layer_types": ["attention"] * 3,
            "mamba_n_heads": 8,
            "position_embedding_type": "rope",
        },
        ("shared_mlp",),
        0.22,
    ),
    Family("cohere", "Cohere", "CohereLabs/c4ai-command-r-v01"),
    Family("cohere2", "Cohere 2", "CohereLabs/c4ai-command-r7b-12-2024", _MIXED),
    Family("starcoder2", "StarCoder 2", "bigcode/starcoder2-3b", _WINDOW),
    Family("smollm3", "SmolLM 3", "HuggingFaceTB/SmolLM3-3B"),
    Family("glm", "GLM", "zai-org/glm-4-9b-chat-hf"),
    Family("glm4", "GLM 4", "zai-org/GLM-4-9B-0414", {}, ("post_mlp_layernorm",)),
    Family("exaone4", "EXAONE 4", "LGAI-EXAONE/EXAONE-4.0-1.2B", _MIXED, (_POST_NORM,)),
    Family("nemotron", "Nemotron", "nvidia/Minitron-4B-Base"),
    Family("seed_oss", "Seed-OSS", "ByteDance-Seed/Seed-OSS-36B-Base"),
    Family("hunyuan_v1_dense", "HunYuan", "tencent/Hunyuan-0.5B-Instruct"),
    Family("ernie4_5", "ERNIE 4.5", "baidu/ERNIE-4.5-0.3B-PT"),
    Family("apertus", "Apertus", "swiss-ai/Apertus-8B-2509"),
    Family(
        "gpt_oss",
        "gpt-oss",
        "openai/gpt-oss-20b",
        {"num_local_experts": 4, "num_experts_per_tok": 2, **_MIXED},
    ),
    Family(
        "deepseek_v3",
        "DeepSeek V3",
        "deepseek-ai/DeepSeek-V3",
        {
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "n_routed_experts": 8,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            **_EXPERTS,
        },
    ),
    Family(
        "lfm2",
        "LFM 2",
        "LiquidAI/LFM2-350M",
        {"layer_types": ["conv", "full_attention", "conv"]},
        ("feed_forward",),
    ),
    Family("helium", "Helium", "kyutai/helium-1-2b"),
    Family("persimmon", "Persimmon", "adept/persimmon-8b-base"),
)


def tiny_config(kind: str, d_vocab: int) -> Any:
    """Configuration of the first family of a `model_type`."""
    return next(family for family in FAMILIES if family.type == kind).config(d_vocab)

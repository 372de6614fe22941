"""What a plan counts with where nothing was measured: devices, prices, shares of peak; one YAML file that users edit.

Not here: the counting (estimate.py). A price that is null is unknown, and so is every sum with it.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from phi4r_lib.cookbook.settings import strict_yaml
from phi4r_lib.cookbook.settings.home import UserError, home, typed
from phi4r_lib.cookbook.settings.sections import Section

FILE = Path("notebooks/profiles/cluster/costs.yaml")
Span = tuple[float, float, float]  # best, expected, worst


class Device(Section):
    """One kind of GPU: GB, TFLOP/s of a bf16 product, TB/s, money per GPU and hour."""

    memory_gb: float = Field(gt=0)
    tflops: float = Field(gt=0)
    bandwidth: float = Field(gt=0)
    price: float | None = Field(ge=0)


class Mfu(Section):
    """Share of the peak that training reaches, for models below so many weights on at most so many GPUs."""

    weights_below: float = Field(gt=0)
    gpus: int = Field(ge=1)
    share: Span

    @field_validator("share")
    @classmethod
    def _shares(cls, value: Span) -> Span:
        if not all(0 < share <= 1 for share in value):
            raise ValueError("shares of the peak lie between 0 and 1")
        return value


class Decode(Section):
    """How fast answers are sampled: milliseconds per token step at least, share of the bandwidth, answers at once."""

    step_ms: Span
    bandwidth: Span
    at_once: int = Field(ge=1)


class Endpoint(Section):
    """A hosted model: money per million tokens, tokens per second of all requests together."""

    price_in: float | None = Field(ge=0)
    price_out: float | None = Field(ge=0)
    tokens_per_second: float | None = Field(default=None, gt=0)


class Costs(Section):
    """The whole file."""

    currency: str
    device: str
    gpus_per_host: int = Field(ge=1)
    devices: dict[str, Device] = Field(min_length=1)
    mfu: list[Mfu] = Field(min_length=1)
    decode: Decode
    length: Span
    notebook_seconds: Span
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    models: dict[str, dict[str, int | bool]] = Field(default_factory=dict)

    def mfu_of(self, weights: float, gpus: int) -> Span:
        """The share of the first row that holds; the last one's where none does."""
        fitting = [row for row in self.mfu if weights < row.weights_below and gpus <= row.gpus]
        return (fitting or self.mfu[-1:])[0].share


def load_costs(path: str | Path | None = None, device: str | None = None) -> Costs:
    """The costs in a file, the shipped one by default; `device` takes the place of the file's.

    Raises UserError with file and field for a faulty file, and for a device that it does not know.
    """
    file = typed(path) if path else home() / FILE
    if not file.is_file():  # a pipe would never end, nor would a device
        raise UserError(
            f"{file}: {'is no file' if file.exists() else 'does not exist'}; give a file like {FILE} with --costs"
        )
    try:
        raw = strict_yaml.read(file.read_text(encoding="utf-8"))
        costs = Costs.model_validate(raw, strict=False)
    except (OSError, UnicodeDecodeError, strict_yaml.YamlError) as error:
        raise UserError(f"{file}: cannot be read as YAML: {error}") from None
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(f"{file}: '{'.'.join(map(str, fault['loc']))}': {fault['msg']}") from None
    costs = costs.model_copy(update={"device": device}) if device else costs
    if costs.device not in costs.devices:
        raise UserError(f"{file}: no device '{costs.device}'; known: {', '.join(costs.devices)}")
    return costs

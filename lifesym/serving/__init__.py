"""Forecasts put together: mixed batches, speculation, steady states, several devices."""

from lifesym.serving.acceptance import (
    conditional,
    expected_tokens,
    tokens_at_positions,
    tokens_at_rate,
)
from lifesym.serving.batching import expected_ttft, steady_state, with_prefix
from lifesym.serving.disaggregated import disaggregate
from lifesym.serving.mixed import Group, mixed_step, step_at_contexts
from lifesym.serving.piggyback import piggyback
from lifesym.serving.pipeline import balanced_shares, pipeline, shared_time
from lifesym.serving.speculative import speculate
from lifesym.serving.stages import equal_stages

__all__ = [
    "Group",
    "balanced_shares",
    "conditional",
    "disaggregate",
    "equal_stages",
    "expected_tokens",
    "expected_ttft",
    "mixed_step",
    "piggyback",
    "pipeline",
    "shared_time",
    "speculate",
    "steady_state",
    "step_at_contexts",
    "tokens_at_positions",
    "tokens_at_rate",
    "with_prefix",
]

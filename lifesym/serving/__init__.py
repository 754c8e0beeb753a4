"""Forecasts put together: mixed batches, speculation, steady states, several devices."""

from lifesym.serving.acceptance import (
    conditional,
    expected_tokens,
    tokens_at_positions,
    tokens_at_rate,
)
from lifesym.serving.backlog import backlog
from lifesym.serving.batching import expected_ttft, prefix_hits, steady_state, with_prefix
from lifesym.serving.busiest import Busiest, busiest
from lifesym.serving.disaggregated import disaggregate
from lifesym.serving.hub import Hub, Spoke, around_hub
from lifesym.serving.mixed import Group, read_groups
from lifesym.serving.one_pass import at_contexts, mixed_pass, mixed_step, step_at_contexts
from lifesym.serving.piggyback import piggyback
from lifesym.serving.pipeline import pipeline
from lifesym.serving.server_step import server_step
from lifesym.serving.shares import SharedBandwidth, balanced_bandwidth, balanced_shares, shared_time
from lifesym.serving.speculative import speculate

__all__ = [
    "Busiest",
    "Group",
    "Hub",
    "SharedBandwidth",
    "Spoke",
    "around_hub",
    "at_contexts",
    "backlog",
    "balanced_bandwidth",
    "balanced_shares",
    "busiest",
    "conditional",
    "disaggregate",
    "expected_tokens",
    "expected_ttft",
    "mixed_pass",
    "mixed_step",
    "piggyback",
    "pipeline",
    "prefix_hits",
    "read_groups",
    "server_step",
    "shared_time",
    "speculate",
    "steady_state",
    "step_at_contexts",
    "tokens_at_positions",
    "tokens_at_rate",
    "with_prefix",
]

"""Values as they stand in lines of another program on a bad day."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ["type", "id", "name", "content", "usage", "model", "text", "tool_use_id", "is_error", "cache_creation", "input_tokens"]
NAMES += ["output_tokens", "durationMs", "interrupted", "decision", "postTokens", "inputTokens", "kind", "prompt"]
WORDS = ["", "tool_use", "tool_result", "text", "12", "\ud800", "2026-02-30T25:00:00Z", "<synthetic>", "x" * 3000]
WORDS += ["2026-11-21T02:02:14.331Z"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)

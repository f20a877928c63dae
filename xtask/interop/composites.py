"""Decisions of the composite samplers of OpenTelemetry for Python, for `cargo xtask interop`.

Reads the file of cases that is its argument, a JSON document in each line, and writes an answer for each; README.md beside this
file describes both. The samplers are private to the SDK, so its version is pinned.
"""

import json
import logging
import struct
import sys
from dataclasses import replace

from opentelemetry.sdk.trace import _sampling_experimental as composite
from opentelemetry.sdk.trace._sampling_experimental import _rule_based as rule_based
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState, set_span_in_context

RANGE = 1 << 56
DIGITS = 14


class Annotating:
    """There is none in the SDK: what another one wants, with attributes, of which the outer ones count."""

    def __init__(self, sampler, attributes):
        self._sampler = sampler
        self._attributes = attributes

    def sampling_intent(self, *arguments, **named):
        intent = self._sampler.sampling_intent(*arguments, **named)
        return replace(intent, attributes={**(intent.attributes or {}), **self._attributes})

    def get_description(self):
        return "Annotating"


def sampler_of(description):
    kind = description["kind"]
    if kind == "always_on":
        return composite.composable_always_on()
    if kind == "always_off":
        return composite.composable_always_off()
    if kind == "probability":
        ratio = struct.unpack(">d", bytes.fromhex(description["ratio"]))[0]
        return composite.composable_traceid_ratio_based(rounded(ratio, description["precision"]))
    if kind == "parent_threshold":
        return composite.composable_parent_threshold(sampler_of(description["root"]))
    if kind == "rule_based":
        rules = [(all_of(rule["predicates"]), sampler_of(rule["sampler"])) for rule in description["rules"]]
        return composite.composable_rule_based(rules)
    if kind == "annotating":
        return Annotating(sampler_of(description["sampler"]), description["attributes"])
    raise ValueError(kind)


def all_of(descriptions):
    return rule_based.AllPredicate([predicate_of(description) for description in descriptions])


def predicate_of(description):
    kind = description["kind"]
    if kind == "span_kinds":
        return rule_based.SpanKindPredicate([SpanKind[kind.upper()] for kind in description["kinds"]])
    if kind == "parents":
        return rule_based.ParentPredicate(description["parents"])
    if kind == "attribute_values":
        return rule_based.AttributeValuesPredicate(description["key"], description["values"])
    if kind == "attribute_patterns":
        return rule_based.AttributePatternsPredicate(
            description["key"], description["included"], description["excluded"]
        )
    raise ValueError(kind)


def rounded(ratio, precision):
    """The SDK has thresholds of full precision only. This is the probability whose threshold has fewer digits."""
    if precision >= DIGITS:
        return ratio
    threshold = RANGE - round(ratio * RANGE)
    digits = f"{threshold:0{DIGITS}x}"
    leading = max(len(digits) - len(digits.lstrip("f")), len(digits) - len(digits.lstrip("0")))
    unit = 16 ** max(0, DIGITS - leading - precision)
    threshold = (threshold + unit // 2) // unit * unit
    return (RANGE - threshold) / RANGE


def context_of(parent):
    if parent is None:
        return None, None
    state = TraceState([tuple(member) for member in parent["trace_state"]])
    assert len(state) == len(parent["trace_state"]), parent
    context = SpanContext(
        int(parent["trace_id"], 16), int(parent["span_id"], 16), parent["is_remote"], TraceFlags(parent["flags"]), state
    )
    return set_span_in_context(NonRecordingSpan(context)), state


def answer(case):
    context, state = context_of(case["parent"])
    sampler = composite.composite_sampler(sampler_of(case["sampler"]))
    result = sampler.should_sample(
        context,
        int(case["trace_id"], 16),
        "GET /",
        SpanKind[case["kind"].upper()],
        case["attributes"],
        None,
        trace_state=state,
    )
    is_kept = result.decision == Decision.RECORD_AND_SAMPLE
    return {
        "id": case["id"],
        "is_kept": is_kept,
        "trace_state": [list(member) for member in (result.trace_state or {}).items()],
        # What it gives a span that is not sampled, the SDK throws away.
        "attributes": dict(sorted((result.attributes or {}).items())) if is_kept else {},
    }


def main():
    logging.disable(logging.WARNING)
    with open(sys.argv[1], encoding="utf-8") as cases:
        for line in cases:
            print(json.dumps(answer(json.loads(line))))


main()

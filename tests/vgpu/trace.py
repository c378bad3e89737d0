#!/usr/bin/env python3
"""trace.py TRACE RESULT LAYERS: whether a timeline tells what a pipelined run on a GPU does.

Each layer is read, copied in, computed, copied out and written, in this order and each stage one
layer after the other; nothing happens outside of the run. Spans of the device are of one clock,
with an event's resolution between them; between the host's spans and the device's lies the error
of mapping the clocks, which the trace states.
"""
import json
import sys

ON_DEVICE_US = 1.0  # of an event, twice; and of a time as a float
STAGES = ["read", "H2D", "compute", "D2H", "write"]


def spans_of(trace, layers):
    """By stage, the (start, end) of each layer in microseconds."""
    spans = {stage: {} for stage in STAGES}
    for event in trace["traceEvents"]:
        if event["ph"] != "X":
            continue
        layer = int(event["name"].removeprefix("layer "))
        assert layer not in spans[event["cat"]], f"{event['cat']} of layer {layer} twice"
        spans[event["cat"]][layer] = (event["ts"], event["ts"] + event["dur"])
    for stage in STAGES:
        missing = set(range(layers)) - set(spans[stage])
        assert not missing, f"no {stage} of layers {sorted(missing)}"
        assert len(spans[stage]) == layers, f"{stage} of layers that are not there"
    return spans


def after(later, earlier, slack_us, what):
    assert later >= earlier - slack_us, f"{what}: {earlier - later:.3f} us too early"


def check(trace, result, layers):
    told = trace["otherData"]
    error_us = told["clock_error_s"] * 1e6
    end_us = told["durable_s"] * 1e6
    # A busy box makes both longer.
    assert 0 < error_us < end_us, f"of {end_us} us, the clocks' error is stated as {error_us} us"
    stated = result["rig"]["condition"]["clock_error_s"]
    assert told["clock_error_s"] <= stated + 1e-9, f"the result states {stated} s"  # rounded
    slack_us = error_us + ON_DEVICE_US
    spans = spans_of(trace, layers)
    last = layers - 1
    after(told["first_token_s"] * 1e6, spans["compute"][last][1], slack_us, "first token")
    for stage in STAGES:
        for layer in range(layers):
            start, end = spans[stage][layer]
            after(start, 0, slack_us, f"{stage} {layer} in the run")
            after(end_us, end, slack_us, f"{stage} {layer} before the run's end")
            if layer:
                previous_end = spans[stage][layer - 1][1]
                after(start, previous_end, ON_DEVICE_US, f"{stage} {layer} after {layer - 1}")
    for layer in range(layers):
        at = {stage: spans[stage][layer] for stage in STAGES}
        after(at["H2D"][0], at["read"][1], slack_us, f"H2D {layer} after its read")
        after(at["compute"][0], at["H2D"][1], ON_DEVICE_US, f"compute {layer} after its H2D")
        computed = at["compute"][1 if layer < last else 0]  # the head counts into the last
        after(at["D2H"][0], computed, ON_DEVICE_US, f"D2H {layer} after its compute")
        after(at["write"][0], at["D2H"][1], slack_us, f"write {layer} after its D2H")


def main():
    with open(sys.argv[1]) as trace, open(sys.argv[2]) as result:
        check(json.load(trace), json.load(result), int(sys.argv[3]))


if __name__ == "__main__":
    main()

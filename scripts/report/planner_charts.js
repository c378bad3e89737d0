/*
 * What the planner draws at a setting: one spec a chart, of charts.js. All numbers are model/'s.
 */

const [DECODE, RECOMPUTE, RELOAD] = [0, 1, 2]; /* kinds of planner_tpot_s() */

function ttftBars(p, planned) {
  const times = [
    planned.ttft_cp_s, planned.ttft_min_gpu_s, planned.ttft_offload_s, planned.ttft_reload_s,
    planned.ttft_external_s
  ];
  const [factor, unit] = timeUnit(Math.max(...times.filter(Number.isFinite)));
  const alpha = `α = ${significant(p.get("alpha"))}`;
  return {
    title: "TTFT comparison",
    note: "CP prefills on all its GPUs; offload reads the whole context; at α the rest is " +
              "computed meanwhile.",
    bars: [
      "CP prefill", "min-GPU prefill", "offload, all read", `offload, ${alpha}`,
      `external, ${alpha}`
    ],
    y: {label: `TTFT (${unit})`},
    marks: [{x: p.get("sla_ttft_s") * factor, label: "accepted"}],
    series: [{label: "TTFT", color: 0, values: times.map((t) => t * factor)}],
  };
}

function costBars(p, planned) {
  return {
    title: "Hourly cost breakdown",
    note: "Local NVMe comes with the servers: no extra cost.",
    bars: ["context parallelism", "offload"],
    stacked: true,
    y: {label: "$/hour"},
    series: [
      {
        label: "GPUs",
        color: 0,
        values: [planned.cost_cp_usd_per_hour, planned.cost_offload_gpu_usd_per_hour]
      },
      {label: "external storage", color: 1, values: [0, planned.cost_offload_external_usd_per_hour]}
    ],
  };
}

function costCurve(p, planned) {
  const now = p.get("concurrency"), over = planned.overflow_requests;
  const most = Math.max(10, 2 * now, Math.min(1.5 * over, 20 * now) || 0);
  const xs = [...new Set(span(1, most, 100).map(Math.round))];
  const curve = (kind, label, color, dash) => ({
    label,
    color,
    dash,
    line: true,
    marker: null,
    stepped: kind === 0,
    points: xs.map((x) => ({x, y: p.usdPerHour(x, kind)}))
  });
  return {
    title: "Hourly cost against concurrency",
    x: {label: "requests", min: 0, max: most},
    y: {label: "$/hour"},
    note: over <= most ? "Past the threshold, KV overflows from local NVMe to external storage."
                       : `Local NVMe overflows only from ${format.count(over)} requests on.`,
    marks: [{x: over, label: `overflow ${format.count(over)}`}, {x: now, label: "now"}],
    series: [
      curve(0, "context parallelism", 4), curve(1, "offload, GPUs alone", 0, [7, 4]),
      curve(2, "offload with external", 1)
    ],
  };
}

function plannerSpeedup(p, planned) {
  const star = planned.alpha_star, alpha = p.get("alpha");
  const branch = (from, to) => span(from, to, 50).map((x) => ({x, y: p.speedup(x)}));
  return {
    title: "Speedup over α",
    note: `e = ${
        significant(planned.e)}: no faster storage helps left of α*. The point includes writes.`,
    marks: [{x: star, label: "α* = " + significant(star)}],
    x: {label: "α, share of the prompt reloaded", min: 0, max: 1},
    y: {label: "speedup (×)"},
    series: [
      {
        label: "1/(1-α): compute binds",
        color: 1,
        line: true,
        dash: [7, 4],
        marker: null,
        points: branch(0, star)
      },
      {
        label: "e/α: reading binds",
        color: 2,
        line: true,
        dash: [2, 3],
        marker: null,
        points: star < 1 ? branch(star * 1.0000001, 1) : []
      },
      {label: "this setting", color: 0, points: [{x: alpha, y: planned.speedup}]},
    ],
  };
}

/* TTFT over the number of local drives, up to well past where compute binds. */
function drivesCurve(p, planned) {
  const now = p.get("drives");
  const most = Math.min(64, Math.max(8, 2 * now, (planned.drives_enough || 0) + 2));
  const xs = [...new Set(span(1, most, Math.min(most, 24)).map(Math.round))];
  const slowest = p.ttftOnDrives(1), recompute = planned.ttft_min_gpu_s;
  const [factor, unit] = timeUnit(slowest);
  const flat = (s) => [{x: 1, y: s * factor}, {x: most, y: s * factor}];
  const level = (label, color, s) =>
      ({label, color, line: true, dash: [2, 4], marker: null, points: flat(s)});
  return {
    title: "TTFT against local drives",
    note: "Reads and writes of a request go to all drives of a server. Where the line is flat, " +
              `compute binds and another drive buys nothing. Recomputing takes ${
                  format.seconds(recompute)}.`,
    marks: [{x: now, label: "now"}],
    x: {label: "drives of a server", min: 1, max: most},
    y: {label: `TTFT (${unit})`},
    series: [
      {
        label: "reloaded from local drives",
        color: 0,
        line: true,
        points: xs.map((x) => ({x, y: p.ttftOnDrives(x) * factor}))
      },
      ...[["recomputed", 4, recompute], ["accepted", 5, p.get("sla_ttft_s")]]
          .filter(([, , s]) => s < 2 * slowest)
          .map((one) => level(...one))
    ],
  };
}

/* Users per GPU over the TPOT that they accept: read off at your own. */
function usersCurve(p, planned) {
  const sla = p.get("sla_tpot_s"), xs = span(sla / 5, sla * 5, 60, true);
  const curve = (kind, label, color) => ({
    label,
    color,
    line: true,
    marker: null,
    stepped: true,
    points: xs.map((x) => ({x: x * 1e3, y: p.usersPerGpu(x, kind)}))
  });
  return {
    title: "Users per GPU against the TPOT they accept",
    note: `HBM holds ${format.count(planned.max_sequences)} sequences of this context on ${
        format.count(planned.gpus_offload)} GPUs: no batch is larger.`,
    marks: [{x: sla * 1e3, label: `accepted ${format.seconds(sla)}`}],
    x: {label: "accepted time per output token (ms)", log: true, min: sla * 200, max: sla * 5e3},
    y: {label: "users per GPU"},
    series: [
      curve(RELOAD, "prompts reloaded at α", 0), curve(RECOMPUTE, "prompts recomputed", 4), {
        label: "this setting",
        color: 5,
        points: [
          {x: sla * 1e3, y: planned.users_per_gpu_reload}, {x: sla * 1e3, y: planned.users_per_gpu}
        ]
      }
    ],
  };
}

const TIERS = ["S0, HBM", "S1a, DRAM", "S1b, local NVMe", "S3, shared storage"];

function tiersBars(p, planned) {
  const times = [planned.s0_ttft_s, planned.s1a_ttft_s, planned.s1b_ttft_s, planned.s3_ttft_s];
  const miss = planned.ttft_min_gpu_s, all = [...times, planned.cascade_ttft_s, miss];
  const [factor, unit] = timeUnit(Math.max(...all.filter(Number.isFinite)));
  return {
    title: "Mean TTFT where KV is kept on one tier",
    note:
        "Hits are reloaded at α, misses recomputed. HBM, DRAM and local NVMe help only requests " +
            "that return to their replica; shared storage holds all, and costs rent: " +
            `${format.usd(planned.s3_usd_per_hour)} an hour.`,
    bars: [...TIERS, "all four in turn", "none: recompute"],
    y: {label: `mean TTFT (${unit})`},
    marks: [{x: p.get("sla_ttft_s") * factor, label: "accepted"}],
    series: [{label: "mean TTFT", color: 0, values: all.map((t) => t * factor)}]
  };
}

function hitBars(p, planned) {
  const rates =
      [planned.s0_hit_rate, planned.s1a_hit_rate, planned.s1b_hit_rate, planned.s3_hit_rate];
  return {
    title: "Hit rate of each tier",
    note: "Of requests, where the prefixes that come back are all alike popular; an upper bound.",
    bars: TIERS,
    y: {label: "hit rate (%)"},
    series: [{label: "hit rate", color: 2, values: rates.map((r) => r * 100)}]
  };
}

function turnPoints(p) {
  const turns = Math.min(200, Math.round(p.get("turns")));
  return Array.from({length: turns}, (_, i) => ({turn: i + 1, ...p.turn(i + 1)}));
}

function turnsCurve(p) {
  const points = turnPoints(p);
  const [factor, unit] = timeUnit(Math.max(...points.map((t) => t.recompute_s)));
  const line = (label, color, key) =>
      ({label, color, line: true, points: points.map((t) => ({x: t.turn, y: t[key] * factor}))});
  return {
    title: "TTFT turn by turn",
    note:
        "Each turn sends the whole history again: recomputed, or reloaded but for the new message.",
    x: {label: "turn", min: 1, max: Math.max(2, points.length)},
    y: {label: `TTFT (${unit})`},
    series: [line("recomputed", 4, "recompute_s"), line("reloaded", 0, "reload_s")]
  };
}

function alphaCurve(p) {
  const points = turnPoints(p);
  return {
    title: "Reused share turn by turn",
    note: "α of each turn's prompt: history over history and new message.",
    x: {label: "turn", min: 1, max: Math.max(2, points.length)},
    y: {label: "α", min: 0, max: 1},
    series:
        [{label: "α", color: 2, line: true, points: points.map((t) => ({x: t.turn, y: t.alpha}))}]
  };
}

/* Batches to draw: well past where the SLA and HBM end. */
function batches(planned) {
  const most = Math.min(4096, Math.max(64, 2 * (planned.max_batch_reload || 1),
                                       1.3 * Math.min(planned.max_sequences, 2000)));
  return [...new Set(span(1, most, 50, true).map(Math.round))];
}

const KINDS = [
  [RECOMPUTE, "prompts recomputed", 4], [RELOAD, "prompts reloaded at α", 0],
  [DECODE, "decode alone (roofline)", 2]
];

function tpotCurve(p, planned) {
  const xs = batches(planned), sla = p.get("sla_tpot_s") * 1e3;
  return {
    title: "Time per output token against batch",
    marks: [{x: planned.max_sequences, label: `HBM holds ${format.count(planned.max_sequences)}`}],
    note: "Other requests' prefills and KV reads lengthen each decode step. The dotted line is " +
              "what users accept.",
    x: {label: "requests at once", log: true},
    y: {label: "E[TPOT] (ms)", log: true},
    series: [
      ...KINDS.map(([kind, label, color]) => ({
                     label,
                     color,
                     line: true,
                     marker: null,
                     points: xs.map((x) => ({x, y: p.tpot(x, kind) * 1e3}))
                   })),
      {
        label: "accepted",
        color: 5,
        line: true,
        dash: [2, 4],
        marker: null,
        points: [{x: 1, y: sla}, {x: xs[xs.length - 1], y: sla}]
      }
    ],
  };
}

function mtokCurve(p, planned) {
  const xs = batches(planned);
  return {
    title: "Cost per million output tokens against batch",
    note: "GPUs of the offload set-up at their hourly cost; prefill paid for in the first two.",
    marks: [{x: planned.max_sequences, label: `HBM holds ${format.count(planned.max_sequences)}`}],
    x: {label: "requests at once", log: true},
    y: {label: "$ per million tokens", log: true},
    series: KINDS.map(([kind, label, color]) => ({
                        label,
                        color,
                        line: true,
                        marker: null,
                        points: xs.map((x) => ({x, y: p.usdPerMtok(x, kind)}))
                      })),
  };
}

/*
 * What the planner shows at a setting: answers in words, numbers, and its six charts.
 */

const REGIMES = ["reading", "copying to the GPU", "writing", "copying from the GPU", "compute"];
const [DECODE, RECOMPUTE, RELOAD] = [0, 1, 2]; /* kinds of planner_tpot_s() */

/* ---- in words ---- */

function driveAnswer(p, planned) {
  const now = planned.ttft_local_s, twice = planned.ttft_twice_local_s;
  if (twice < now * 0.995)
    return `Twice the local drive bandwidth lowers TTFT from ${format.seconds(now)} to ${
        format.seconds(twice)} (${format.change(twice / now - 1)}).`;
  return `Twice the local drive bandwidth changes nothing: TTFT stays ${
      format.seconds(now)}, since reading does not bind at this α (it would from α = ${
      significant(planned.alpha_star)}).`;
}

function externalAnswer(p, planned) {
  const recompute = planned.ttft_min_gpu_s, external = planned.ttft_external_s;
  const full =
      planned.external
          ? `${format.count(p.get("concurrency"))} requests hold ${
                format.gigabytes(planned.kv_bytes_total)} of KV: ${
                format.gigabytes(planned.external_bytes)} more than the local drives, at ${
                format.usd(planned.cost_offload_external_usd_per_hour)} an hour.`
          : `Local drives suffice up to ${
                format.count(
                    planned.overflow_requests)} requests; external storage is not needed at ${
                format.count(p.get("concurrency"))}.`;
  const worth = external < recompute
                    ? `reload from it takes ${format.seconds(external)} against ${
                          format.seconds(recompute)} to recompute (${
                          significant(recompute / external)}× faster): worth it`
                    : `reload from it takes ${format.seconds(external)}, recomputing ${
                          format.seconds(recompute)}: not worth it`;
  return `${full} At ${format.rate(p.get("external_bytes_per_s"))}, ${worth}.`;
}

function usersAnswer(p, planned) {
  const limit = planned.max_batch_reload >= planned.max_sequences ? "; HBM is full there" : "";
  return `Within ${format.seconds(p.get("sla_tpot_s"))} per output token, ${
             significant(planned.users_per_gpu_reload)} users per GPU with reload (batch ${
             format.count(planned.max_batch_reload)} on ${format.count(planned.gpus_offload)} GPUs${
             limit}) ` +
         `and ${significant(planned.users_per_gpu_recompute)} with every prompt recomputed (batch ${
             format.count(planned.max_batch_recompute)}).`;
}

function costAnswer(p, planned) {
  const ratio = planned.cost_ratio;
  const first = Number.isFinite(planned.first_saving_concurrency)
                    ? ` Context parallelism needs more GPUs from ${
                          format.count(planned.first_saving_concurrency)} requests on.`
                    : "";
  return `An hour costs ${format.usd(planned.cost_offload_usd_per_hour)} with offload and ${
      format.usd(planned.cost_cp_usd_per_hour)} with all KV in HBM (${
      format.percent(ratio)} of it).${first}`;
}

function plannerAnswers(p, planned) {
  const sla = p.get("sla_ttft_s");
  return [
    `TTFT at α = ${significant(p.get("alpha"))} and ${
        format.count(
            p.get("context_tokens"))} tokens: ${format.seconds(planned.ttft_alpha_s)} reloaded, ${
        format.seconds(planned.ttft_min_gpu_s)} recomputed (${
        significant(planned.speedup_alpha)}×); ${REGIMES[planned.regime] || "?"} binds. ` +
        `The accepted ${format.seconds(sla)} ${
            planned.ttft_alpha_s <= sla ? "is met" : "is missed"} with reload and ${
            planned.ttft_min_gpu_s <= sla ? "met" : "missed"} without.`,
    driveAnswer(p, planned),
    externalAnswer(p, planned),
    usersAnswer(p, planned),
    costAnswer(p, planned),
    `To match context parallelism's TTFT by reading alone, storage must deliver ${
        format.rate(planned.match_cp_bytes_per_s)}; to match recomputing on the fewest GPUs, ${
        format.rate(planned.match_min_gpu_bytes_per_s)}.`,
  ];
}

function plannerFacts(planned) {
  return [
    ["KV of a request", format.gigabytes(planned.kv_bytes_per_request)],
    ["KV of all requests", format.gigabytes(planned.kv_bytes_total)],
    ["Overflow from", format.count(planned.overflow_requests), "requests"],
    [
      "Servers, offload / CP",
      `${format.count(planned.servers_offload)} / ${format.count(planned.servers_cp)}`,
      `${format.count(planned.gpus_offload)} / ${format.count(planned.gpus_cp)} GPUs`
    ],
    ["Offload cost / CP", format.percent(planned.cost_ratio)],
    ["e = T/R", significant(planned.e), `α* = ${significant(planned.alpha_star)}`],
    [
      "T and R per token", format.seconds(planned.compute_s_per_token),
      format.seconds(planned.read_s_per_token)
    ],
    [
      "Batch gain", significant(planned.batch_gain) + "×",
      `bound ${significant(planned.tps_gain_bound)}×`
    ],
  ];
}

/* ---- charts ---- */

function ttftBars(p, planned) {
  const times = [
    planned.ttft_cp_s, planned.ttft_min_gpu_s, planned.ttft_offload_s, planned.ttft_alpha_s,
    planned.ttft_external_s
  ];
  const [factor, unit] = timeUnit(Math.max(...times.filter(Number.isFinite)));
  const alpha = `α = ${significant(p.get("alpha"))}`;
  return {
    title: "TTFT comparison",
    note:
        "CP prefills on all its GPUs; offload reads the whole context; at α the rest is " +
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
      {label: "this setting", color: 0, points: [{x: alpha, y: planned.speedup_alpha}]},
    ],
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
    note:
        "Other requests' prefills and KV reads lengthen each decode step. The dotted line is " +
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

function plannerSpecs(p, planned) {
  return [ttftBars, costBars, costCurve, plannerSpeedup, tpotCurve, mtokCurve].map(
      (make) => make(p, planned));
}

/*
 * The sections of one result: its charts and tables. Each returns specs for figureOf() or nodes.
 */

/* ---- sweep: measured against model ---- */

const pointsOf = (points, key, factor) => points.map((p) => {
  const i = interval(at(p, key), factor);
  return {x: num(at(p, "alpha")), y: i.value, low: i.low, high: i.high};
});

/* The ideal model as a curve: what the slides' formula gives with this result's T, R and W. */
function idealCurve(rates, factor) {
  if (!wasm || ![rates.T.value, rates.R.value].every(Number.isFinite)) return [];
  const W = Number.isFinite(rates.W.value) ? rates.W.value : 0;
  return span(0, 1, 101).map(
      (alpha) => ({
        x: alpha,
        y: factor * wasm.ttft_ideal_s(alpha, rates.n_tokens, rates.T.value, rates.R.value, W, 0)
      }));
}

function crossover(rates) {
  const known = rates.alpha_star > 0 && rates.alpha_star < 1;
  return known ? [{x: rates.alpha_star, label: "α* = " + significant(rates.alpha_star)}] : [];
}

function ttftChart(result, rates) {
  const points = overlapPoints(result, rates.n_tokens);
  const others = list(result.points).filter((p) => at(p, "n_tokens") === rates.n_tokens);
  const recompute = others.filter((p) => at(p, "policy") === "recompute");
  const serial = others.filter((p) => at(p, "policy") === "serial");
  const [factor, unit] = timeUnit(
      Math.max(...pointsOf([...points, ...recompute], "first_token_s", 1).map((p) => p.y || 0)));
  return {
    title: `Time to first token, ${format.count(rates.n_tokens)} tokens`,
    marks: crossover(rates),
    note:
        "Whiskers: 95% interval of the median. The dashed curve is max(αN·R, (1-α)N·W, " +
            "(1-α)N·T) with constant T, R and W.",
    x: {label: "α, share of the prompt reloaded", min: 0, max: 1},
    y: {label: `TTFT (${unit})`},
    series: [
      {
        label: "observed, overlapped",
        color: 0,
        line: true,
        points: pointsOf(points, "first_token_s", factor)
      },
      {
        label: "observed, recompute",
        color: 4,
        points: pointsOf(recompute, "first_token_s", factor),
        marker: "rectRot"
      },
      {label: "observed, serial", color: 5, points: pointsOf(serial, "first_token_s", factor)},
      {
        label: "ideal model",
        color: 1,
        line: true,
        dash: [7, 4],
        marker: null,
        points: idealCurve(rates, factor)
      },
      {
        label: "pipelined model",
        color: 2,
        hollow: true,
        points: pointsOf(points, "model_pipelined_s", factor),
        marker: "triangle"
      },
      {
        label: "contended model",
        color: 3,
        hollow: true,
        points: pointsOf(points, "model_contended_s", factor),
        marker: "rect"
      },
    ],
  };
}

function speedupChart(result, rates) {
  const e = rates.e, star = wasm && e > 0 ? wasm.ttft_alpha_star(e) : NaN;
  const branch = (from, to) =>
      span(from, to, 60).map((alpha) => ({x: alpha, y: wasm.ttft_ideal_speedup(alpha, e)}));
  const measured = overlapPoints(result, rates.n_tokens)
                       .map((p) => ({x: num(at(p, "alpha")), y: num(at(p, "speedup"))}));
  return {
    title: `Speedup over recompute, ${format.count(rates.n_tokens)} tokens`,
    marks: Number.isFinite(star) ? [{x: star, label: "e/(1+e) = " + significant(star)}] : [],
    note:
        `Compute-bound up to the crossover, I/O-bound from there on; e = T/R = ` +
            `${significant(e)}.`,
    x: {label: "α, share of the prompt reloaded", min: 0, max: 1},
    y: {label: "speedup (×)"},
    series: [
      {label: "observed", color: 0, line: true, points: measured},
      {
        label: "1/(1-α): compute binds",
        color: 1,
        line: true,
        dash: [7, 4],
        marker: null,
        points: Number.isFinite(star) ? branch(0, Math.min(star, 0.999)) : []
      },
      {
        label: "e/α: reading binds",
        color: 2,
        line: true,
        dash: [2, 3],
        marker: null,
        points: Number.isFinite(star) && star < 1 ? branch(star * 1.0000001, 1) : []
      },
    ],
  };
}

function errorChart(result, rates) {
  const points = overlapPoints(result, rates.n_tokens);
  return {
    title: "Model error at each point",
    note: "(model - observed) / observed, median over groups. Zero is a perfect model.",
    x: {label: "α", min: 0, max: 1},
    y: {label: "error (%)"},
    series: [["ideal", 1], ["pipelined", 2], ["contended", 3]].map(
        ([name, color]) =>
            ({label: name, color, line: true, points: pointsOf(points, "error_" + name, 100)})),
  };
}

function stagesChart(result, rates) {
  const points = overlapPoints(result, rates.n_tokens);
  const [factor, unit] =
      timeUnit(Math.max(...pointsOf(points, "first_token_s", 1).map((p) => p.y || 0)));
  return {
    title: "What binds: each stage alone",
    note:
        "The highest stage is the floor of TTFT; what TTFT has above it is overlap that was " +
            "lost.",
    x: {label: "α", min: 0, max: 1},
    y: {label: `time (${unit})`},
    series: [
      ["first_token_s", "TTFT", 5], ["compute_alone_s", "compute", 1], ["read_alone_s", "read", 0],
      ["write_alone_s", "write", 2]
    ].map(([key, label, color]) =>
              ({label, color, line: true, points: pointsOf(points, key, factor)})),
  };
}

function breakEvenChart(result) {
  const points = list(at(result, "break_even", "points"));
  const of = (key) => points.map((p) => ({x: num(at(p, "n_past")), y: num(at(p, key)) * 1e3}))
                          .sort((a, b) => a.x - b.x);
  const prefix = num(at(result, "break_even", "prefix_tokens"));
  return {
    title: "How long must a prefix be?",
    note: `Time to first token of prefix + ${
        format.count(
            num(at(result, "break_even", "n_new")))} new tokens, prefix recomputed or reloaded.`,
    marks: Number.isFinite(prefix) ? [{x: prefix, label: `from ${format.count(prefix)} tokens`}]
                                   : [],
    x: {label: "prefix (tokens)", log: true},
    y: {label: "TTFT (ms)", log: true},
    series: [
      {label: "recompute", color: 1, line: true, points: of("recompute_s")},
      {label: "reload", color: 0, line: true, points: of("reload_s")}
    ],
  };
}

function sweepTable(result) {
  const ms = (p, key) => significant(interval(at(p, key), 1e3).value);
  return tableOf("Points: times in ms, errors in %",
                 [
                   "tokens",      "α",
                   "new",         "policy",
                   "TTFT",        "low",
                   "high",        "ideal",
                   "error",       "pipelined",
                   "error",       "contended",
                   "error",       {text: "regime", class: "text"},
                   "speedup ×",   "overlap %",
                   "layer MiB",   "layer GB/s",
                   "wrong bytes", {text: "cold", class: "text"}
                 ],
                 list(result.points).filter((p) => p && typeof p === "object").map((p) => {
                   const ttft = interval(at(p, "first_token_s"), 1e3);
                   const error = (name) =>
                       format.change(interval(at(p, "error_" + name)).value).replace("%", "");
                   const bytes = num(p.middle_layer_bytes);
                   return [
                     format.count(num(p.n_tokens)),
                     significant(num(p.alpha), 4),
                     format.count(num(p.n_new)),
                     text(p.policy),
                     significant(ttft.value, 4),
                     significant(ttft.low, 4),
                     significant(ttft.high, 4),
                     ms(p, "model_ideal_s"),
                     error("ideal"),
                     ms(p, "model_pipelined_s"),
                     error("pipelined"),
                     ms(p, "model_contended_s"),
                     error("contended"),
                     {text: text(p.regime), class: "text short"},
                     significant(num(p.speedup)),
                     significant(interval(at(p, "overlap_efficiency"), 100).value),
                     significant(bytes / 2 ** 20),
                     significant(bytes / interval(at(p, "middle_layer_read_s")).value / 1e9),
                     {
                       text: p.wrong_bytes === null || p.wrong_bytes === undefined
                                 ? "not checked"
                                 : text(p.wrong_bytes),
                       class: num(p.wrong_bytes) > 0 ? "bad" : null
                     },
                     {text: text(p.cold), class: "text wide"}
                   ];
                 }));
}

/* ---- calibrate: T over (n_new, n_past), rates against peak, storage ---- */

function groupsOf(items, key) {
  const groups = new Map();
  for (const item of items) {
    const value = num(at(item, key));
    if (Number.isFinite(value)) groups.set(value, [...(groups.get(value) || []), item]);
  }
  return [...groups].sort((a, b) => a[0] - b[0]).slice(0, 12);
}

function computeChart(result) {
  return {
    title: "T: compute time per new token",
    note: "Few new tokens are bound by reading weights; many by FLOPS; a long past adds " +
        "attention.",
    x: {label: "new tokens", log: true},
    y: {label: "T (µs/token)", log: true},
    series: groupsOf(list(result.compute), "n_past")
                .map(([past, points], i) => ({
                       label: `${format.count(past)} past`,
                       color: i,
                       line: true,
                       points: points.map((p) => {
                         const t = interval(at(p, "compute_s"), 1e6 / num(p.n_new));
                         return {x: num(p.n_new), y: t.value, low: t.low, high: t.high};
                       })
                     })),
  };
}

/* Achieved FLOP/s beside the device's peak and what its memory allows. */
function rooflineChart(result) {
  const parts = list(result.parts), rate = (p, key) => num(at(p, key)) / num(at(p, "seconds"));
  const peak = rate(parts.find((p) => at(p, "part") === "peak GEMM"), "flops");
  const memory = rate(parts.find((p) => at(p, "part") === "memory copy"), "bytes");
  const past = groupsOf(list(result.compute), "n_past");
  const largest = Math.max(1, ...list(result.compute).map((p) => num(at(p, "n_new")) || 1));
  const [factor, unit] = peak >= 1e12 ? [1e-12, "TFLOPS"] : [1e-9, "GFLOPS"];
  const roof =
      wasm && memory > 0 && peak > 0
          ? span(1, largest, 60, true)
                .map((n) => ({x: n, y: factor * wasm.planner_roof_flops_per_s(n, peak, memory)}))
          : [];
  const part = (name, label, color) => ({
    label,
    color,
    line: true,
    points: parts.filter((p) => at(p, "part") === name)
                .map((p) => ({x: num(p.n_new), y: rate(p, "flops") * factor}))
  });
  return {
    title: "Achieved against peak",
    note: `Peak GEMM ${format.flops(peak)}, memory ${
        format.rate(
            memory)}. The roof rises with n_new because each weight read serves n_new tokens.`,
    x: {label: "new tokens (FLOPs per weight byte)", log: true},
    y: {label: unit, log: true},
    series: [
      {label: "roof", color: 5, line: true, dash: [7, 4], marker: null, points: roof},
      ...past.map(([n, points], i) => ({
                    label: `layers, ${format.count(n)} past`,
                    color: i,
                    line: true,
                    points: points.map((p) => ({x: num(p.n_new), y: num(p.flops_per_s) * factor}))
                  })),
      part("layer GEMMs", "GEMMs", 3),
      part("attention", "attention", 4),
    ],
  };
}

function storageName(row) {
  const pieces = [
    text(at(row, "target")), text(at(row, "engine")),
    `${significant(num(at(row, "page_tokens")))} tok/page`,
    format.bytes(num(at(row, "request_bytes"))), `depth ${significant(num(at(row, "queue_depth")))}`
  ];
  return pieces.filter((p) => p && !p.includes(MISSING)).join(" · ");
}

function storageChart(result) {
  const rows = list(result.storage).slice(0, 24);
  return {
    title: "Storage: pages and depths side by side",
    note: "Medians; intervals in the table below.",
    y: {label: "GB/s"},
    bars: rows.map(storageName),
    series: [["read_bytes_per_s", "read", 0], ["write_bytes_per_s", "write", 2]].map(
        ([key, label, color]) =>
            ({label, color, values: rows.map((r) => interval(at(r, key), 1e-9).value)})),
  };
}

function storageTable(result) {
  return tableOf(
      "Storage rows",
      [
        "what", "read GB/s", "low", "high", "R µs/token", "write GB/s", "low", "high", "W µs/token",
        "first page ms", "CPU s/GB", "wrong bytes", {text: "cold", class: "text"}
      ],
      list(result.storage).map((r) => {
        const read = interval(at(r, "read_bytes_per_s"), 1e-9),
              write = interval(at(r, "write_bytes_per_s"), 1e-9);
        return [
          storageName(r), significant(read.value), significant(read.low), significant(read.high),
          significant(num(at(r, "storage_read_s_per_token")) * 1e6), significant(write.value),
          significant(write.low), significant(write.high),
          significant(num(at(r, "storage_write_s_per_token")) * 1e6),
          significant(interval(at(r, "first_page_s"), 1e3).value),
          significant(num(at(r, "cpu_s_per_gb"))),
          {text: text(at(r, "wrong_bytes")), class: num(at(r, "wrong_bytes")) > 0 ? "bad" : null},
          {text: text(at(r, "cold")), class: "text wide"}
        ];
      }));
}

/* ---- verify, doctor ---- */

function verifyTable(result) {
  return tableOf(
      "Reload against recompute",
      [
        "stored tokens", "new tokens", {text: "policy", class: "text"}, "pages checked",
        "wrong pages", {text: "hidden state", class: "text"}, "difference", "token", "verdict"
      ],
      list(result.checks)
          .map((c) => [format.count(num(at(c, "n_past"))), format.count(num(at(c, "n_new"))),
                       {text: text(at(c, "policy")), class: "text"},
                       format.count(num(at(c, "checked_pages"))),
                       format.count(num(at(c, "wrong_pages"))),
                       {text: text(at(c, "demanded")), class: "text"},
                       format.percent(num(at(c, "difference"))),
                       at(c, "token_equal") === true ? "equal" : "differs", {
                         text: at(c, "pass") === true ? "pass" : "FAIL",
                         class: at(c, "pass") === true ? "good" : "bad"
                       }]));
}

function doctorTable(result) {
  return tableOf(
      "Is this box fit to measure?",
      [
        {text: "check"}, {text: "verdict", class: "text"}, {text: "found", class: "text"},
        {text: "advice", class: "text"}
      ],
      list(result.checks)
          .map((c) => [text(at(c, "check")), {
                 text: text(at(c, "verdict")),
                 class: "text " +
                            ({ok: "good", warn: "warn", bad: "bad", BAD: "bad"}[at(c, "verdict")] ||
                             "")
               },
                       {text: text(at(c, "found")), class: "text"},
                       {text: text(at(c, "advice")), class: "text"}]));
}

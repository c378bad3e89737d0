/*
 * What a result says, whatever command left it: rates with intervals, labels, names.
 * The reading of field names is here, so that sections and planner agree.
 */

const measuredRows =
    (result) => [...list(result.points), ...list(result.storage), ...list(result.rows)];

function layersOf(result) {
  const of = (name) => num(at(result, "rig", name) ?? at(result, name));
  return {run: of("layers_run"), all: of("layers_model")};
}

/* Where numbers are not measurements of this box, in the reader's words. */
function labelsOf(result) {
  const labels = [];
  const device = at(result, "rig", "device");
  if (at(device, "played_back") === true ||
      /^playback:/.test(text(at(result, "config", "compute"))))
    labels.push({text: "compute played back, not measured", kind: "warn"});
  if (emulatedDrive(result)) labels.push({text: "drive emulated: no byte stored", kind: "warn"});
  const {run, all} = layersOf(result);
  if (run < all) labels.push({text: `${run} of ${all} layers run`, kind: "warn"});
  const cold = measuredRows(result).map((p) => text(at(p, "cold"))).find((c) => c !== "");
  if (cold && !cold.startsWith("emulated"))
    labels.push({text: "cold reads: " + cold, kind: cold.startsWith("proven") ? "good" : "warn"});
  if (result.interrupted === true) labels.push({text: "interrupted: incomplete", kind: "bad"});
  if (text(at(result, "refill", "problem")))
    labels.push({text: text(at(result, "refill", "problem")), kind: "bad"});
  const wrong = measuredRows(result).reduce((sum, p) => sum + (num(at(p, "wrong_bytes")) || 0), 0);
  if (wrong > 0) labels.push({text: `${format.count(wrong)} WRONG BYTES`, kind: "bad"});
  return labels;
}

/* A calibration opens its drive apart from the rig, and measures none where it is emulated. */
function emulatedDrive(result) {
  if (result.command === "calibrate") return list(result.storage).length === 0;
  return at(result, "rig", "reader", "emulated") === true;
}

function chips(labels) {
  return labels.length ? el("ul", {class: "chips", "aria-label": "Conditions"},
                            labels.map((l) => el("li", {class: "chip " + (l.kind || "")}, l.text)))
                       : null;
}

function modelOf(result) {
  return text(at(result, "rig", "model")) || text(result.model) ||
         text(at(result, "config", "model"));
}
function deviceOf(result) {
  if (result.command === "storage") return "";
  return text(at(result, "rig", "device", "name")) || text(at(result, "config", "device"));
}

function targetOf(result) {
  const target = at(result, "rig", "target") || at(result, "target");
  if (emulatedDrive(result)) return text(at(result, "rig", "reader", "description"));
  const names = [
    text(at(target, "model")) || text(at(target, "drive")), text(at(target, "filesystem"))
  ].filter(Boolean);
  return names.join(", ") || list(at(result, "config", "targets")).map(text).join(", ") || MISSING;
}

/* An interval of a whole time as one per token, where it is the summary's number (else the number
 * alone: it may be the larger of two stages). */
function perToken(value, whole, tokens) {
  const estimate = interval(whole, 1 / tokens);
  const same = Math.abs(estimate.value / value - 1) < 0.02;
  return same ? {...estimate, value} : {value, low: NaN, high: NaN};
}

function overlapPoints(result, n) {
  return list(result.points)
      .filter((p) => at(p, "policy") === "overlap" && (n === undefined || at(p, "n_tokens") === n));
}

function fromSweep(result, summary) {
  const n = num(summary.n_tokens);
  const recompute =
      list(result.points).find((p) => at(p, "policy") === "recompute" && at(p, "n_tokens") === n);
  const best = overlapPoints(result, n).find((p) => at(p, "alpha") === summary.best_alpha);
  return {
    n_tokens: n,
    T: perToken(num(summary.compute_s_per_token), at(recompute, "compute_alone_s"), n),
    R: perToken(num(summary.read_s_per_token), at(best, "read_alone_s"), num(at(best, "n_past"))),
    W: perToken(num(summary.write_s_per_token), at(best, "write_alone_s"), num(at(best, "n_new"))),
    e: num(summary.e),
    alpha_star: num(summary.alpha_star),
    alpha_star_constant: num(summary.alpha_star_constant_t),
    best_speedup: num(summary.best_speedup),
    best_alpha: num(summary.best_alpha),
    recompute_s: num(summary.recompute_s),
  };
}

function fromCalibrate(result, summary) {
  const n = num(summary.n_tokens);
  const point = list(result.compute).find((p) => at(p, "n_new") === n && at(p, "n_past") === 0);
  const reads = list(result.storage)
                    .find((r) => num(at(r, "storage_read_s_per_token")) ===
                                 num(summary.storage_read_s_per_token));
  const time =
      (rate) => { /* bytes/s of a pass over n_tokens as seconds a token; the ends swap */
                  const per = num(at(reads, "bytes")) / num(at(reads, "n_tokens")),
                        r = interval(at(reads, rate));
                  return {median: per / r.value, ci_low: per / r.high, ci_high: per / r.low};
      };
  return {
    n_tokens: n,
    T: perToken(num(summary.compute_s_per_token), at(point, "compute_s"), n),
    R: perToken(num(summary.read_s_per_token), time("read_bytes_per_s"), 1),
    W: perToken(num(summary.write_s_per_token), time("write_bytes_per_s"), 1),
    e: num(summary.e),
    alpha_star: num(summary.alpha_star),
    alpha_star_constant: num(summary.alpha_star_constant_t),
    break_even: num(summary.break_even_tokens),
    best_speedup: NaN,
    best_alpha: NaN,
    recompute_s: NaN,
  };
}

/* A row's rate, bytes/s, as the time of a token, which takes `per_token_s` at the median. */
function timeOfRate(rate, per_token_s) {
  const r = interval(rate);
  return {
    value: per_token_s,
    low: per_token_s * r.value / r.high,
    high: per_token_s * r.value / r.low
  };
}

/* One entry a target; T comes from elsewhere (--compute) and has no interval. */
function fromStorage(result) {
  const rows = list(result.rows), names = targetNames(result);
  const none = {value: NaN, low: NaN, high: NaN};
  return list(result.targets).map((target, place) => {
    const s = list(at(target, "summary"))[0];
    const rate = (best, field, per) => {
      const row = rows[num(at(s, best))];
      return row ? timeOfRate(at(row, field), num(at(s, per))) : none;
    };
    return {
      place,
      target: names[place],
      stands_on: standsOn(target),
      n_tokens: num(at(s, "n_tokens")),
      T: {...none, value: num(at(s, "compute_s_per_token"))},
      R: rate("best_read_row", "read_bytes_per_s", "read_s_per_token"),
      W: rate("best_write_row", "write_bytes_per_s", "write_s_per_token"),
      e: num(at(s, "e")),
      alpha_star: num(at(s, "alpha_star")),
      alpha_star_constant: num(at(s, "alpha_star_constant_t")),
      break_even: num(at(s, "break_even_tokens")),
      best_speedup: num(at(s, "recompute_s")) / num(at(s, "model_pipelined_s")),
      best_alpha: num(at(s, "alpha")),
      recompute_s: num(at(s, "recompute_s")),
    };
  });
}

/* One entry a prompt length (of storage, a target): T, R, W (seconds a token, with intervals), e,
 * alpha*, ... */
function ratesOf(result) {
  const found = Array.isArray(result.targets)   ? fromStorage(result)
                : Array.isArray(result.summary) ? list(result.summary)
                                                      .filter((s) => s && typeof s === "object")
                                                      .map((s) => fromSweep(result, s))
                : result.summary && typeof result.summary === "object"
                    ? [fromCalibrate(result, result.summary)]
                    : [];
  for (const rates of found) rates.e_interval = accelerationInterval(rates);
  return found.filter((r) => Number.isFinite(r.n_tokens));
}

/* e from the far ends of T's and R's intervals: wider than their joint interval, never narrower. */
function accelerationInterval({T, R, e}) {
  if (!wasm || ![T.low, T.high, R.low, R.high].every(Number.isFinite))
    return {value: e, low: NaN, high: NaN};
  return {
    value: e,
    low: wasm.ttft_token_acceleration(T.low, R.high),
    high: wasm.ttft_token_acceleration(T.high, R.low)
  };
}

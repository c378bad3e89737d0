/*
 * A result of `refill storage`: drives, filesystems, engines, page sizes and depths side by side.
 *
 * First what each target would do to TTFT, then how its rate depends on page size and depth (each
 * line the best of what it does not show), grids of every page by every depth, and all rows.
 */

const DIRECTIONS = [["read", "Reads"], ["write", "Writes"], ["mixed", "Reads beside writes"]];

/* Names of targets, without the folders that all of them share. */
function targetNames(result) {
  const names = list(result.targets).map((t) => text(at(t, "target")));
  const folder = (name) => name.slice(0, name.lastIndexOf("/") + 1);
  const shared = names.length > 1 &&
                 names.every((n) => folder(n) === folder(names[0]) && n.length > folder(n).length);
  return names.map((n, i) => (shared ? n.slice(folder(n).length) : n) || `target ${i + 1}`);
}

/* A target's drive and filesystem in words. */
function standsOn(target) {
  const member = list(at(target, "members"))[0];
  const names = [
    text(at(member, "model")) || text(at(member, "drive")), text(at(member, "filesystem"))
  ].filter(Boolean);
  const more = list(at(target, "members")).length;
  return names.join(", ") + (more > 1 ? `, stripe of ${more}` : "");
}

/* Rows that were measured, with what charts need of them. */
function storageRows(result) {
  const names = list(result.targets).map((t) => text(at(t, "target")));
  const short = targetNames(result);
  return list(result.rows)
      .filter((r) => r !== null && typeof r === "object" && !text(at(r, "refused")))
      .map((row) => {
        const rw = text(at(row, "rw")), place = names.indexOf(text(at(row, "target")));
        const rate =
            interval(at(row, rw === "write" ? "write_bytes_per_s" : "read_bytes_per_s"), 1e-9);
        const details = [
          text(at(row, "engine")) + (at(row, "emulated") === true ? " (drive emulated)" : ""),
          text(at(row, "layout")),
          num(at(row, "streams")) > 0 ? `${num(at(row, "streams"))} streams` : "",
          text(at(row, "write_to")) === "fresh" ? "fresh file" : "",
          at(row, "preallocated") === false ? "grown" : "",
          ["", "never"].includes(text(at(row, "sync_at"))) ? "" : `sync at ${text(row.sync_at)}`
        ].filter(Boolean);
        return {
          row,
          rw,
          place,
          rate,
          details,
          target: short[place] || text(at(row, "target")),
          page: num(at(row, "page_bytes")),
          depth: num(at(row, "queue_depth")),
          p50: num(at(row, "page_latency_s", "p50")),
          p99: num(at(row, "page_latency_s", "p99")),
          cpu: interval(at(row, "cpu_s_per_gb")),
        };
      })
      .filter((r) => Number.isFinite(r.rate.value));
}

const settingText = (r) =>
    `${r.details.join(", ")}, ${format.bytes(r.page)} pages, depth ${format.count(r.depth)}`;

/* What tells lines apart: the target, and of engine, layout, ... only what varies. */
function variantsOf(rows) {
  const varies = (index) => new Set(rows.map((r) => r.details[index])).size > 1;
  const shown = [0, 1, 2, 3, 4, 5].filter(varies);
  const severalTargets = new Set(rows.map((r) => r.place)).size > 1;
  const groups = new Map();
  for (const row of rows) {
    const name = [
      ...(severalTargets ? [row.target] : []), ...shown.map((i) => row.details[i]).filter(Boolean)
    ].join(", ");
    groups.set(name, [...(groups.get(name) || []), row]);
  }
  return [...groups].slice(0, 12);
}

/* Of all rows with the same `key` the fastest, by rising key. */
function fastestBy(rows, key) {
  const best = new Map();
  for (const row of rows)
    if (!(best.get(row[key])?.rate.value >= row.rate.value)) best.set(row[key], row);
  return [...best.values()].sort((a, b) => a[key] - b[key]);
}

const distinct = (rows, key) => [...new Set(rows.map((r) => r[key]))].sort((a, b) => a - b);

/* ---- charts ---- */

/* Points of one page size stand beside each other, or their whiskers would hide one another. */
const aside = (index, n) => 1 + 0.05 * (index - (n - 1) / 2);

function curveSpec(rows, key, title, note, x, y, valueOf) {
  return {
    title,
    note,
    x: {...x, log: true, ticks: distinct(rows, key)},
    y,
    series: variantsOf(rows).map(
        ([label, own], color, all) => ({
          label: label || title,
          color,
          line: true,
          points: fastestBy(own, key).map(
              (r) => ({x: r[key] * aside(color, all.length), ...valueOf(r), tip: settingText(r)}))
        }))
  };
}

const PAGE_AXIS = {
  label: "page size",
  bytes: true
},
      DEPTH_AXIS = {
        label: "queue depth"
      };
const rateOf = (r) => ({y: r.rate.value, low: r.rate.low, high: r.rate.high});

function rateCharts(rows, [rw, title]) {
  const own = rows.filter((r) => r.rw === rw), specs = [];
  if (distinct(own, "page").length > 1)
    specs.push(curveSpec(own, "page", `${title} over page size`,
                         "Best depth at each size; whiskers: 95% interval of the median.",
                         PAGE_AXIS, {label: "GB/s"}, rateOf));
  if (distinct(own, "depth").length > 1)
    specs.push(curveSpec(own, "depth", `${title} over queue depth`,
                         "Best page size at each depth; whiskers: 95% interval of the median.",
                         DEPTH_AXIS, {label: "GB/s"}, rateOf));
  return specs;
}

/* Each target's fastest row of each direction, as bars. */
function fastestChart(rows) {
  const bars = [...new Set(rows.map((r) => r.target))];
  const series = DIRECTIONS.map(([rw, title], i) => {
    const best = bars.map(
        (name) => fastestBy(rows.filter((r) => r.rw === rw && r.target === name), "rw")[0]);
    return {
      label: title.toLowerCase(),
      color: [0, 2, 1][i],
      values: best.map((b) => b?.rate.value),
      ends: best.map((b) => [b?.rate.low, b?.rate.high])
    };
  });
  return {
    title: "Fastest setting of each target",
    bars,
    y: {label: "GB/s"},
    note: "Whiskers: 95% interval of the median. Which setting it is stands in the table above.",
    series: series.filter((s) => s.values.some(Number.isFinite))
  };
}

/* The price of rate: how long one request takes where many are under way. */
function latencyChart(rows) {
  const reads = rows.filter((r) => r.rw === "read" && Number.isFinite(r.p99));
  return {
    title: "Latency against rate",
    note: "One request from submission to completion: 99 in 100 are faster. Points are settings; " +
              "right and low is good.",
    x: {label: "GB/s"},
    y: {label: "p99 (ms)", log: true},
    series: variantsOf(reads).map(
        ([label, own], color) => ({
          label: label || "reads",
          color,
          points: own.map((r) => ({x: r.rate.value, y: r.p99 * 1e3, tip: settingText(r)}))
        }))
  };
}

function processorChart(rows) {
  const reads = rows.filter((r) => r.rw === "read" && Number.isFinite(r.cpu.value));
  return curveSpec(reads, "page", "Processor time of reading",
                   "Of the whole process, at the depth that reads fastest; a GPU server's cores " +
                       "are wanted elsewhere.",
                   PAGE_AXIS, {label: "CPU s/GB"},
                   (r) => ({y: r.cpu.value, low: r.cpu.low, high: r.cpu.high}));
}

function fioChart(rows) {
  const checked = rows.filter((r) => at(r.row, "fio_ratio")).slice(0, 24);
  const ratio = checked.map((r) => interval(at(r.row, "fio_ratio")));
  return {
    title: "Against fio, pair by pair",
    note: "Rate of this program over fio's at the same setting; 1 is the same.",
    bars: checked.map((r) => `${r.rw}, ${format.bytes(r.page)} × ${format.count(r.depth)}`),
    y: {label: "ours / fio"},
    marks: [{x: 1, label: "equal"}],
    series: [{
      label: "rate",
      color: 0,
      values: ratio.map((i) => i.value),
      ends: ratio.map((i) => [i.low, i.high])
    }]
  };
}

/* TTFT over alpha that each target would give: the ideal model with its R and W. */
function targetsTtftChart(result) {
  const found = ratesOf(result).filter((r) => Number.isFinite(r.T.value));
  if (!wasm || !found.length) return null;
  const most = Math.max(...found.map((r) => r.n_tokens * r.T.value));
  const [factor, unit] = timeUnit(most), n = found[0].n_tokens;
  return {
    title: `TTFT that each target would give, ${format.count(n)} tokens`,
    note: "max(αN·R, (1-α)N·W, (1-α)N·T) with constant T, R and W: a prediction.",
    x: {label: "α, share of the prompt reloaded", min: 0, max: 1},
    y: {label: `TTFT (${unit})`},
    series: [
      ...found.map(
          (r, color) =>
              ({label: r.target, color, line: true, marker: null, points: idealCurve(r, factor)})),
      {
        label: "recompute",
        color: 5,
        line: true,
        dash: [2, 3],
        marker: null,
        points: [{x: 0, y: most * factor}, {x: 1, y: most * factor}]
      }
    ]
  };
}

/* ---- tables ---- */

function targetsTable(result) {
  const rows = list(result.rows), names = targetNames(result);
  const body = list(result.targets).flatMap((target, i) => list(at(target, "summary")).map((s) => {
    const rates = ratesOf(result).find((r) => r.place === i);
    const best = at(rows, String(num(at(s, "best_read_row")))) || rows[num(at(s, "best_read_row"))];
    const per = (own) => Number.isFinite(own?.value) ? {
      text: [
        significant(own.value * 1e6),
        Number.isFinite(own.low)
            ? el("small", {}, `${significant(own.low * 1e6)} to ${significant(own.high * 1e6)}`)
            : ""
      ]
    }
                                                     : MISSING;
    const wrong = rows.filter((r) => at(r, "target") === at(target, "target"))
                      .reduce((sum, r) => sum + (num(at(r, "wrong_bytes")) || 0), 0);
    return [
      {text: [names[i], el("small", {}, standsOn(target))], class: "text"}, {
        text: best ? `${text(at(best, "engine"))}, ${format.bytes(num(at(best, "page_bytes")))}, ` +
                         `depth ${format.count(num(at(best, "queue_depth")))}`
                   : MISSING,
        class: "text"
      },
      per(rates?.R), per(rates?.W), per(rates?.T), significant(num(at(s, "e"))),
      significant(num(at(s, "alpha_star"))), significant(num(at(s, "alpha"))),
      format.seconds(num(at(s, "model_pipelined_s"))), format.seconds(num(at(s, "recompute_s"))),
      significant(num(at(s, "recompute_s")) / num(at(s, "model_pipelined_s"))),
      format.count(num(at(s, "break_even_tokens"))),
      {text: format.count(wrong), class: wrong > 0 ? "bad" : null}
    ];
  }));
  return tableOf("What each target gives; R, W and T in µs a token with 95% intervals",
                 [
                   {text: "target", class: "text"}, {text: "reads fastest by", class: "text"}, "R",
                   "W", "T", "e", "α*", "at α", "TTFT", "recompute", "speedup ×",
                   "pays from tokens", "wrong bytes"
                 ],
                 body);
}

/* Pages down, depths across; the deeper the colour the nearer to the fastest of this direction. */
function gridOf(rows, caption, most) {
  const pages = distinct(rows, "page"), depths = distinct(rows, "depth");
  const cell = (page, depth) => {
    const r = fastestBy(rows.filter((own) => own.page === page && own.depth === depth), "page")[0];
    if (!r) return MISSING;
    const half = (r.rate.high - r.rate.low) / 2;
    return {
      text: [
        significant(r.rate.value),
        el("small", {}, Number.isFinite(half) ? `± ${significant(half, 2)}` : "")
      ],
      class: "h" + Math.round(8 * Math.min(1, r.rate.value / most))
    };
  };
  return el("div", {class: "panel"},
            tableOf(caption, ["page \\ depth", ...depths.map((d) => format.count(d))],
                    pages.map((page) => [format.bytes(page), ...depths.map((d) => cell(page, d))]),
                    "heat"));
}

function storageGrids(rows) {
  const grids = DIRECTIONS.flatMap(([rw, title]) => {
    const own = rows.filter((r) => r.rw === rw);
    if (distinct(own, "page").length * distinct(own, "depth").length < 4) return [];
    const most = Math.max(...own.map((r) => r.rate.value));
    return variantsOf(own).map(
        ([label, part]) => gridOf(part, [title, label, "GB/s"].filter(Boolean).join(", "), most));
  });
  return grids.length ? el("details", {open: grids.length <= 4},
                           el("summary", {}, "Every page size by every depth"),
                           el("div", {class: "charts"}, grids))
                      : null;
}

function storageRowsTable(result) {
  const ms = (row, q) => significant(num(at(row, "page_latency_s", q)) * 1e3);
  const heads = [
    {text: "target", class: "text"}, {text: "rw", class: "text"}, {text: "how", class: "text"},
    "page", "depth", "GB/s", "low", "high", "R or W µs", "layer ms", "p50 ms", "p99 ms", "p99.9 ms",
    "a request GB/s", "CPU s/GB", "ours/fio", "wrong bytes", {text: "cold", class: "text"}
  ];
  return tableOf("All rows; latency is of one request", heads, storageRows(result).map((r) => {
    const per =
        num(at(r.row, r.rw === "write" ? "storage_write_s_per_token" : "storage_read_s_per_token"));
    const wrong = num(at(r.row, "wrong_bytes"));
    return [
      {text: r.target, class: "text"}, {text: r.rw, class: "text short"},
      {text: r.details.join(", "), class: "text short"}, format.bytes(r.page),
      format.count(r.depth),
      significant(r.rate.value), significant(r.rate.low), significant(r.rate.high),
      significant(per * 1e6), significant(num(at(r.row, "layer_s")) * 1e3), ms(r.row, "p50"),
      ms(r.row, "p99"), ms(r.row, "p999"),
      significant(interval(at(r.row, "stream_bytes_per_s"), 1e-9).value), significant(r.cpu.value),
      significant(interval(at(r.row, "fio_ratio")).value), {
        text: Number.isFinite(wrong) ? format.count(wrong) : "not checked",
        class: wrong > 0 ? "bad" : null
      },
      {text: text(at(r.row, "cold")), class: "text wide"}
    ];
  }));
}

function refusedOf(result) {
  const refused = list(result.rows).filter((r) => text(at(r, "refused")));
  return refused.length
             ? notice(`${refused.length} rows could not be measured: ` +
                      [...new Set(refused.map((r) => text(r.refused)))].slice(0, 3).join("; "))
             : null;
}

function fioCommands(result) {
  const commands = list(result.rows).map((r) => text(at(r, "fio_command"))).filter(Boolean);
  return commands.length ? el("details", {}, el("summary", {}, "The same by fio"),
                              el("ul", {class: "commands"},
                                 commands.map((c) => el("li", {}, el("code", {}, c)))))
                         : null;
}

/* Charts and tables of a storage result, as contentOf() wants them. */
function storageContent(result) {
  const rows = storageRows(result), specs = [];
  if (new Set(rows.map((r) => r.target)).size > 1) specs.push(fastestChart(rows));
  specs.push(...[targetsTtftChart(result)].filter(Boolean));
  specs.push(...DIRECTIONS.flatMap((direction) => rateCharts(rows, direction)));
  if (rows.some((r) => r.rw === "read" && Number.isFinite(r.p99))) specs.push(latencyChart(rows));
  if (distinct(rows.filter((r) => r.rw === "read"), "page").length > 1)
    specs.push(processorChart(rows));
  if (rows.some((r) => at(r.row, "fio_ratio"))) specs.push(fioChart(rows));
  return {
    before: [refusedOf(result), targetsTable(result)].filter(Boolean),
    specs,
    nodes: [
      storageGrids(rows),
      el("details", {}, el("summary", {}, "All rows as a table"), storageRowsTable(result)),
      fioCommands(result)
    ].filter(Boolean)
  };
}

/*
 * The page put together: the answer, the results, and the planner. Runs last.
 */

const RESULT_SCHEMA = "refill/1";

/* ---- the parts of one result ---- */

function numberOf(name, value, below) {
  return el("div", {class: "number"}, el("dt", {}, name), el("dd", {}, value),
            below ? el("dd", {class: "range"}, below) : null);
}

function keyNumbers(rates) {
  const star = Number.isFinite(rates.alpha_star) ? rates.alpha_star : rates.alpha_star_constant;
  const e = rates.e_interval;
  const ends = wasm && Number.isFinite(e.low)
                   ? {low: wasm.ttft_alpha_star(e.low), high: wasm.ttft_alpha_star(e.high)}
                   : {low: NaN, high: NaN};
  return el("dl",
            {class: "numbers", "aria-label": `Rates at ${format.count(rates.n_tokens)} tokens`},
            rates.target ? numberOf("Target", rates.target, rates.stands_on) : null,
            numberOf("T, compute per token", format.seconds(rates.T.value),
                     rangeText(rates.T, format.seconds)),
            numberOf("R, read per token", format.seconds(rates.R.value),
                     rangeText(rates.R, format.seconds)),
            numberOf("W, write per token", format.seconds(rates.W.value),
                     rangeText(rates.W, format.seconds)),
            numberOf("e = T/R", significant(rates.e), rangeText(e, significant)),
            numberOf("α*, crossover", significant(star),
                     Number.isFinite(ends.low)
                         ? `constant T: ${significant(ends.low)} to ${significant(ends.high)}`
                         : `constant T: ${significant(rates.alpha_star_constant)}`),
            Number.isFinite(rates.best_speedup)
                ? numberOf("Best speedup", significant(rates.best_speedup) + "×",
                           `at α = ${significant(rates.best_alpha)}`)
                : null,
            Number.isFinite(rates.recompute_s)
                ? numberOf(`TTFT recomputed`, format.seconds(rates.recompute_s),
                           `${format.count(rates.n_tokens)} tokens`)
                : null,
            Number.isFinite(rates.break_even)
                ? numberOf("Break-even prefix", format.count(rates.break_even), "tokens, predicted")
                : null);
}

/* Everything a reader needs to judge the box, what is null left out. */
function boxOf(result) {
  const rows = [];
  const walk = (name, value, depth) => {
    if (value === null || value === undefined || value === "" || rows.length > 150) return;
    if (Array.isArray(value)) {
      if (value.length)
        rows.push([
          name, value.slice(0, 20)
                    .map((v) => typeof v === "object" ? JSON.stringify(v) : text(v))
                    .join(" ")
                    .slice(0, TEXT_MAX)
        ]);
    } else if (typeof value === "object") {
      if (depth < 4)
        for (const key of Object.keys(value).slice(0, 80))
          walk(name ? `${name} ${key}` : key, value[key], depth + 1);
    } else
      rows.push([
        name.replaceAll("_", " "), /bytes$/.test(name) && Number.isFinite(num(value))
                                       ? `${format.bytes(value)}`
                                       : text(value) || String(value)
      ]);
  };
  walk("", result.host, 0);
  walk("", result.rig, 0);
  walk("target", at(result, "target"), 0);
  walk("refill", result.refill, 0);
  walk("", result.environment, 0);
  const config = [];
  for (const [key, value] of Object.entries(at(result, "config") || {}).slice(0, 100))
    if (value !== null)
      config.push([
        key.replaceAll("_", " "), Array.isArray(value) ? value.slice(0, 32).map(text).join(", ")
                                                       : text(value) || String(value)
      ]);
  return el("details", {}, el("summary", {}, "The box, the build and the settings"),
            el("p", {}, "Command: ", el("code", {}, list(result.command_line).map(text).join(" "))),
            el("div", {class: "charts"},
               el("div", {class: "panel"}, tableOf("Box and build", null, rows, "facts")),
               el("div", {class: "panel"}, tableOf("Settings", null, config, "facts"))));
}

function warningsOf(result) {
  const items = list(result.warnings).map((w) => text(at(w, "text"))).filter(Boolean);
  return items.length ? el("details", {open: true},
                           el("summary", {},
                              `${items.length} warning${items.length > 1 ? "s" : ""} of this ` +
                                  `run`),
                           el("ul", {class: "warnings"}, items.map((w) => el("li", {}, w))))
                      : null;
}

/* The result's charts as specs, its tables as nodes. */
function contentOf(result) {
  if (list(result.targets).length) return storageContent(result);
  const specs = [], nodes = [];
  if (overlapPoints(result).length || list(result.points).length) {
    for (const rates of ratesOf(result))
      specs.push(ttftChart(result, rates), speedupChart(result, rates), errorChart(result, rates),
                 stagesChart(result, rates));
    if (list(at(result, "break_even", "points")).length) specs.push(breakEvenChart(result));
    nodes.push(el("details", {}, el("summary", {}, "All points as a table"), sweepTable(result)));
  }
  if (list(result.compute).length) specs.push(computeChart(result), rooflineChart(result));
  nodes.push(...[partsTable(result), layersTable(result)].filter(Boolean));
  if (list(result.storage).length) {
    specs.push(storageChart(result));
    nodes.push(storageTable(result));
  }
  if (result.command === "verify") nodes.push(verifyTable(result));
  if (result.command === "doctor") nodes.push(doctorTable(result));
  return {before: [], specs, nodes};
}

function figures(specs, prefix) {
  const made = specs.map((spec, i) => figureOf(spec, `${prefix}-${i}`));
  const grid = el("div", {class: "charts"}, made.map((f) => f.node));
  return {grid, draw: () => made.forEach((f) => f.draw())};
}

function titleOf(result) {
  return [text(result.command), modelOf(result), deviceOf(result) && "on " + deviceOf(result)]
      .filter(Boolean)
      .join(" ");
}

/* One result; drawn when it is first opened, so that twenty of them cost nothing until read. */
function resultSection(entry, index, open, told) {
  const result = entry.result, id = `result-${index + 1}`;
  const body = el("div", {});
  const section = el("details", {class: "result", id},
                     el("summary", {}, `${text(entry.file)}: ${titleOf(result)}`), body);
  let built = false;
  section.addEventListener("toggle", () => {
    if (!section.open || built) return;
    built = true;
    const {before, specs, nodes} = contentOf(result);
    const charts = figures(specs, id);
    if (entry.trace) charts.grid.append(timelineFigure(entry.trace));
    if (!told)
      body.append(el("p", {}, text(result.answer)), ...[chips(labelsOf(result))].filter(Boolean));
    const rates = list(result.targets).length ? [] : ratesOf(result).slice(told ? 1 : 0);
    body.append(...rates.map((r) => keyNumbers(r)), ...before, charts.grid, ...nodes,
                ...[warningsOf(result), boxOf(result)].filter(Boolean));
    if (!specs.length && !nodes.length && !entry.trace)
      body.prepend(notice(
          "This result holds nothing that this page knows how to draw; its settings and box " +
          "are below."));
    charts.draw();
  });
  section.open = open;
  return section;
}

/* ---- the page ---- */

function readReport() {
  const report = JSON.parse(document.getElementById("results").textContent);
  const entries = list(at(report, "results")).filter((e) => e && typeof e === "object");
  const fit = entries.filter((e) => at(e, "result", "schema") === RESULT_SCHEMA);
  return {report, entries: fit, refused: entries.filter((e) => !fit.includes(e))};
}

/* The result whose answer heads the page: a sweep's, since it observed, else any. */
function answering(entries) {
  const answers = entries.filter((e) => text(at(e, "result", "answer")));
  return answers.find((e) => e.result.command === "sweep") || answers[0];
}

/* Of a sweep the first length, of storage the target that reads fastest: what the answer is of. */
function headRates(result) {
  const rates = ratesOf(result);
  return Array.isArray(result.targets)
             ? rates.reduce((best, r) => best && best.R.value <= r.R.value ? best : r, undefined)
             : rates[0];
}

function headline(first) {
  if (!first)
    return [el("h1", {},
               "Recompute or reload? These results hold no answer yet: run refill sweep.")];
  const rates = headRates(first.result);
  return [
    el("h1", {}, text(first.result.answer)),
    el("p", {class: "note"},
       `From ${text(first.file)}, ${text(first.result.started)}; storage: ${
           targetOf(first.result)}.`),
    chips(labelsOf(first.result)), rates ? keyNumbers(rates) : null
  ].filter(Boolean);
}

function contents(entries, compared, together) {
  const middle = [["#results-title", "Results"]];
  if (compared) middle.splice(together ? 0 : 1, 0, ["#compared", "Compared"]);
  const links = [["#main", "Answer"], ...middle, ["#planner", "Planner"]];
  document.getElementById("contents")
      .append(...links.map(
          ([href, name]) => el("li", {},
                               el("a", {
                                 href,
                                 click(event) {
                                   event.preventDefault(); /* the fragment is the planner's */
                                   const target = document.querySelector(href);
                                   target.scrollIntoView();
                                   target.setAttribute("tabindex", "-1");
                                   target.focus({preventScroll: true});
                                 }
                               },
                                  name))));
}

async function main() {
  await loadModel();
  setUpCharts();
  const {report, entries, refused} = readReport();
  const place = document.getElementById("report");
  const compared = comparison(entries, list(report.comparisons));
  const first = answering(entries);
  place.append(...headline(first));
  if (!haveChart())
    place.append(notice(
        "This refill was built without Chart.js (Debian's libjs-chart.js): numbers stand in " +
        "tables where charts would be."));
  if (report.samples_left_out === true)
    place.append(
        notice("Raw samples were left out to keep this page small; medians and intervals are all " +
               "here."));
  for (const entry of refused)
    place.append(notice(`${text(entry.file) || "A file"} is left out: its schema is ${
        text(at(entry, "result", "schema")) || "missing"}, this page reads ${RESULT_SCHEMA}.`));
  const together = list(report.comparisons).some((c) => !text(at(c, "refused")));
  if (compared && together) place.append(compared.section);
  place.append(el("h2", {id: "results-title"}, entries.length > 1 ? "Each result" : "The result"));
  entries.forEach((entry, i) => place.append(
                      resultSection(entry, i, first ? entry === first : i === 0, entry === first)));
  if (compared && !together) place.append(compared.section); /* unlike each other: said last */
  contents(entries, compared, together);
  if (compared) compared.draw();
  const version = text(report.version);
  document.getElementById("provenance").textContent =
      `Made by refill ${version}. ` +
      "Figures labelled played back, emulated or predicted are not measurements. " +
      "Charts: Chart.js (MIT).";
  setUpPlanner(document.getElementById("planner-body"), entries);
  if (location.hash.startsWith(ADDRESS)) /* a setting that somebody passed on */
    document.getElementById("planner").scrollIntoView();
  document.documentElement.dataset.ready = "yes";
}

main().catch((problem) => {
  document.getElementById("report").prepend(
      notice("This page could not be put together: " + text(String(problem && problem.message)) +
             ". The results are in its source as JSON."));
  document.documentElement.dataset.ready = "failed";
  console.error(problem);
});

/*
 * Several results, or several targets of one, side by side: what changed, and is it more than
 * chance? The verdicts are those of `refill compare`, made from raw samples when the page was
 * written; nothing is tested here.
 */

const RATE_FIELDS = {
  T: "compute_s_per_token",
  R: "read_s_per_token",
  W: "write_s_per_token"
};

/* A compared row as the page's data has it, by name. */
function comparedRow(row) {
  const [array, key, field, a, b, change, low, high, verdict] = Array.isArray(row) ? row : [];
  return {
    array: text(array),
    key: text(key),
    field: text(field),
    a: num(a),
    b: num(b),
    change: num(change),
    low: num(low),
    high: num(high),
    verdict: text(verdict)
  };
}

const KINDS_OF_VERDICT = {
  slower: "bad",
  faster: "good"
};

function verdictText(row) {
  if (!row) return {text: ""};
  const change = format.change(row.change);
  if (row.verdict === "no significant change") return {text: `${change}, within noise`};
  return {text: `${change}, ${row.verdict}`, class: KINDS_OF_VERDICT[row.verdict]};
}

/* The rates of all results in one list; a storage result has an entry for each target. */
function ratedRows(entries) {
  return entries.flatMap(
      (entry, index) =>
          ratesOf(entry.result).map((rates) => ({entry, index, rates, place: rates.place ?? -1})));
}

/* What changed in T, R or W of this row: against the first result of its kind, else against the
 * first target of its own. Undefined where it is a baseline, null where nothing could be tested. */
function foundFor(comparisons, row, field) {
  const b = (c, target) => num(at(c, "b")) === row.index && num(at(c, "b_target")) === target;
  const key = row.place >= 0 ? `target ${row.place}` : `n_tokens ${row.rates.n_tokens}`;
  const of = (comparison, name) =>
      list(comparison?.rows)
          .map(comparedRow)
          .find((r) => r.array === "summary" && r.field === field && r.key === name);
  const whole = comparisons.find((c) => b(c, -1)), own = comparisons.find((c) => b(c, row.place));
  const found = of(whole, key) || (row.place > 0 ? of(own, "target 0") : undefined);
  return found || (whole || row.place > 0 ? null : undefined);
}

function ratesTable(rows, comparisons) {
  const words = (value) => ({text: value, class: "text"});
  const rate = (row, name) => {
    const value = row.rates[name].value;
    if (!Number.isFinite(value)) return MISSING;
    const found = foundFor(comparisons, row, RATE_FIELDS[name]);
    const told = found === undefined ? {text: "baseline"} : verdictText(found);
    return {text: [format.seconds(value), el("small", {}, told.text)], class: told.class};
  };
  return tableOf(
      "T, R and W side by side; each against the first of its kind",
      [
        {text: "result", class: "text"}, {text: "storage", class: "text"}, "tokens", "T", "R", "W",
        "e", "α*", "best ×", {text: "conditions", class: "text"}
      ],
      rows.map((row) => {
        const {entry, rates} = row, result = entry.result;
        return [
          words([text(entry.file), el("small", {}, titleOf(result))]),
          words(rates.target ? `${rates.target} (${rates.stands_on})` : targetOf(result)),
          format.count(rates.n_tokens), rate(row, "T"), rate(row, "R"), rate(row, "W"),
          significant(rates.e), significant(rates.alpha_star), significant(rates.best_speedup),
          words(labelsOf(result).map((l) => l.text).join("; "))
        ];
      }));
}

/* ---- one comparison ---- */

const valueText = (field, value) => /_per_s$/.test(field)            ? format.rate(value)
                                    : /_s(_per_token)?$/.test(field) ? format.seconds(value)
                                                                     : significant(value);

/* A row's place in words: of two targets of one result, each is its own side's. */
const placeText = (key, within) =>
    within ? key.replace(/(, )?target \d+$/, "") || "fastest setting" : key;

function comparisonTable(rows, within) {
  return tableOf(
      "Medians and their change, 95% interval by bootstrap",
      [
        {text: "at", class: "text"}, {text: "quantity", class: "text"}, "A", "B", "change", "low",
        "high", {text: "verdict", class: "text"}
      ],
      rows.map((r) => [{text: placeText(r.key, within), class: "text wide"},
                       {text: r.field, class: "text short"},
                       valueText(r.field, r.a), valueText(r.field, r.b), format.change(r.change),
                       format.change(r.low), format.change(r.high),
                       {text: r.verdict, class: "text " + (KINDS_OF_VERDICT[r.verdict] || "")}]));
}

const shownValue = (value) => typeof value === "string" ? text(value)
                                                        : text(String(JSON.stringify(value)));

function nameOfSide(entries, index, target) {
  const entry = entries[index];
  if (!entry) return MISSING;
  return text(entry.file) + (target >= 0 ? `: ${targetNames(entry.result)[target] || target}` : "");
}

function comparisonNode(entries, comparison) {
  const side = (name) =>
      nameOfSide(entries, num(at(comparison, name)), num(at(comparison, name + "_target")));
  const title = `B = ${side("b")}, against A = ${side("a")}`;
  if (text(at(comparison, "refused")))
    return el("details", {}, el("summary", {}, `${title}: cannot be compared`),
              el("p", {}, text(comparison.refused)));
  const left = list(comparison.left_out), differ = list(comparison.differences);
  const body = el("div", {}), within = num(at(comparison, "b_target")) >= 0;
  const node = el("details", {}, el("summary", {}, title), body);
  node.addEventListener("toggle", () => {
    if (!node.open || body.childNodes.length) return;
    const answer = text(comparison.answer);
    body.append(el("p", {}, within ? answer.replace(/, target \d+\.$/, ".") : answer),
                comparisonTable(list(comparison.rows).map(comparedRow), within));
    if (left.length)
      body.append(tableOf(`Left out, in one of them alone (${left.length})`,
                          [{text: "in", class: "text"}, {text: "row", class: "text"}],
                          left.map((l) => [text(at(l, "of")).toUpperCase(),
                                           {text: text(at(l, "key")), class: "text wide"}])));
    if (differ.length)
      body.append(tableOf(
          "What else differs",
          [{text: "field", class: "text"}, {text: "A", class: "text"}, {text: "B", class: "text"}],
          differ.slice(0, 60).map(
              (d) => [text(at(d, "field")), {text: shownValue(at(d, "a")), class: "text"},
                      {text: shownValue(at(d, "b")), class: "text"}])));
  });
  return node;
}

/* ---- together ---- */

function sweepsChart(rows) {
  const sweeps = rows.filter((row) => overlapPoints(row.entry.result, row.rates.n_tokens).length);
  if (sweeps.length < 2) return [];
  return [{
    title: "Speedup of each sweep",
    note: "Each against its own recompute; compare like with like.",
    x: {label: "α", min: 0, max: 1},
    y: {label: "speedup (×)"},
    series: sweeps.slice(0, 12).map(
        (row, i) => ({
          label: `${text(row.entry.file)}, ${format.count(row.rates.n_tokens)}`,
          color: i,
          line: true,
          points: overlapPoints(row.entry.result, row.rates.n_tokens)
                      .map((p) => ({x: num(at(p, "alpha")), y: num(at(p, "speedup"))}))
        })),
  }];
}

/* Best reads and writes of every target of every storage result. */
function drivesChart(entries) {
  const found = entries.filter((e) => e.result.command === "storage")
                    .flatMap((entry) => {
                      const rows = storageRows(entry.result);
                      return targetNames(entry.result).map((name, place) => {
                        const best = (rw) => fastestBy(
                            rows.filter((r) => r.rw === rw && r.place === place), "rw")[0];
                        return {
                          name: `${text(entry.file)}: ${name}`,
                          read: best("read"),
                          write: best("write")
                        };
                      });
                    })
                    .slice(0, 24);
  if (found.length < 2) return [];
  return [{
    title: "Fastest reads and writes of every target",
    bars: found.map((f) => f.name),
    y: {label: "GB/s"},
    note: "Each by its own best engine, page size and depth.",
    series: [["read", 0], ["write", 2]]
                .map(([rw, color]) => ({
                       label: rw + "s",
                       color,
                       values: found.map((f) => f[rw]?.rate.value),
                       ends: found.map((f) => [f[rw]?.rate.low, f[rw]?.rate.high])
                     }))
                .filter((s) => s.values.some(Number.isFinite))
  }];
}

function comparison(entries, comparisons) {
  const rows = ratedRows(entries);
  if (rows.length < 2) return null;
  const several = entries.filter((e) => e.result.command === "storage").length > 1;
  const charts =
      figures([...sweepsChart(rows), ...(several ? drivesChart(entries) : [])], "compared");
  const section = el(
      "section", {id: "compared", "aria-labelledby": "compared-title"},
      el("h2", {id: "compared-title"}, "Results compared"),
      el("p", {class: "note"},
         "“slower” and “faster” are said where the 95% interval of the change, bootstrapped from " +
             "the raw samples, leaves out zero: the same test as `refill compare`. Of twenty " +
             "quantities that did not change, expect one to look changed."),
      ratesTable(rows, comparisons), charts.grid,
      comparisons.map((c) => comparisonNode(entries, c)));
  return {section, draw: charts.draw};
}

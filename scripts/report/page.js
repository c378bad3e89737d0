/*
 * The page's own small tools: elements, numbers as text, and careful reading of results.
 *
 * Results are foreign data. Every text goes into the page as a text node, never as markup; every
 * number passes num(), every list list(), so that what is missing or of another kind is shown as
 * missing and nothing later has to ask.
 */

/* ---- elements ---- */

/* el("p", {class: "note"}, "text", node, [more]): attributes by name, functions as listeners. */
function el(tag, attributes, ...children) {
  const drawing = ["svg", "rect", "text", "line", "g"].includes(tag);
  const node = drawing ? document.createElementNS("http://www.w3.org/2000/svg", tag)
                       : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function")
      node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined)
      node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/* A table of texts; cells may be {text, class}. The wrapper scrolls, by keyboard too. */
function tableOf(caption, heads, rows, kind) {
  const cell = (tag, value, scope) => {
    const own = value !== null && typeof value === "object" ? value : {text: value};
    return el(tag, {class: own.class, scope}, own.text === undefined ? "" : own.text);
  };
  const table =
      el("table", {class: kind}, caption ? el("caption", {}, caption) : null,
         heads ? el("thead", {}, el("tr", {}, heads.map((h) => cell("th", h, "col")))) : null,
         el("tbody", {},
            rows.map((row) => el("tr", {},
                                 row.map((value, i) => kind === "facts" && i === 0
                                                           ? cell("th", value, "row")
                                                           : cell("td", value))))));
  return el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption || "table"},
            table);
}

function notice(...text) { return el("p", {class: "notice", role: "note"}, ...text); }

/* ---- reading ---- */

const LIST_MAX = 500; /* more entries than any page can show */
const TEXT_MAX = 400;

function num(value) { return typeof value === "number" && Number.isFinite(value) ? value : NaN; }

function text(value) {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") return "";
  return value.length > TEXT_MAX ? value.slice(0, TEXT_MAX) + "…" : value;
}

function list(value) { return Array.isArray(value) ? value.slice(0, LIST_MAX) : []; }

/* at(result, "rig", "device", "name"): undefined where a step is missing. */
function at(object, ...keys) {
  let value = object;
  for (const key of keys) {
    if (value === null || typeof value !== "object" ||
        !Object.prototype.hasOwnProperty.call(value, key))
      return undefined;
    value = value[key];
  }
  return value;
}

/* {median, ci_low, ci_high} as {value, low, high}, each times `factor`. */
function interval(value, factor = 1) {
  const ends = [num(at(value, "ci_low")) * factor, num(at(value, "ci_high")) * factor];
  return {value: num(at(value, "median")) * factor, low: ends[0], high: ends[1]};
}

/* ---- numbers as text ---- */

const MISSING = "–";

function significant(value, digits = 3) {
  if (!Number.isFinite(value)) return value === Infinity ? "∞" : MISSING;
  if (value === 0) return "0";
  const whole = Math.floor(Math.log10(Math.abs(value))) + 1;
  const decimals = Math.min(12, Math.max(0, digits - whole));
  return value.toLocaleString("en-US", {minimumFractionDigits: 0, maximumFractionDigits: decimals});
}

function scaled(value, steps, digits) {
  if (!Number.isFinite(value)) return significant(value);
  const step = steps.find(([from]) => Math.abs(value) >= from) || steps[steps.length - 1];
  return significant(value / step[0], digits) + " " + step[1];
}

const format = {
  seconds: (s, digits) => scaled(s, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]], digits),
  bytes: (b, digits) =>
      scaled(b, [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]],
             digits),
  gigabytes: (b, digits) => scaled(b, [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1, "B"]], digits),
  rate: (r, digits) => Number.isFinite(r) ? significant(r / 1e9, digits) + " GB/s" : significant(r),
  flops: (f, digits) => scaled(f, [[1e12, "TFLOPS"], [1e9, "GFLOPS"], [1, "FLOPS"]], digits),
  count: (n) =>
      Number.isFinite(n) ? n.toLocaleString("en-US", {maximumFractionDigits: 0}) : significant(n),
  percent: (x, digits) => Number.isFinite(x) ? significant(x * 100, digits) + "%" : significant(x),
  change: (x) =>
      Number.isFinite(x) ? (x > 0 ? "+" : "") + (x * 100).toFixed(1) + "%" : significant(x),
  real: (x, digits) => significant(x, digits),
  usd: (x, digits) => Number.isFinite(x) ? "$" + significant(x, digits) : significant(x),
};

/* Time unit for an axis whose largest value is `most_s`: [factor, unit]. */
function timeUnit(most_s) {
  if (most_s >= 1) return [1, "s"];
  if (most_s >= 1e-3) return [1e3, "ms"];
  return most_s >= 1e-6 ? [1e6, "µs"] : [1e9, "ns"];
}

/* "3.2 to 3.4 ms" under a value. */
function rangeText(estimate, write) {
  return Number.isFinite(estimate.low) && Number.isFinite(estimate.high)
             ? `95%: ${write(estimate.low)} to ${write(estimate.high)}`
             : "no interval";
}

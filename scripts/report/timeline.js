/*
 * Where time goes: a trace as lanes of read, H2D, compute, D2H and write, drawn as SVG so that it
 * prints sharply and needs no library.
 */
const SPANS_MAX = 4000;
const LANES = ["read", "H2D", "compute", "D2H", "write"];

function spansOf(trace) {
  const spans = at(trace, "spans");
  return (Array.isArray(spans) ? spans.slice(0, SPANS_MAX) : [])
      .map((s) => ({
             lane: LANES.indexOf(at(s, 0)),
             name: text(at(s, 1)),
             start: num(at(s, 2)),
             length: num(at(s, 3)),
           }))
      .filter((s) => s.lane >= 0 && s.length >= 0 && Number.isFinite(s.start));
}

function stageTotals(spans) {
  return LANES
      .map((lane, i) => {
        const own = spans.filter((s) => s.lane === i);
        const sum = own.reduce((total, s) => total + s.length, 0);
        return {lane, count: own.length, sum_us: sum, mean_us: own.length ? sum / own.length : NaN};
      })
      .filter((t) => t.count > 0);
}

function timelineOf(spans, label) {
  const width = 960, left = 70, laneHeight = 34,
        used = LANES.filter((_, i) => spans.some((s) => s.lane === i));
  const end = Math.max(...spans.map((s) => s.start + s.length), 1e-9);
  const [factor, unit] = timeUnit(end / 1e6);
  const height = used.length * laneHeight + 30, x = (us) => left + (width - left - 10) * us / end;
  const svg =
      el("svg",
         {class: "timeline", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  used.forEach((lane, row) => {
    const y = row * laneHeight + 6;
    svg.append(el("text", {x: 4, y: y + 17}, lane), el("line", {
                 class: "lane",
                 x1: left,
                 x2: width - 10,
                 y1: y + laneHeight - 6,
                 y2: y + laneHeight - 6
               }));
    for (const s of spans.filter((own) => LANES[own.lane] === lane)) {
      const layer = parseInt(s.name.replace(/\D+/g, ""), 10);
      const bar = el("rect", {
        class: "s" + s.lane,
        x: x(s.start),
        y,
        width: Math.max(0.6, x(s.start + s.length) - x(s.start)),
        height: 24,
        opacity: layer % 2 ? 0.62 : 1
      });
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = `${lane}, ${s.name}: ${format.seconds(s.length / 1e6)} from ${
          format.seconds(s.start / 1e6)}`;
      bar.append(title);
      svg.append(bar);
    }
  });
  for (const share of [0, 0.25, 0.5, 0.75, 1])
    svg.append(el("text", {
      x: x(end * share),
      y: height - 6,
      "text-anchor": share === 1 ? "end"
                     : share     ? "middle"
                                 : "start"
    },
                  `${significant(end * share / 1e6 * factor)} ${unit}`));
  return svg;
}

/* The whole run, its first layers enlarged, and each stage's totals. */
function timelineFigure(trace) {
  const spans = spansOf(trace);
  if (!spans.length) return notice("The trace given holds no spans of layers.");
  const layers = [...new Set(spans.map((s) => s.name))];
  const few = layers.length > 12 ? spans.filter((s) => layers.indexOf(s.name) < 6) : [];
  const totals = stageTotals(spans);
  const words = totals.map((t) => `${t.lane} ${format.seconds(t.sum_us / 1e6)}`).join(", ");
  return el("figure", {class: "wide"}, el("h3", {}, "Where time goes, layer by layer"),
    el("figcaption", {}, `One run: ${text(at(trace, "title"))}. Shades alternate by layer.`),
    timelineOf(spans, `Timeline of ${layers.length} layers. Busy: ${words}.`),
    few.length ? [el("figcaption", {}, "The first 6 layers:"), timelineOf(few, "Timeline of " +
        "the first 6 layers.")] : null,
    tableOf("Busy time of each stage", ["stage", "layers", "in all", "mean per layer"],
            totals.map((t) => [t.lane, t.count, format.seconds(t.sum_us / 1e6),
                                format.seconds(t.mean_us / 1e6)])),
    num(at(trace, "left_out")) > 0 ? notice(`${format.count(num(trace.left_out))} later spans ` +
        `are left out.`) : null);
}

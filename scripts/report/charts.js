/*
 * Charts: a picture, its meaning in words for who cannot see it, and its numbers as a table.
 *
 * A chart is described by a spec, drawn by Chart.js where that was built in; where not, its table
 * stands open in its place.
 *   {title, note, x: {label, log}, y: {label, log}, marks: [{x, label}],
 *    series: [{label, color, line, dash, marker, hollow, points: [{x, y, low, high}]}]}
 * or {title, bars: [label], y, series: [{label, color, values}], stacked}.
 */
const drawn = []; /* charts on the page, for theme changes and tests */

const haveChart = () => typeof Chart !== "undefined";

const theme = new Map(); /* the style sheet's colours; emptied when light turns to dark */

function themeOf(name) {
  if (!theme.has(name))
    theme.set(name,
              getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim());
  return theme.get(name);
}

const colorOf = (index) => themeOf("c" + (index % 6));

function barWhiskers(ctx, scale, bars, ends) {
  bars.forEach((bar, i) => {
    const [low, high] = (ends[i] || []).map((end) => scale.getPixelForValue(end));
    if (!Number.isFinite(low) || !Number.isFinite(high)) return;
    ctx.beginPath();
    ctx.moveTo(low, bar.y);
    ctx.lineTo(high, bar.y);
    for (const x of [low, high]) {
      ctx.moveTo(x, bar.y - 4);
      ctx.lineTo(x, bar.y + 4);
    }
    ctx.stroke();
  });
}

/* Dashed lines with their names above the plot, to the left where the next name needs the right. */
function drawMarks(ctx, scale, area, marks) {
  const placed = marks.map((mark) => ({label: mark.label, x: scale.getPixelForValue(mark.x)}))
                     .filter(({x}) => x >= area.left && x <= area.right)
                     .sort((a, b) => a.x - b.x);
  ctx.strokeStyle = ctx.fillStyle = themeOf("muted");
  ctx.setLineDash([5, 4]);
  placed.forEach(({label, x}, i) => {
    ctx.beginPath();
    ctx.moveTo(x, area.top - MARK_PIXELS + 4);
    ctx.lineTo(x, area.bottom);
    ctx.stroke();
    const wide = ctx.measureText(label).width, next = i + 1 < placed.length ? placed[i + 1].x : 1e9;
    const left = x + wide + 8 > Math.min(area.right, next) && x > wide;
    ctx.textAlign = left ? "right" : "left";
    ctx.fillText(label, x + (left ? -4 : 4), area.top - 6);
  });
}
const MARK_PIXELS = 20;

/* Whiskers of intervals, and dashed vertical lines with their names. */
const extras = {
  id: "extras",
  afterDatasetsDraw(chart) {
    const {ctx, chartArea: area, scales} = chart;
    ctx.save();
    chart.data.datasets.forEach((set, index) => {
      if (!chart.isDatasetVisible(index)) return;
      ctx.strokeStyle = set.ends ? themeOf("ink") : set.borderColor;
      ctx.lineWidth = 1.5;
      if (set.ends) barWhiskers(ctx, scales.x, chart.getDatasetMeta(index).data, set.ends);
      for (const point of set.whiskers ? set.data : []) {
        if (!Number.isFinite(point.low) || !Number.isFinite(point.high)) continue;
        const x = scales.x.getPixelForValue(point.x);
        const low = scales.y.getPixelForValue(point.low),
              high = scales.y.getPixelForValue(point.high);
        ctx.beginPath();
        ctx.moveTo(x, low);
        ctx.lineTo(x, high);
        ctx.moveTo(x - 4, low);
        ctx.lineTo(x + 4, low);
        ctx.moveTo(x - 4, high);
        ctx.lineTo(x + 4, high);
        ctx.stroke();
      }
    });
    ctx.font = Chart.defaults.font.size + "px " + Chart.defaults.font.family;
    drawMarks(ctx, scales.x, area, chart.config.options.marks || []);
    ctx.restore();
  },
};

/* The ends of all whiskers, so that none leaves the picture. */
function reachOf(series) {
  const ends =
      series
          .flatMap(
              (s) => (s.points || []).flatMap((p) => [p.low, p.high]).concat((s.ends || []).flat()))
          .filter(Number.isFinite);
  return ends.length ? {suggestedMin: Math.min(...ends), suggestedMax: Math.max(...ends)} : {};
}

/* An axis of few known values, such as page sizes: these are named, and have room beside them. */
function ownTicks(axis) {
  const values = axis.ticks;
  return {
    min: values[0] / 1.3,
    max: values[values.length - 1] * 1.3,
    afterBuildTicks(scale) { scale.ticks = values.map((value) => ({value})); },
    ticks: {
      color: themeOf("muted"),
      maxRotation: 0,
      autoSkipPadding: 8,
      callback: (value) => axis.bytes ? format.bytes(value) : significant(value)
    }
  };
}

function axisOf(axis, position, reach) {
  const logarithmic = axis.log;
  if (axis.ticks) return {...axisOf({...axis, ticks: null}, position, reach), ...ownTicks(axis)};
  return {
    type: logarithmic ? "logarithmic" : "linear",
    ...(logarithmic ? {} : reach),
    min: axis.min,
    max: axis.max,
    beginAtZero: !logarithmic && axis.zero !== false,
    title: {display: true, text: axis.label, color: themeOf("muted")},
    grid: {
      color: (line) => themeOf(line.tick && line.tick.value === 0 ? "muted" : "grid"),
      borderColor: themeOf("rule")
    },
    ticks: {
      color: themeOf("muted"),
      maxRotation: 0,
      autoSkipPadding: 12,
      /* Of more, every other would be left out for want of room, zero too. */
      maxTicksLimit: position === "y" && !logarithmic ? 7 : undefined,
      callback(value) {
        if (logarithmic && position === "x" ? !isTick(value, [1, 2, 5])
                                            : logarithmic && !isTick(value, [1, 3]))
          return null;
        return significant(value, 3);
      },
    },
  };
}

/* Of a logarithmic axis only 1, 2, 5 (or powers of two) times a power of ten are named. */
function isTick(value, leads) {
  const lead = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
  return leads.some((l) => Math.abs(lead - l) < 1e-6);
}

const MARKERS = ["circle", "rect", "triangle", "rectRot", "crossRot", "star"];

function datasetOf(series, spec) {
  const color = colorOf(series.color || 0);
  if (spec.bars)
    return {
      label: series.label,
      data: series.values,
      backgroundColor: color,
      borderColor: color,
      ends: series.ends,
      stack: spec.stacked ? "one" : undefined
    };
  return {
    label: series.label,
    data: series.points,
    whiskers: series.points.some((p) => Number.isFinite(p.low)),
    showLine: !!series.line,
    borderColor: color,
    backgroundColor: series.hollow ? themeOf("card") : color,
    borderWidth: 2,
    borderDash: series.dash,
    pointRadius: series.marker === null ? 0 : 4,
    pointStyle: series.marker === null ? "line" : series.marker || MARKERS[(series.color || 0) % 6],
    pointHitRadius: 8,
    clip: 6, /* points on an edge stay whole */
    stepped: series.stepped,
  };
}

/* A value as an axis names it; of an axis of known values, the nearest of them. */
function onAxis(value, axis, digits) {
  const off = (known) => Math.abs(Math.log(known / value));
  const own = axis.ticks ? axis.ticks.reduce((best, v) => off(v) < off(best) ? v : best) : value;
  return axis.bytes ? format.bytes(own) : significant(own, digits);
}

/* `now` gives the spec at hand, since tips outlive the one that they were made with. */
function optionsOf(spec, now) {
  const tip = (point, axis) => `${axis.label}: ${onAxis(point, axis, 4)}`;
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    marks: spec.marks,
    layout: {padding: {top: spec.marks ? MARK_PIXELS : 4}},
    normalized: true,
    ...(spec.bars ? {} : {parsing: false}),
    indexAxis: spec.bars ? "y" : "x",
    interaction:
        {mode: spec.bars ? "index" : "nearest", intersect: false, axis: spec.bars ? "y" : "xy"},
    scales: spec.bars ? {
      x: {...axisOf(spec.y, "x", reachOf(spec.series)), stacked: spec.stacked},
      y: {
        stacked: spec.stacked,
        grid: {display: false},
        ticks: {color: themeOf("ink"), autoSkip: false}
      }
    }
                      : {x: axisOf(spec.x, "x"), y: axisOf(spec.y, "y", reachOf(spec.series))},
    plugins: {
      legend: {
        display: spec.series.length > 1,
        position: "bottom",
        labels: {
          color: themeOf("ink"),
          usePointStyle: !spec.bars,
          boxWidth: 10,
          boxHeight: 8,
          padding: 10
        }
      },
      tooltip: {
        callbacks:
            spec.bars
                ? {
                    label: (item) => `${item.dataset.label}: ` +
                                     `${significant(item.raw, 4)}`
                  }
                : {
                    title: () => "",
                    label: (item) => [item.dataset.label, tip(item.raw.x, now().x),
                                      tip(item.raw.y, now().y)]
                                         .concat(Number.isFinite(item.raw.low)
                                                     ? [`95%: ${significant(item.raw.low, 4)} to ${
                                                           significant(item.raw.high, 4)}`]
                                                     : [])
                                         .concat(item.raw.tip ? [item.raw.tip] : [])
                  }
      },
    },
  };
}

function clean(spec) {
  const series = spec.series.map((s) => s.points ? {
    ...s,
    points: s.points
                .filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y) &&
                               !(spec.y.log && p.y <= 0) && !(spec.x.log && p.x <= 0))
                .slice(0, LIST_MAX)
  }
                                                 : s);
  return {...spec, series: series.filter((s) => s.values || s.points.length > 0)};
}

function numbersTable(spec) {
  if (spec.bars)
    return tableOf(
        spec.y.label, [{text: ""}, ...spec.series.map((s) => s.label)],
        spec.bars.map(
            (label, i) => [label, ...spec.series.map((s) => significant(s.values[i], 4))]));
  const rows = spec.series.flatMap(
      (s) => s.points.map((p) => [s.label, onAxis(p.x, spec.x, 6), significant(p.y, 4),
                                  significant(p.low, 4), significant(p.high, 4)]));
  return tableOf(spec.title, ["", spec.x.label, spec.y.label, "low", "high"], rows.slice(0, 300));
}

/* What a listener hears instead of the picture. */
function inWords(spec) {
  const parts = spec.series.map((s) => {
    const values = (s.values || s.points.map((p) => p.y)).filter(Number.isFinite);
    return values.length ? `${s.label}: ${significant(Math.min(...values))} to ${
                               significant(Math.max(...values))}`
                         : s.label;
  });
  return `${spec.title}. ${spec.y.label}${spec.x ? " over " + spec.x.label : ""}. ${
      parts.join("; ")}. Numbers follow in a table.`;
}

/* The figure of a spec; update(spec) redraws it with new numbers. */
function figureOf(spec, id) {
  spec = clean(spec);
  const body = el("div", {}), canvas = el("canvas", {id, role: "img"});
  const caption = el("figcaption", {}, spec.note || "");
  const numbers =
      el("details", {open: !haveChart()},
         el("summary", {}, "Numbers", el("span", {class: "unseen"}, ` of “${spec.title}”`)), body);
  const node = el("figure", {}, el("h3", {}, spec.title),
                  haveChart() ? el("div", {class: "canvas"}, canvas) : null, caption, numbers);
  const fill = () => {
    if (numbers.open) body.replaceChildren(numbersTable(spec));
  };
  numbers.addEventListener("toggle", fill);
  fill();
  let chart = null;
  const draw = () => {
    if (!haveChart()) return;
    canvas.setAttribute("aria-label", inWords(spec));
    const data = {labels: spec.bars, datasets: spec.series.map((s) => datasetOf(s, spec))};
    if (!chart) {
      chart = new Chart(canvas, {
        type: spec.bars ? "bar" : "scatter",
        data,
        options: optionsOf(spec, () => spec),
        plugins: [extras]
      });
      drawn.push({canvas, redraw: draw, get chart() { return chart; }});
      return;
    }
    chart.data = data;
    chart.options = optionsOf(spec, () => spec);
    chart.update("none");
  };
  const sameSeries = ({datasets}) => datasets.length === spec.series.length &&
      datasets.every((set, i) => set.label === spec.series[i].label);
  /* New numbers in the same axes: options stay, since resolving them is most of an update. */
  const renew = () => {
    if (!chart || !sameSeries(chart.data)) return draw();
    spec.series.forEach((s, i) => { chart.data.datasets[i].data = s.values || s.points; });
    chart.data.labels = spec.bars;
    chart.options.marks = spec.marks;
    for (const [name, axis] of spec.bars ? [["x", spec.y]] : [["x", spec.x], ["y", spec.y]]) {
      Object.assign(chart.options.scales[name], {min: axis.min, max: axis.max});
      chart.options.scales[name].title.text = axis.label;
    }
    chart.update("none");
    canvas.setAttribute("aria-label", inWords(spec));
  };
  return {
    node,
    draw,
    update(next) {
      spec = clean(next);
      renew();
      caption.textContent = spec.note || "";
      fill();
    }
  };
}

const PRINTED = [315, 235]; /* CSS pixels: two side by side on A4 or Letter */

function setUpCharts() {
  if (!haveChart()) return;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  const redraw = () => {
    theme.clear();
    drawn.forEach((d) => d.redraw());
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.theme = "light";
    redraw();
    for (const {chart} of drawn) chart.resize(...PRINTED);
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.theme;
    for (const {chart} of drawn) chart.resize();
    redraw();
  });
}

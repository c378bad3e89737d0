/*
 * A calibration's parts: each kernel alone, and the layer beside their sum.
 */
function partsTable(result) {
  const rate = (p, key) => num(at(p, key)) / num(at(p, "seconds"));
  const rows =
      list(result.parts)
          .filter((p) => p !== null && typeof p === "object")
          .map((p) => [{text: text(p.part), class: "text"},
                       num(p.n_new) > 0 ? format.count(num(p.n_new)) : MISSING,
                       num(p.n_new) > 0 ? format.count(num(p.n_past)) : MISSING,
                       format.seconds(num(p.seconds)),
                       num(p.flops) > 0 ? format.flops(rate(p, "flops")) : MISSING,
                       format.percent(num(p.mfu)),
                       num(p.bytes) > 0 ? format.rate(rate(p, "bytes")) : MISSING,
                       format.percent(num(p.of_link)),
                       {text: p.held_down === true ? "clocks held down" : "", class: "text warn"}]);
  const sheet = at(result, "datasheet", "device");
  return rows.length ? tableOf("Each part alone" + (sheet ? `; MFU against ${text(sheet)}` : ""),
                               [
                                 {text: "part", class: "text"}, "new", "past", "time", "rate",
                                 "MFU", "bytes", "of link", {text: "", class: "text"}
                               ],
                               rows)
                     : null;
}

function layersTable(result) {
  const rows = list(result.layers).filter((l) => l !== null && typeof l === "object").map((l) => {
    const sum = num(l.gemms_s) + num(l.attention_s) + num(l.elementwise_s);
    return [
      format.count(num(l.n_new)), format.count(num(l.n_past)), format.seconds(num(l.layer_s)),
      format.seconds(sum), format.change(num(l.over_sum)), format.percent(num(l.gemms_s) / sum),
      format.percent(num(l.attention_s) / sum), format.percent(num(l.elementwise_s) / sum)
    ];
  });
  return rows.length ? tableOf("A layer beside the sum of its kernels",
                               [
                                 "new", "past", "layer", "kernels", "layer over sum", "GEMMs",
                                 "attention", "elementwise"
                               ],
                               rows)
                     : null;
}

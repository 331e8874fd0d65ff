// Any two numbers against each other, a dot per cell, coloured by any axis.

const HUES = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"];

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value); else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// A scale from numbers to pixels; logarithmic where the numbers are positive and span more than a factor of thirty.
function scaleOf(numbers, from, to) {
  let low = Math.min(...numbers);
  let high = Math.max(...numbers);
  const log = low > 0 && high / low > 30;
  const map = log ? Math.log10 : (v) => v;
  if (low === high) { low -= Math.abs(low) * 0.1 || 1; high += Math.abs(high) * 0.1 || 1; }
  const [a, b] = [map(low), map(high)];
  const margin = (b - a) * 0.05;
  const place = (v) => from + ((map(v) - a + margin) / (b - a + 2 * margin)) * (to - from);
  const ticks = [];
  if (log) {
    for (let p = Math.floor(a); p <= Math.ceil(b); p += 1) for (const m of b - a > 2 ? [1] : [1, 2, 5]) ticks.push(m * 10 ** p);
  } else {
    const rough = (high - low) / 5;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const stride = unit * [1, 2, 5, 10].find((m) => m * unit >= rough);
    for (let v = Math.ceil(low / stride) * stride; v <= high + stride * 1e-9; v += stride) ticks.push(Number(v.toPrecision(10)));
  }
  return { place, ticks: ticks.filter((v) => v >= low && v <= high), log };
}

function hueOf(axis, i) {
  const at = axis.index[i];
  if (axis.values.length <= HUES.length) return HUES[at];
  return `hsl(${240 - (240 * at) / (axis.values.length - 1)} 75% 55%)`;
}

function renderPlot(cells) {
  const [x, y, axis] = [METRICS.get(state.px), METRICS.get(state.py), AXES.get(state.pc)];
  const points = x && y ? cells.filter((i) => x.values[i] !== null && y.values[i] !== null) : [];
  if (!points.length) return [el("p", { class: "note" }, "No cell has both numbers.")];
  const [width, height] = [940, 560];
  const across = scaleOf(points.map((i) => x.values[i]), 80, width - 20);
  const up = scaleOf(points.map((i) => y.values[i]), height - 60, 20);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${y.label} against ${x.label}, ${points.length} cells` });
  for (const v of across.ticks) {
    picture.append(svg("line", { x1: across.place(v), x2: across.place(v), y1: 20, y2: height - 60 }),
      svg("text", { x: across.place(v), y: height - 42, "text-anchor": "middle" }, text(v)));
  }
  for (const v of up.ticks) {
    picture.append(svg("line", { x1: 80, x2: width - 20, y1: up.place(v), y2: up.place(v) }),
      svg("text", { x: 72, y: up.place(v) + 4, "text-anchor": "end" }, text(v)));
  }
  const scale = (one) => (one.log ? " (log)" : "");
  picture.append(svg("text", { x: width / 2, y: height - 14, "text-anchor": "middle" }, x.label + scale(across)),
    svg("text", { x: 0, y: 0, transform: `translate(16 ${height / 2}) rotate(-90)`, "text-anchor": "middle" }, y.label + scale(up)));
  for (const i of points) {
    const label = `${nameOf(i)}, ${captionOf(i, new Set())}: ${x.label} ${text(x.values[i])}, ${y.label} ${text(y.values[i])}`;
    picture.append(svg("circle", { class: "dot", cx: across.place(x.values[i]), cy: up.place(y.values[i]), r: 6, fill: hueOf(axis, i), tabindex: 0, "aria-label": label, "data-cell": DATA.keys[i],
      onclick: () => openBox(i, points), onkeydown: (event) => { if (event.key === "Enter") openBox(i, points); },
      onpointerenter: (event) => showTip(event, i, label), onpointerleave: hideTip }));
  }
  const legend = axis.key === "none" ? [] : axis.values.slice(0, 24).map((value, at) => el("span", {}, el("i", { style: `background: ${hueOf({ ...axis, index: [at] }, 0)}` }), text(value)));
  return [el("p", { class: "legend" }, el("span", { class: "note" }, axis.key === "none" ? "" : axis.label), ...legend), picture];
}

function showTip(event, i, label) {
  hideTip();
  const tip = el("div", { id: "tip" }, el("img", { src: DATA.thumbs[i] || DATA.pictures[i], alt: "" }), label);
  document.body.append(tip);
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 210)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 10)}px`;
}

function hideTip() {
  byId("tip")?.remove();
}

// Any two numbers against each other, a dot per cell, coloured by any axis; and losses along the steps.

const HUES = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"];

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value); else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// A scale from numbers to pixels. Where nobody has chosen, it is logarithmic if the numbers are positive and span more
// than a factor of thirty; numbers that have no logarithm are then left out.
const isLog = (numbers, wanted) => { const [low, high] = rangeOf(numbers); return wanted ? wanted === "1" && high > 0 : low > 0 && high / low > 30; };

function scaleOf(numbers, from, to, log) {
  let [low, high] = rangeOf(log ? numbers.filter((v) => v > 0) : numbers);
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

// What stands at a line: bytes with their unit, since they have many digits; of other numbers the name says the unit.
const tickOf = (scale, v) => (scale.unit === "B" ? amount(v, "B") : text(v));

// The frame of a plot: its lines, numbers and names.
function frameOf(across, up, names, [width, height], label) {
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label });
  for (const v of across.ticks) {
    picture.append(svg("line", { x1: across.place(v), x2: across.place(v), y1: 20, y2: height - 60 }),
      svg("text", { x: across.place(v), y: height - 42, "text-anchor": "middle" }, tickOf(across, v)));
  }
  for (const v of up.ticks) {
    picture.append(svg("line", { x1: 80, x2: width - 20, y1: up.place(v), y2: up.place(v) }),
      svg("text", { x: 72, y: up.place(v) + 4, "text-anchor": "end" }, tickOf(up, v)));
  }
  const scale = (one) => (one.log ? " (log)" : "");
  picture.append(svg("text", { x: width / 2, y: height - 14, "text-anchor": "middle" }, names[0] + scale(across)),
    svg("text", { x: 0, y: 0, transform: `translate(16 ${height / 2}) rotate(-90)`, "text-anchor": "middle" }, names[1] + scale(up)));
  return picture;
}

function legendOf(axis) {
  const items = axis.key === "none" ? [] : axis.values.slice(0, 24).map((value, at) => el("span", {}, el("i", { style: `background: ${hueOf({ ...axis, index: [at] }, 0)}` }), valueName(axis, at)));
  return el("p", { class: "legend" }, el("span", { class: "note" }, axis.key === "none" ? "" : axis.label), ...items);
}

const named = (one) => one.label + (one.unit && !/seconds|bytes/.test(one.label) ? ` in ${one.unit}` : "");
const MOST_DOTS = 5000;

function renderPlot(cells) {
  const [x, y, axis] = [numbersOfAll(state.px), numbersOfAll(state.py), AXES.get(state.pc)];
  const both = x && y ? cells.filter((i) => (x.values[i] ?? null) !== null && (y.values[i] ?? null) !== null) : [];
  const [lx, ly] = [isLog(both.map((i) => x.values[i]), state.lx), isLog(both.map((i) => y.values[i]), state.ly)];
  [byId("lx").checked, byId("ly").checked] = [lx, ly];
  const points = both.filter((i) => (!lx || x.values[i] > 0) && (!ly || y.values[i] > 0));
  if (!points.length) return [el("p", { class: "note" }, "No cell has both numbers.")];
  const [width, height] = [Math.max(360, byId("main").clientWidth - 40), Math.max(360, byId("main").clientHeight - 110)];
  const across = { ...scaleOf(points.map((i) => x.values[i]), 80, width - 20, lx), unit: x.unit };
  const up = { ...scaleOf(points.map((i) => y.values[i]), height - 60, 20, ly), unit: y.unit };
  const picture = frameOf(across, up, [named(x), named(y)], [width, height], `${y.label} against ${x.label}, ${points.length} cells`);
  const front = state.front ? frontOf(points, x, y) : [];
  if (front.length) picture.append(svg("polyline", { class: "front", points: front.map((i) => `${across.place(x.values[i])},${up.place(y.values[i])}`).join(" ") }));
  const best = new Set(front);
  for (const i of points.slice(0, MOST_DOTS)) {
    const label = `${nameOf(i)}, ${captionOf(i, new Set())}: ${x.label} ${amount(x.values[i], x.unit)}, ${y.label} ${amount(y.values[i], y.unit)}`;
    picture.append(svg("circle", { class: best.has(i) ? "dot onfront" : "dot", cx: across.place(x.values[i]), cy: up.place(y.values[i]), r: points.length > 1000 ? 4 : 6, fill: hueOf(axis, i), tabindex: 0, role: "button", "aria-label": label, "data-cell": DATA.keys[i],
      onclick: () => openBox(i, points), onkeydown: (event) => { if (event.key === "Enter") openBox(i, points); },
      onpointerenter: (event) => showTip(event, i, label), onpointerleave: hideTip }));
  }
  const more = points.length > MOST_DOTS ? [el("p", { class: "note" }, `The first ${MOST_DOTS.toLocaleString()} of ${points.length.toLocaleString()} cells are drawn: filter to see the others.`)] : [];
  return [legendOf(axis), ...more, picture];
}

// The Pareto front: the cells that no other cell beats in one number without losing in the other.
function frontOf(points, x, y) {
  const [a, b] = [...state.front].map((word) => (word === "h" ? -1 : 1));
  const order = [...points].sort((i, k) => a * (x.values[i] - x.values[k]) || b * (y.values[i] - y.values[k]));
  let least = Infinity;
  return order.filter((i) => { const better = b * y.values[i] < least; if (better) least = b * y.values[i]; return better; });
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

// ---- losses along the steps: `traces.js` beside the page is loaded when somebody asks for it ------------------------
const traces = { asked: false, of: null };

window.nstTraces = (found) => {
  traces.of = found;
  if (state.view === "steps") drawCells();
};

function renderSteps(cells) {
  if (!traces.of) {
    if (!traces.asked) document.head.append(el("script", { src: "traces.js" }));
    traces.asked = true;
    return [el("p", { class: "note" }, "Losses are being loaded …")];
  }
  const axis = AXES.get(state.pc);
  const lines = cells.map((i) => [i, (traces.of[DATA.ids[i]] || [[], []])]).filter(([, [steps]]) => steps.length);
  if (!lines.length) return [el("p", { class: "note" }, "These cells have no losses along their steps.")];
  const [all, losses] = [lines.flatMap(([, [steps]]) => steps), lines.flatMap(([, [, values]]) => values)];
  const [width, height] = [Math.max(360, byId("main").clientWidth - 40), Math.max(360, byId("main").clientHeight - 110)];
  const log = isLog(losses, "");
  const [across, up] = [scaleOf(all, 80, width - 20, false), scaleOf(losses, height - 60, 20, log)];
  const picture = frameOf(across, up, ["step", "loss"], [width, height], `loss along the steps of ${lines.length} cells`);
  for (const [i, [steps, values]] of lines) {
    const label = `${nameOf(i)}, ${captionOf(i, new Set())}: loss ${text(values.at(-1))} after ${steps.at(-1)} steps`;
    const points = steps.map((step, k) => [step, values[k]]).filter(([, v]) => !log || v > 0).map(([s, v]) => `${across.place(s)},${up.place(v)}`);
    picture.append(svg("polyline", { class: "trace", points: points.join(" "), stroke: hueOf(axis, i), tabindex: 0, role: "button", "aria-label": label, "data-cell": DATA.keys[i],
      onclick: () => openBox(i, lines.map(([k]) => k)), onkeydown: (event) => { if (event.key === "Enter") openBox(i, lines.map(([k]) => k)); },
      onpointerenter: (event) => showTip(event, i, label), onpointerleave: hideTip }));
  }
  return [legendOf(axis), picture];
}

// The grid of two axes and the sorted list. Rows are drawn as somebody scrolls to them.

const AT_ONCE = 120; // cells that are drawn before anybody scrolls
const MOST_COLUMNS = 60;
const MOST_IN_PLACE = 64; // cells of one place of the grid
const headWidth = () => (innerWidth <= 800 ? 84 : 140); // of the heads of rows
const MOST_BLOWN_UP = 2.5; // pixels of the page for a pixel of a picture, unless somebody wants more
const LINE_PX = 18; // of a caption
const THUMB_PX = 400; // a larger cell shows the picture itself

function headOf(key, at) {
  const axis = AXES.get(key);
  const value = axis.values[at];
  const only = ["content", "style"].filter((kind) => DATA.only[kind]).map((kind) => [kind, DATA.only[kind]]);
  const parts = key === "pair" ? [["content", value[0]], ["style", value[1]]] : key === "none" ? only : [[key, value]];
  const figures = parts.map(([kind, name]) => {
    const source = kind === "content" || kind === "style" ? DATA.heads[kind][name] : null;
    const label = kind === "content" || kind === "style" ? text(name) : null;
    return el("figure", {}, source ? el("img", { src: source, alt: `${kind} image ${text(name)}` }) : null,
      label !== null ? el("figcaption", {}, label) : el("figcaption", {}, el("span", { class: "key" }, `${axis.label} `), valueName(axis, at)));
  });
  return el("span", { class: "head" }, ...figures);
}

// The picture of a cell as the grid shows it.
function stillOf(i) {
  const large = Number(state.fit) > THUMB_PX && !isVideo(DATA.pictures[i]);
  return (large ? DATA.pictures[i] : DATA.thumbs[i]) || DATA.pictures[i];
}

// `tell`: the settings that its caption says first, since the cells around it differ in them.
function cellOf(i, known, order, tell) {
  const fault = faultOf(i);
  const caption = captionOf(i, known, tell);
  const metric = METRICS.get(state.n || state.sort);
  const number = metric && metric.values[i] !== null ? `${metric.label} ${amount(metric.values[i], metric.unit)}` : "";
  const label = [nameOf(i), captionOf(i, new Set()), fault].filter(Boolean).join(", ");
  const shape = DATA.shapes[i] ? `aspect-ratio: ${DATA.shapes[i]}` : null;
  const node = el("button", { class: "cell", type: "button", tabindex: -1, "data-cell": DATA.keys[i], title: label, style: hueOfNumber(i), onclick: () => openBox(i, node.order), onfocus: () => rove(node) },
    fault && previewShown(i) === null ? faultNode(i, fault, label)
      : el("img", { src: smallOf(i), alt: label, loading: "lazy", decoding: "async", style: shape, onerror: onLost }),
    ...stepMarks(i),
    markNode(i), state.view === "list" ? el("span", { class: "caption rank" }, nameOf(i)) : null,
    number ? el("span", { class: "caption number" }, ...breakable(number)) : null, caption ? el("span", { class: "caption settings" }, ...breakable(caption)) : null);
  Object.assign(node, { order, known, tell, i });
  return node;
}

function faultNode(i, fault, label) {
  const at = running.get(i);
  return el("span", { class: `fail ${stateOf(i)}`, role: "img", "aria-label": label }, fault,
    at ? el("span", { class: "meter" }, el("span", { style: `width: ${(100 * at[0]) / Math.max(1, at[1])}%` })) : null);
}

// A cell of which something became known is drawn anew in its place.
function redrawCell(i) {
  const old = document.querySelector(`.cell[data-cell="${CSS.escape(DATA.keys[i])}"]`); // a plot has dots
  if (!old) return;
  if (running.has(i) && previewShown(i) !== null && old.querySelector("img")) { restep(old); return; }
  const node = cellOf(i, old.known, old.order, old.tell);
  node.tabIndex = old.tabIndex;
  const hadFocus = document.activeElement === old;
  old.replaceWith(node);
  if (hadFocus) node.focus({ preventScroll: true });
}

// The number that is chosen tints its cells: from blue, its least value, to yellow.
function hueOfNumber(i) {
  const metric = METRICS.get(state.n);
  if (!metric || metric.values[i] === null) return null;
  metric.range ??= rangeOf(metric.values);
  const [low, high] = metric.range;
  const share = high > low ? (metric.values[i] - low) / (high - low) : 0.5;
  return `--tint: ${tintOf(share)}`;
}

const tintOf = (share) => `hsl(${Math.round(250 - 200 * share)} ${Math.round(55 + 30 * share)}% ${Math.round(45 + 10 * share)}%)`;

function rangeOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) if (value !== null) { if (value < low) low = value; if (value > high) high = value; }
  return [low, high];
}

function meanOf(cells) {
  const metric = METRICS.get(state.n);
  const values = metric ? cells.map((i) => metric.values[i]).filter((value) => value !== null) : [];
  if (!values.length) return null;
  return el("span", { class: "mean" }, `mean ${amount(values.reduce((a, b) => a + b, 0) / values.length, metric.unit)}`);
}

// What captions need not say: the axes, what is filtered by, and what all cells in view have in common.
function knownBy(cells, ...keys) {
  const differ = differing(cells);
  return new Set([...state.filter.keys(), ...keys, ...(cells.length > 1 ? parameterAxes.filter((key) => !differ.has(key)) : [])]);
}

// Cells that share a place are packed into a square: a grid of grids.
function packOf(cells, known, order, across) {
  const some = cells.slice(0, MOST_IN_PLACE);
  const [rest, tell] = [cells.length - some.length, differing(cells)];
  return el("td", {}, el("div", { class: "pack", style: across ? `--across: ${across}` : null }, ...some.map((i) => cellOf(i, known, order, tell)),
    rest ? el("p", { class: "note" }, `and ${rest.toLocaleString()} more: filter, or see them sorted`) : null));
}

// The width of a cell that fills the page, or the one that was chosen: two rows are seen, and pictures are not blown up.
// `across` cells lie side by side; what is between and beside them takes `gaps` pixels, what is above and below `edges`.
function fit(across, gaps, edges) {
  const room = byId("main").clientWidth - 21 - gaps;
  const shapes = [...new Set(DATA.shapes)].filter(Boolean).map((shape) => shape.split("/").map(Number));
  const [wide, high] = shapes[0] || [4, 3];
  const tallest = Math.max(120, (((byId("main").clientHeight - edges) / 2) * wide) / high);
  const own = shapes.length ? MOST_BLOWN_UP * Math.max(...shapes.map(([width]) => width)) : Infinity;
  state.fit = state.size || String(Math.floor(Math.max(84, Math.min(room / across, tallest, own, 560))));
  document.documentElement.style.setProperty("--size", `${state.fit}px`);
}

function renderGrid(cells) {
  const [x, y] = [AXES.get(state.x), AXES.get(state.y)];
  const places = new Map();
  for (const i of sorted(cells)) {
    const key = y.index[i] * x.values.length + x.index[i];
    if (!places.has(key)) places.set(key, []);
    places.get(key).push(i);
  }
  const present = (axis) => [...new Set(cells.map((i) => axis.index[i]))].sort((a, b) => a - b);
  const [all, rows] = [present(x), present(y)];
  const columns = all.slice(0, MOST_COLUMNS);
  const at = (r, c) => places.get(r * x.values.length + c) || [];
  const order = rows.flatMap((r) => columns.flatMap((c) => at(r, c)));
  const known = knownBy(cells, state.x, state.y);
  const most = (c) => rows.reduce((count, r) => Math.max(count, at(r, c).length), 1);
  const across = columns.map((c) => (columns.length === 1 ? 0 : Math.ceil(Math.sqrt(Math.min(MOST_IN_PLACE, most(c))))));
  const abreast = columns.length === 1 ? Math.min(8, most(columns[0])) : across.reduce((a, b) => a + b, 0);
  const lines = Math.min(3, parameterAxes.filter((key) => !known.has(key)).length) + (METRICS.has(state.n) ? 1 : 0);
  fit(abreast, headWidth() + 10 * columns.length + 8 * (abreast - columns.length), 40 + 2 * (16 + LINE_PX * lines));
  const named = rows.length > 1 || state.y !== "none" || (DATA.only.content || DATA.only.style);
  const row = (r) => el("tr", {}, el("th", { scope: "row", class: named ? null : "bare" }, headOf(state.y, r), meanOf(columns.flatMap((c) => at(r, c)))),
    ...columns.map((c, k) => packOf(at(r, c), known, order, across[k])));
  const head = el("tr", {}, el("td", { class: "corner" }), ...columns.map((c) => el("th", { scope: "col" }, state.x === "none" ? "" : headOf(state.x, c), meanOf(rows.flatMap((r) => at(r, c))))));
  const body = el("tbody", {});
  const size = (r) => columns.reduce((sum, c) => sum + Math.min(MOST_IN_PLACE, at(r, c).length), 0);
  const notes = all.length > columns.length ? [el("p", { class: "note" }, `The first ${MOST_COLUMNS} of ${all.length.toLocaleString()} columns are shown: choose another axis, or filter.`)] : [];
  return [...notes, el("table", { class: "grid" }, el("thead", {}, head), body), ...grow(body, rows, row, size)];
}

function renderList(cells) {
  const order = sorted(cells);
  const [known, tell] = [knownBy(cells), differing(cells)];
  const abreast = Math.max(2, Math.min(8, Math.floor(byId("main").clientWidth / 190)));
  const lines = Math.min(3, parameterAxes.filter((key) => !known.has(key)).length);
  fit(abreast, 20 + 12 * (abreast - 1), 16 + 2 * (16 + LINE_PX * (lines + 2)));
  const pack = el("div", { class: "pack list" });
  return [pack, ...grow(pack, order, (i) => cellOf(i, known, order, tell), () => 1)];
}

// Append what `draw` makes of the items, some at first and more whenever the end comes near.
let growth = null;
function grow(parent, items, draw, size) {
  let next = 0;
  const more = () => {
    for (let count = 0; next < items.length && count < AT_ONCE; next += 1) { count += size(items[next]) || 1; parent.append(draw(items[next])); }
    return next < items.length;
  };
  growth?.disconnect();
  if (!more()) return [];
  const end = el("p", { class: "note", id: "more" }, "…");
  growth = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    if (more()) { growth.unobserve(end); growth.observe(end); } else { growth.disconnect(); end.remove(); }
  }, { root: byId("main"), rootMargin: "600px" });
  growth.observe(end);
  return [end];
}

// ---- moving by keys: one cell can be reached by the tab key, from there the arrows lead on --------------------------
function rove(node) {
  for (const old of document.querySelectorAll('.cell[tabindex="0"]')) old.tabIndex = -1;
  node.tabIndex = 0;
}

function move(key) {
  const cells = [...document.querySelectorAll(".cell")];
  const at = cells.indexOf(document.activeElement);
  if (at < 0) { (document.querySelector('.cell[tabindex="0"]') || cells[0])?.focus(); return; }
  if (key === "ArrowLeft" || key === "ArrowRight") { cells[at + (key === "ArrowRight" ? 1 : -1)]?.focus(); return; }
  const down = key === "ArrowDown" ? 1 : -1;
  const middle = (box) => (box.left + box.right) / 2;
  const from = cells[at].getBoundingClientRect();
  let [best, least] = [null, Infinity];
  for (let k = at + down; cells[k]; k += down) {
    const box = cells[k].getBoundingClientRect();
    const away = down > 0 ? box.top - from.bottom : from.top - box.bottom;
    if (away < -from.height / 2) continue;
    if (best && Math.abs(box.top - best.top) > box.height / 2) break; // the next line but one
    const side = Math.abs(middle(box) - middle(from));
    if (side < least) { least = side; best = { top: box.top, node: cells[k] }; }
  }
  best?.node.focus();
}

// The grid of two axes and the sorted list.

const MOST = 3000;

function headOf(key, value) {
  const parts = key === "pair" ? [["content", value[0]], ["style", value[1]]] : [[key, value]];
  const figures = parts.map(([kind, name]) => {
    const source = kind === "content" || kind === "style" ? DATA.heads[kind][name] : null;
    const label = kind === "content" || kind === "style" ? text(name) : null;
    return el("figure", {}, source ? el("img", { src: source, alt: `${kind} image ${text(name)}` }) : null,
      label !== null ? el("figcaption", {}, label) : el("figcaption", {}, el("span", { class: "key" }, `${AXES.get(kind).label} `), text(name)));
  });
  return el("span", { class: "head" }, ...(key === "none" ? [] : figures));
}

function cellOf(i, known, order) {
  const fault = faultOf(i);
  const caption = captionOf(i, known);
  const metric = METRICS.get(state.sort);
  const number = metric && metric.values[i] !== null ? `${metric.label} ${text(metric.values[i])}` : "";
  const label = [nameOf(i), captionOf(i, new Set()), fault].filter(Boolean).join(", ");
  return el("button", { class: "cell", type: "button", "data-cell": DATA.keys[i], onclick: () => openBox(i, order), title: label },
    fault ? el("span", { class: DATA.errors[i] ? "fail" : "fail pending", role: "img", "aria-label": label }, fault)
      : el("img", { src: DATA.thumbs[i] || DATA.pictures[i], alt: label, loading: "lazy", decoding: "async", style: DATA.shapes[i] ? `aspect-ratio: ${DATA.shapes[i]}` : null }),
    caption || number ? el("span", { class: "caption" }, [caption, number].filter(Boolean).join(" · ")) : null);
}

function knownBy(...keys) {
  const known = new Set(state.filter.keys());
  for (const key of keys) known.add(key);
  return known;
}

// Cells that share a place are packed into a square: a grid of grids.
function packOf(cells, known, order) {
  const across = Math.ceil(Math.sqrt(cells.length));
  return el("td", {}, el("div", { class: "pack", style: `--across: ${across}` }, ...cells.map((i) => cellOf(i, known, order))));
}

function renderGrid(cells) {
  const [x, y] = [AXES.get(state.x), AXES.get(state.y)];
  const some = cells.slice(0, MOST);
  const places = new Map();
  for (const i of sorted(some)) {
    const key = `${y.index[i]},${x.index[i]}`;
    if (!places.has(key)) places.set(key, []);
    places.get(key).push(i);
  }
  const present = (axis) => [...new Set(some.map((i) => axis.index[i]))].sort((a, b) => a - b);
  const [columns, rows] = [present(x), present(y)];
  const order = rows.flatMap((r) => columns.flatMap((c) => places.get(`${r},${c}`) || []));
  const known = knownBy(state.x, state.y);
  const head = el("tr", {}, el("th", { scope: "col" }), ...columns.map((c) => el("th", { scope: "col" }, headOf(state.x, x.values[c]))));
  const body = rows.map((r) => el("tr", {}, el("th", { scope: "row" }, headOf(state.y, y.values[r])),
    ...columns.map((c) => packOf(places.get(`${r},${c}`) || [], known, order))));
  return [el("div", { class: "scroll" }, el("table", { class: "grid" }, el("thead", {}, head), el("tbody", {}, ...body)))];
}

function renderList(cells) {
  const order = sorted(cells).slice(0, MOST);
  return [el("div", { class: "pack" }, ...order.map((i) => {
    const node = cellOf(i, knownBy(), order);
    node.append(el("span", { class: "caption rank" }, nameOf(i)));
    return node;
  }))];
}

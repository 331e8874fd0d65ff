// What is known of one cell, beside its picture: the settings that tell it from others first, then what was measured.

const FOLDED = new Set(["Losses by layer", "Weights in relative units"]);

// Names of columns may be broken after their underscores.
const breakable = (name) => name.split(/(?<=_)/).flatMap((part, at) => (at ? [el("wbr", {}), part] : [part]));

function table(head, rows, kind = "words") {
  const row = ([name, ...values], about) => el("tr", { title: about || null }, el("th", { scope: "row" }, ...breakable(name)), ...values.map((value) => el("td", {}, value)));
  const top = head && el("thead", {}, el("tr", {}, el("td", {}), ...head.slice(1).map((name) => el("th", { scope: "col" }, name))));
  return el("table", { class: kind }, top, el("tbody", {}, ...rows.map(([cells, about]) => row(cells, about))));
}

// The cell that the numbers are compared with: the pinned one.
function rivalOf(i) {
  const at = state.pin ? DATA.keys.indexOf(state.pin) : -1;
  return at >= 0 && at !== i ? at : null;
}

function difference(own, other, unit) {
  const by = own - other;
  return `${by > 0 ? "+" : ""}${amount(by, unit)}`;
}

function factsOf(i) {
  const rival = rivalOf(i);
  const settings = settingsOf(i);
  const theirs = rival === null ? {} : settingsOf(rival);
  const varying = [...parameterAxes, ...Object.keys(DATA.followers)].filter((key) => (settings[key] ?? null) !== null);
  const setting = (key) => [[key, ...(rival === null ? [] : [text(theirs[key])]), text(settings[key])], DATA.about[key]]; // in the order of the pictures
  const differ = rival === null ? varying : varying.filter((key) => text(settings[key]) !== text(theirs[key]));
  const yaml = yamlOf(i);
  const copy = el("button", { type: "button", id: "copy", title: "y", onclick: () => copyText(yaml, copy) }, "Copy");
  const names = rival === null ? null : ["", "pinned", "this"];
  const facts = [
    el("h2", {}, nameOf(i)),
    stateOf(i) === "done" ? null : el("p", { class: stateOf(i) === "failed" ? "fail failed" : "fail" }, faultOf(i)),
    rival === null ? null : el("p", { class: "note" }, `compared with the pinned cell: ${[nameOf(rival), captionOf(rival, new Set())].filter(Boolean).join(" ")}`),
    ...(differ.length ? [el("h3", {}, rival === null ? "Settings that differ between cells" : "Settings that differ"), table(names, differ.map(setting))] : []),
    el("p", { class: "note", id: "of-final", hidden: previewShown(i) === null }, "A step on the way is shown; these numbers are those of the final picture."),
    ...numbersOf(i, rival),
    ...(settings.method && isDescribed(i) ? [el("h3", {}, "This cell as a manifest ", copy), el("pre", { id: "yaml", tabindex: 0 }, yaml)] : []),
    el("details", {}, el("summary", {}, "All settings"), table(names, Object.keys(settings).filter((key) => (settings[key] ?? null) !== null).map(setting))),
    DATA.pictures[i] ? el("p", {}, el("a", { href: DATA.pictures[i], target: "_blank", rel: "noopener" }, clipOf(i) ? "Open the clip" : "Open the picture")) : null,
    el("p", { class: "note" }, `cell ${DATA.ids[i]}`),
  ];
  return facts.filter((node) => node !== null);
}

// Of a cell that is not done, the settings may be known and the images only by their names.
function isDescribed(i) {
  const source = DATA.sources.values[DATA.sources.index[i]];
  return stateOf(i) === "done" || Boolean(source.content || source.mask || source.styles.length);
}

// What was measured, under the headings of its kinds, with its differences from the pinned cell.
function numbersOf(i, rival) {
  const groups = new Map();
  for (const metric of metrics()) {
    const [own, other] = [metric.values[i], rival === null ? null : metric.values[rival]];
    if (own === null && other === null) continue;
    if (!groups.has(metric.group)) groups.set(metric.group, []);
    const [before, after] = rival === null ? [[], []] : [[amount(other, metric.unit)], [own === null || other === null ? "–" : difference(own, other, metric.unit)]];
    groups.get(metric.group).push([[metric.label, ...before, amount(own, metric.unit), ...after], metric.about]);
  }
  const head = rival === null ? null : ["", "pinned", "this", "difference"];
  return [...groups].flatMap(([name, rows]) => (FOLDED.has(name)
    ? [el("details", {}, el("summary", {}, name), table(head, rows, "numbers"))]
    : [el("h3", {}, name), table(head, rows, "numbers")]));
}

// ---- one slider for each setting: the same cell with another value ---------------------------------------------------
const ALONG_MOST = 8;

function drawAlong(i) {
  const axes = parameterAxes.filter((key) => key !== "method").slice(0, ALONG_MOST).map((key) => AXES.get(key));
  const holder = byId("along");
  if (holder.childElementCount !== axes.length) { // made once: a slider that is being dragged must stay
    holder.replaceChildren(...axes.map((axis) => {
      const range = el("input", { type: "range", min: 0, max: axis.values.length - 1, step: 1, "aria-label": axis.label, "data-axis": axis.key });
      range.addEventListener("input", () => { const next = neighbour(current(), axis, Number(range.value)); if (next !== null) openBox(next, boxOrder); });
      return el("label", {}, el("span", {}, ...breakable(axis.label)), range, el("output", {}));
    }));
  }
  axes.forEach((axis, at) => {
    const [range, output] = holder.children[at].querySelectorAll("input, output");
    range.value = axis.index[i];
    output.textContent = valueName(axis, axis.index[i]);
    range.setAttribute("aria-valuetext", output.textContent);
  });
}

// The cell with this value of an axis that agrees with cell `i` in most other axes.
function neighbour(i, axis, value) {
  const others = DATA.axes.filter((each) => each !== axis);
  let [best, most] = [null, -1];
  for (const k of ALL) {
    if (axis.index[k] !== value) continue;
    const equal = others.reduce((sum, each) => sum + (each.index[k] === each.index[i] ? 1 + 10 * ["content", "style", "sweep"].includes(each.key) : 0), 0);
    if (equal > most) [best, most] = [k, equal];
  }
  return best;
}

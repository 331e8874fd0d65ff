// The header and the tools above the pictures, the keys, and drawing it all again when something changes.

const VIEWS = [["grid", "Grid"], ["list", "Sorted"], ["plot", "Plot"], ...(DATA.traces ? [["steps", "Steps"]] : []), ["ranking", "Ranking"]];
const FRONTS = [["", "none"], ["ll", "both small"], ["hl", "large across, small up"], ["lh", "small across, large up"], ["hh", "both large"]];
const KEYS = [
  ["arrows", "move from cell to cell; with a cell open, to the one before or after"], ["Enter", "open the cell"], ["Esc", "close"],
  ["g, s, o, l, r", "grid, sorted, plot, losses along the steps, ranking"], ["f", "favourite, or no longer"], ["v", "vote; there 1, 2, 0: the first or the second is better, no difference; s, u, w: skip, undo, wipe"], ["/", "search"], ["c", "show or hide the controls"], ["t", "light or dark"], ["?", "these keys"],
  ["1, 2, 3, 4", "with a cell open: picture, side by side, slider, difference"], ["p", "pin the picture, to compare others with it; up to three"],
  ["+, -, 0", "zoom in, out, the whole picture; also the wheel, a double click, and dragging (with Shift on the slider)"],
  ["y", "copy the manifest of the cell"], [", .", "all pictures a step of their making back, or on"], ["space , .", "with a clip open: play it; a frame back, a frame on"],
];

function fill(select, options, value) {
  const made = options.map(([key, label]) => el("option", { value: key, selected: String(key) === String(value) }, label));
  select.replaceChildren(...made);
}

function draw() {
  document.body.dataset.view = state.view;
  document.documentElement.dataset.theme = state.theme;
  const axes = [...AXES.values()].map((axis) => [axis.key, axis.label]);
  byId("views").replaceChildren(...VIEWS.map(([key, label]) => el("button", { type: "button", "aria-pressed": String(state.view === key), onclick: () => change("view", key) }, label)));
  fill(byId("x"), axes, state.x);
  fill(byId("y"), axes, state.y);
  fill(byId("pc"), axes, state.pc);
  fill(byId("front"), FRONTS, state.front);
  drawMetrics();
  for (const key of ["q", "min", "max"]) if (byId(key).value !== state[key]) byId(key).value = state[key];
  byId("desc").checked = Boolean(state.desc);
  drawFold();
  drawFilters();
  drawMarks();
  drawCells();
}

// The metrics to choose from; while a sweep runs, there may be new ones.
function drawMetrics() {
  const options = metrics().map((metric) => [metric.key, metric.descriptive ? `${metric.label} (descriptive)` : metric.label]);
  if (drawMetrics.count === options.length && drawMetrics.drawn) {
    for (const key of ["px", "py", "sort", "m", "n"]) byId(key).value = state[key];
    return;
  }
  Object.assign(drawMetrics, { count: options.length, drawn: true });
  const plotted = [...numericAxes().map((axis) => [axis.key, axis.label]), ...options];
  fill(byId("px"), plotted, state.px);
  fill(byId("py"), plotted, state.py);
  fill(byId("sort"), [["", "manifest order"], ...options], state.sort);
  fill(byId("m"), [["", "any"], ...options], state.m);
  fill(byId("n"), [["", "none"], ...options], state.n);
}

function drawFold() {
  const open = state.tools ? state.tools === "open" : innerWidth >= 800;
  byId("tools").hidden = !open;
  byId("fold").setAttribute("aria-expanded", String(open));
}

function drawFilters() {
  for (const old of document.querySelectorAll("#filters .axis")) old.remove();
  for (const axis of DATA.axes) {
    const select = el("select", { onchange: () => {
      if (select.value === "") state.filter.delete(axis.key); else state.filter.set(axis.key, Number(select.value));
      drawCells();
    } });
    const some = axis.values.slice(0, 1000).map((value, at) => [at, valueName(axis, at)]); // more can be searched for
    fill(select, [["", "all"], ...some.filter(([at]) => axis.values[at] !== null || isOff(axis, at))], state.filter.get(axis.key) ?? "");
    byId("reset").before(el("label", { class: "axis" }, `${axis.label} `, select));
  }
}

// How many cells there are of each state, among those that pass the other filters; a click shows these alone.
function drawSummary() {
  const cells = shown(true);
  const counts = {};
  for (const i of cells) counts[stateOf(i)] = (counts[stateOf(i)] || 0) + 1;
  const chips = STATES.filter(([key]) => counts[key] || key === "done" || state.status === key).map(([key, label]) => el("button", { type: "button", class: `chip ${key}`, "aria-pressed": String(state.status === key), title: "Show these alone",
    onclick: () => { state.status = state.status === key ? "" : key; drawCells(); } }, el("b", {}, (counts[key] || 0).toLocaleString()), ` ${counts[key] === 1 ? label.replace("pictures", "picture") : label}`));
  const some = state.status ? counts[state.status] || 0 : cells.length;
  if (some !== COUNT) chips.push(el("span", { id: "count" }, `${some.toLocaleString()} of ${COUNT.toLocaleString()} cells`));
  const focused = [...byId("summary").children].indexOf(document.activeElement);
  byId("summary").replaceChildren(...chips);
  if (focused >= 0) byId("summary").children[focused]?.focus();
  const news = newsOfRun();
  if (byId("news").textContent !== news) byId("news").textContent = news;
  const all = ALL.reduce((n, i) => n + (stateOf(i) === "done" || stateOf(i) === "failed"), 0);
  byId("progress").hidden = !isRunning();
  byId("progress").firstElementChild.style.width = `${COUNT ? (100 * all) / COUNT : 0}%`;
}

function drawCells(again = false) {
  const main = byId("main");
  const [top, left, focused] = [main.scrollTop, main.scrollLeft, document.activeElement?.dataset?.cell];
  const cells = shown();
  const render = { grid: renderGrid, list: renderList, plot: renderPlot, steps: renderSteps, ranking: renderRanking }[state.view];
  growth?.disconnect();
  drawSummary(); // these first, since cells fill the room that is left
  drawSteppers();
  const nodes = cells.length ? render(cells) : [el("p", { class: "note" }, COUNT ? "No cell passes the filter." : "Nothing is done yet.")];
  hideTip();
  main.replaceChildren(...nodes);
  if (["grid", "list"].includes(state.view)) byId("size").value = state.fit || "";
  const first = document.querySelector(".cell");
  if (first) first.tabIndex = 0;
  if (again) {
    main.scrollTo(left, top);
    if (focused) document.querySelector(`[data-cell="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  writeState();
}

function change(key, value) {
  state[key] = value;
  draw();
}

function start() {
  for (const key of ["x", "y", "px", "py", "pc", "sort", "m", "n", "front"]) byId(key).addEventListener("change", (event) => change(key, event.target.value));
  for (const key of ["q", "min", "max"]) byId(key).addEventListener("input", (event) => { state[key] = event.target.value; drawCells(); });
  byId("size").addEventListener("input", (event) => { state.size = state.fit = event.target.value; document.documentElement.style.setProperty("--size", `${state.size}px`); writeState(); });
  for (const key of ["lx", "ly"]) byId(key).addEventListener("change", (event) => change(key, event.target.checked ? "1" : "0"));
  byId("desc").addEventListener("change", (event) => change("desc", event.target.checked ? "1" : ""));
  byId("swap").addEventListener("click", () => { [state.x, state.y] = [state.y, state.x]; draw(); });
  byId("reset").addEventListener("click", () => { Object.assign(state, { q: "", m: "", min: "", max: "", status: "", mark: "", filter: new Map() }); draw(); });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", toggleTheme);
  byId("fold").addEventListener("click", toggleTools);
  byId("help").addEventListener("click", showKeys);
  byId("box").addEventListener("close", onClosed);
  addEventListener("hashchange", () => { readState(); draw(); openNamed(); });
  addEventListener("keydown", onKey);
  byId("only").textContent = ["content", "style"].filter((kind) => DATA.only[kind]).map((kind) => `${kind} ${DATA.only[kind]}`).join(", ");
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawFold(); drawCells(true); } });
  readState();
  startChoosing();
  draw();
  openNamed();
  poll();
}

function openNamed() {
  if (DATA.keys.includes(state.cell)) openBox(current(), sorted(shown())); else if (byId("box").open) byId("box").close();
}

function onClosed() {
  if (byId("box").open) return; // the event comes late, and another cell may be open by now
  const id = state.cell;
  stopClips();
  state.cell = "";
  writeState();
  document.querySelector(`[data-cell="${CSS.escape(id)}"]`)?.focus();
}

function toggleTheme() {
  const dark = state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  change("theme", dark ? "light" : "dark");
}

function toggleTools() {
  state.tools = byId("tools").hidden ? "open" : "folded";
  drawFold();
  drawCells(true);
}

function showKeys() {
  const close = el("button", { type: "button", "aria-label": "Close", onclick: () => byId("keys").close() }, "×"); // at the top, since it gets the focus
  byId("keys").replaceChildren(el("div", { class: "top" }, el("h2", {}, "Keys"), close), el("dl", {}, ...KEYS.flatMap(([key, about]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, about)])));
  byId("keys").showModal();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (byId("vote").open && !byId("keys").open) { voteKey(event); return; }
  if (event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
  if (event.target.matches("input") && event.key.startsWith("Arrow")) return; // the arrows move a slider
  if (byId("keys").open) { if (event.key === "?") { byId("keys").close(); event.preventDefault(); } return; }
  const modes = { 1: "one", 2: "side", 3: "slider", 4: "difference" };
  const open = byId("box").open;
  if (open && event.key === "ArrowRight") step(1);
  else if (open && event.key === "ArrowLeft") step(-1);
  else if (open && modes[event.key]) { state.mode = modes[event.key]; renderBox(); writeState(); }
  else if (open && player && event.key === ".") player.step(1);
  else if (open && player && event.key === ",") player.step(-1);
  else if (open && player && event.key === " " && !event.target.matches("button, summary, a")) player.toggle();
  else if ((open || ["grid", "list"].includes(state.view)) && [",", "."].includes(event.key) && stopsOfAll().length) goToStep(placeOfStep() + (event.key === "." ? 1 : -1));
  else if (open && event.key === "p") pin();
  else if (open && event.key === "y") byId("copy")?.click();
  else if (open && (event.key === "+" || event.key === "=")) zoomTo(look.scale * 1.5);
  else if (open && event.key === "-") zoomTo(look.scale / 1.5);
  else if (open && event.key === "0") zoomTo(1);
  else if (event.key === "?") showKeys();
  else if (event.key === "f") favourHere();
  else if (!open && event.key === "v") startVote();
  else if (event.key === "t") toggleTheme();
  else if (!open && event.key === "c") toggleTools();
  else if (!open && ["grid", "list"].includes(state.view) && event.key.startsWith("Arrow")) move(event.key);
  else if (!open && event.key === "/") { if (byId("tools").hidden) toggleTools(); byId("q").focus(); }
  else if (!open && ["g", "s", "o", "r", ...(DATA.traces ? ["l"] : [])].includes(event.key)) change("view", { g: "grid", s: "list", o: "plot", l: "steps", r: "ranking" }[event.key]);
  else return;
  event.preventDefault();
}

start();

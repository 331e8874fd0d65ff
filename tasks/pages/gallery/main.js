// The tools above the pictures, the keys, and drawing it all again when something changes.

const VIEWS = [["grid", "Grid"], ["list", "Sorted"], ["plot", "Plot"]];

function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, label]) => el("option", { value: key, selected: String(key) === String(value) }, label)));
}

function draw() {
  document.body.dataset.view = state.view;
  document.documentElement.dataset.theme = state.theme;
  document.documentElement.style.setProperty("--size", `${Number(state.size) || 180}px`);
  const axes = [...AXES.values()].map((axis) => [axis.key, axis.label]);
  const metrics = DATA.metrics.map((metric) => [metric.key, metric.descriptive ? `${metric.label} (descriptive)` : metric.label]);
  byId("views").replaceChildren(byId("views").firstElementChild, ...VIEWS.map(([key, label]) => el("button", { type: "button", "aria-pressed": String(state.view === key), onclick: () => change("view", key) }, label)));
  fill(byId("x"), axes, state.x);
  fill(byId("y"), axes, state.y);
  fill(byId("pc"), axes, state.pc);
  fill(byId("px"), metrics, state.px);
  fill(byId("py"), metrics, state.py);
  fill(byId("sort"), [["", "manifest order"], ...metrics], state.sort);
  fill(byId("m"), [["", "any"], ...metrics], state.m);
  for (const key of ["q", "min", "max", "size"]) if (byId(key).value !== state[key]) byId(key).value = state[key];
  byId("desc").checked = Boolean(state.desc);
  drawFilters();
  drawCells();
}

function drawFilters() {
  for (const old of document.querySelectorAll("#filters .axis")) old.remove();
  for (const axis of DATA.axes) {
    const select = el("select", { onchange: () => {
      if (select.value === "") state.filter.delete(axis.key); else state.filter.set(axis.key, Number(select.value));
      drawCells();
    } });
    fill(select, [["", "all"], ...axis.values.map((value, at) => [at, text(value)])], state.filter.get(axis.key) ?? "");
    byId("filters").append(el("label", { class: "axis" }, `${axis.label} `, select));
  }
}

function drawCells() {
  const cells = shown();
  const render = { grid: renderGrid, list: renderList, plot: renderPlot }[state.view];
  const nodes = cells.length ? render(cells) : [el("p", { class: "note" }, COUNT ? "No cell passes the filter." : "Nothing is done yet.")];
  const count = cells.length === COUNT ? [] : [el("p", { class: "note", id: "count" }, `${cells.length} of ${COUNT} cells`)];
  if (state.view !== "plot" && cells.length > MOST) count.push(el("p", { class: "note" }, `The first ${MOST} are shown: filter to see the others.`));
  hideTip();
  byId("main").replaceChildren(...count, ...nodes);
  writeState();
}

function change(key, value) {
  state[key] = value;
  draw();
}

function start() {
  for (const key of ["x", "y", "px", "py", "pc", "sort", "m"]) byId(key).addEventListener("change", (event) => change(key, event.target.value));
  for (const key of ["q", "min", "max"]) byId(key).addEventListener("input", (event) => { state[key] = event.target.value; drawCells(); });
  byId("size").addEventListener("input", (event) => { state.size = event.target.value; document.documentElement.style.setProperty("--size", `${state.size}px`); writeState(); });
  byId("desc").addEventListener("change", (event) => change("desc", event.target.checked ? "1" : ""));
  byId("swap").addEventListener("click", () => { [state.x, state.y] = [state.y, state.x]; draw(); });
  byId("reset").addEventListener("click", () => { history.replaceState(null, "", location.pathname + location.search); readState(); draw(); });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", toggleTheme);
  byId("box").addEventListener("close", onClosed);
  addEventListener("hashchange", () => { readState(); draw(); openNamed(); });
  addEventListener("keydown", onKey);
  readState();
  draw();
  openNamed();
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

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=range]), select, textarea")) return;
  if (event.target.matches("input") && event.key.startsWith("Arrow")) return; // the arrows move a slider
  const modes = { 1: "one", 2: "side", 3: "slider", 4: "difference" };
  const open = byId("box").open;
  if (open && event.key === "ArrowRight") step(1);
  else if (open && event.key === "ArrowLeft") step(-1);
  else if (open && modes[event.key]) { state.mode = modes[event.key]; renderBox(); writeState(); }
  else if (open && player && event.key === ".") player.step(1);
  else if (open && player && event.key === ",") player.step(-1);
  else if (open && player && event.key === " " && !event.target.matches("button, summary, a")) player.toggle();
  else if (open && event.key === "p") pin();
  else if (open && event.key === "y") byId("copy")?.click();
  else if (event.key === "t") toggleTheme();
  else if (!open && event.key === "/") byId("q").focus();
  else if (!open && ["g", "s", "o"].includes(event.key)) change("view", { g: "grid", s: "list", o: "plot" }[event.key]);
  else return;
  event.preventDefault();
}

start();

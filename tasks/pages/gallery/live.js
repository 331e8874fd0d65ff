// While a sweep runs: what its process writes beside the page is read again, and the cells that it names are drawn anew.
// A page of several sweeps reads what the runs of each of them write beside their own pages.

const POLL_MS = 2000;
const RARELY_MS = 30_000; // after the end of a run, since there may be another one
const AGAIN_MS = 2000;
const SILENCE_S = 90; // after which a run that says nothing has probably been killed
const OWN_NEWS = "live.js";
const live = { on: Boolean(DATA.run), heads: new Map(), known: new Map(), sized: DATA.shapes.some(Boolean) };
const placesOf = new Map();
if (live.on) DATA.ids.forEach((id, i) => { if (placesOf.has(id)) placesOf.get(id).push(i); else placesOf.set(id, [i]); });

// Called by `live.js` beside the page, or beside that of a sweep that it follows.
window.nstLive = (head, now, updates) => {
  if (!live.on) return;
  const source = document.currentScript.getAttribute("src").split("?")[0];
  if (source === OWN_NEWS && head.run !== DATA.run) { // of another run: one that has ended before this page was written, or one after it
    if (!head.ended) { live.on = false; live.anew = true; drawSummary(); loadAnew(head.run); }
    return;
  }
  live.heads.set(source, { ...head, now: head.ended ? [] : now });
  const changed = new Set(running.keys());
  running.clear();
  for (const each of live.heads.values()) {
    for (const [id, step, steps, early] of each.now) for (const i of placesOf.get(id) || []) { running.set(i, [step, steps]); learnPreviews(i, early); changed.add(i); }
  }
  for (const update of updates) {
    if (live.known.get(update.id) === (update.error ?? update.picture)) continue;
    live.known.set(update.id, update.error ?? update.picture);
    for (const i of placesOf.get(update.id) || []) { learn(i, update); changed.add(i); }
  }
  redraw(changed);
};

function learn(i, update) {
  const had = faultOf(i) === null;
  if ("error" in update) { if (!had) DATA.errors[i] = update.error; } else {
    DATA.errors[i] = null;
    [DATA.pictures[i], DATA.thumbs[i], DATA.shapes[i]] = [update.picture, update.thumb, update.shape];
    for (const [key, value] of Object.entries(update.numbers)) measure(key, i, value);
    learnPreviews(i, update.previews);
    if (update.clip) DATA.clips.index[i] = DATA.clips.values.push(update.clip) - 1;
  }
  haystack[i] = undefined;
}

function redraw(changed) {
  if (!changed.size) { drawSummary(); return; }
  const sized = DATA.shapes.some(Boolean); // cells get another size with the first picture
  const regrouped = sized !== live.sized || state.view === "plot" || state.q || state.m || state.status || state.n || (state.view === "list" && state.sort);
  live.sized = sized;
  if (regrouped) drawCells(true); else for (const i of changed) redrawCell(i);
  drawSummary();
  drawMetrics();
  drawSteppers();
  restepBox();
  if (byId("box").open && changed.has(current()) && !(running.has(current()) && byId("stage").querySelector(".own"))) renderBox();
}

// The page was written anew: load it, unless somebody looks at something. It may be that what tells of the page is there
// before the page itself: then it is loaded again, ever more rarely.
function loadAnew(run) {
  if (live.waiting) return;
  live.waiting = true;
  const timesOf = ([last, count]) => (last === run ? count : 0);
  const load = (times) => {
    if (document.querySelector("dialog[open]")) { setTimeout(load, AGAIN_MS, times); return; }
    sessionStorage.setItem("nst.anew", JSON.stringify([run, times + 1]));
    location.reload();
  };
  try {
    const times = timesOf(JSON.parse(sessionStorage.getItem("nst.anew") || "[]"));
    if (times) setTimeout(load, AGAIN_MS * 2 ** times, times); else load(0);
  } catch { /* a browser that remembers nothing would load it for ever */ }
}

function load(source) {
  const script = el("script", { src: `${source}?${Date.now()}` });
  return new Promise((done) => {
    script.addEventListener("load", () => { script.remove(); done(true); });
    script.addEventListener("error", () => { script.remove(); done(false); });
    document.head.append(script);
  });
}

async function poll() {
  if (!live.on) return;
  await load(OWN_NEWS);
  for (const source of DATA.follows) { // a sweep that was removed is not asked for again
    if (!live.heads.get(source)?.ended && !await load(source)) live.heads.set(source, { at: 0, ended: true, now: [] });
  }
  const isOver = live.heads.has(OWN_NEWS) && [...live.heads.values()].every((head) => head.ended);
  if (live.on && !(isOver && ALL.every((i) => stateOf(i) === "done"))) setTimeout(poll, isOver ? RARELY_MS : POLL_MS);
}

// The runs that make pictures now; a page may also be followed because another may take its place.
const runsNow = () => [...live.heads.values()].filter((head) => head.at > 0 && !head.ended);
const isRunning = () => runsNow().length > 0;

// What the header says of the run.
function newsOfRun() {
  if (live.anew) return "There are new pictures: load the page anew.";
  const left = ALL.filter((i) => stateOf(i) === "todo").length;
  const rest = left ? `Not finished: ${left === 1 ? "1 cell is" : `${left.toLocaleString()} cells are`} to do. Running the same manifest again makes ${left === 1 ? "it" : "them"}.` : "";
  if (!isRunning()) return [[...live.heads.values()].some((head) => head.at > 0) ? "The run has ended." : "", rest].filter(Boolean).join(" ");
  const last = Math.max(...runsNow().map((head) => head.at));
  if (Date.now() / 1000 - last > SILENCE_S) return `No news since ${new Date(last * 1000).toLocaleTimeString()}: the run may have been killed. Running the same manifest again makes the rest.`;
  return "running";
}

// While a sweep runs: what its process writes beside the page is read again, and the cells that it names are drawn anew.

const POLL_MS = 2000;
const AGAIN_MS = 2000;
const SILENCE_S = 90; // after which a run that says nothing has probably been killed
const live = { on: Boolean(DATA.run), at: 0, known: new Map(), sized: DATA.shapes.some(Boolean) };
const placesOf = new Map();
if (live.on) DATA.ids.forEach((id, i) => { if (placesOf.has(id)) placesOf.get(id).push(i); else placesOf.set(id, [i]); });

// Called by `live.js` beside the page.
window.nstLive = (head, now, updates) => {
  if (!live.on) return;
  if (head.run !== DATA.run) { live.on = false; live.anew = true; drawSummary(); loadAnew(head.run); return; }
  const changed = new Set(running.keys());
  running.clear();
  for (const [id, step, steps, early] of now) for (const i of placesOf.get(id) || []) { running.set(i, [step, steps]); learnPreviews(i, early); changed.add(i); }
  for (const update of updates) {
    if (live.known.get(update.id) === (update.error ?? update.picture)) continue;
    live.known.set(update.id, update.error ?? update.picture);
    for (const i of placesOf.get(update.id) || []) { learn(i, update); changed.add(i); }
  }
  live.at = head.at;
  live.on = !head.ended;
  if (head.ended) running.clear();
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

function poll() {
  if (!live.on) return;
  const script = el("script", { src: `live.js?${Date.now()}` });
  const again = () => { script.remove(); if (live.on) setTimeout(poll, POLL_MS); };
  script.addEventListener("load", again);
  script.addEventListener("error", again);
  document.head.append(script);
}

// Whether a run makes pictures now; a page may also be followed because another may take its place.
const isRunning = () => live.on && live.at > 0;

// What the header says of the run.
function newsOfRun() {
  if (live.anew) return "There are new pictures: load the page anew.";
  const left = ALL.filter((i) => stateOf(i) === "todo").length;
  const rest = left ? `Not finished: ${left === 1 ? "1 cell is" : `${left.toLocaleString()} cells are`} to do. Running the same manifest again makes ${left === 1 ? "it" : "them"}.` : "";
  if (!DATA.run || (live.on && !live.at)) return rest;
  if (!live.on) return [live.at ? "The run has ended." : "", rest].filter(Boolean).join(" ");
  if (live.at && Date.now() / 1000 - live.at > SILENCE_S) return `No news since ${new Date(live.at * 1000).toLocaleTimeString()}: the run may have been killed. Running the same manifest again makes the rest.`;
  return live.at ? "running" : "";
}

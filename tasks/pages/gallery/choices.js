// What somebody chooses: votes between two pictures, favourites, tags and notes. They are kept in this browser, for all
// pages at once, since a cell is the same on each of them; `nst gallery --serve` keeps them below the root, too.

const KEPT = "nst.choices";
const AT_ONCE_SENT = 40;
const ASK_MS = 5000;
const randomHex = (digits) => [...crypto.getRandomValues(new Uint8Array(digits / 2))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
// By id, rows as the tables `votes` and `annotations` have them; of a cell the latest annotation alone, by the cell's id.
const choices = { votes: new Map(), notes: new Map(), withdrawn: new Set(), browser: randomHex(8) };
const keeping = { here: true, token: takeToken(), stored: new Set(), busy: false, again: false, fault: "", home: null };

// ---- in this browser -------------------------------------------------------------------------------------------------
const later = (a, b) => a.annotated_at > b.annotated_at || (a.annotated_at === b.annotated_at && a.annotation_id > b.annotation_id);

function learnChoices(found) {
  for (const id of found.withdrawn || []) { choices.withdrawn.add(id); choices.votes.delete(id); }
  for (const vote of found.votes || []) if (!choices.withdrawn.has(vote.vote_id)) choices.votes.set(vote.vote_id, vote);
  for (const note of found.annotations || []) {
    const known = choices.notes.get(note.cell_id);
    if (!known || later(note, known)) choices.notes.set(note.cell_id, { ...note, annotated_at: new Date(note.annotated_at).toISOString() });
  }
}

// Two tabs may keep at the same time: what is there is read again before it is written.
function recall() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) || "{}");
    if (found.browser) choices.browser = found.browser;
    learnChoices(found);
  } catch { keeping.here = false; }
}

function keep() {
  recall();
  try {
    localStorage.setItem(KEPT, JSON.stringify({ browser: choices.browser, votes: [...choices.votes.values()], annotations: [...choices.notes.values()], withdrawn: [...choices.withdrawn] }));
    keeping.here = true;
  } catch { keeping.here = false; }
  drawKept();
  store();
}

function annotate(i, change) {
  if (i < 0) return;
  const old = choices.notes.get(DATA.ids[i]) || { favourite: false, tags: [], note: "" };
  const [{ favourite, tags, note }, cell_id] = [{ ...old, ...change }, DATA.ids[i]];
  const whole = (words) => words.toWellFormed?.() ?? words; // half a character cannot be stored
  choices.notes.set(cell_id, { annotation_id: randomHex(32), cell_id, favourite, tags: tags.map(whole), note: whole(note), browser: choices.browser, annotated_at: new Date().toISOString() });
  keep();
  drawChosen([cell_id]);
}

function castVote(vote) {
  const cast = { vote_id: randomHex(32), ...vote, browser: choices.browser, voted_at: new Date().toISOString() };
  choices.votes.set(cast.vote_id, cast);
  keep();
  return cast;
}

function withdrawVote(id) {
  choices.withdrawn.add(id);
  choices.votes.delete(id);
  keep();
}

// ---- below the root, with the token of the address that `nst gallery --serve` prints -----------------------------------
function takeToken() {
  const given = location.protocol === "file:" ? null : new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) rememberHere("nst.token", given);
  return given || recallHere("nst.token") || "";
}

// What this tab remembers when it shows another page of the server.
function recallHere(key) { try { return sessionStorage.getItem(key); } catch { return null; } }
function rememberHere(key, value) { try { sessionStorage.setItem(key, value); } catch { /* it asks anew */ } }

async function ask(path, body) {
  const headers = { Authorization: `Bearer ${keeping.token}`, ...(body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body ? JSON.stringify(body) : undefined });
  if (answer.status === 403) throw new Error("the server was started anew: open the address that it printed");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return body ? null : answer.json();
}

async function fetchStored() {
  const found = await ask("/choices");
  keeping.stored = new Set([...found.votes.map((vote) => vote.vote_id), ...found.annotations.map((note) => note.annotation_id)]);
  learnChoices(found);
  drawChosen(found.annotations.map((note) => note.cell_id));
}

// Send what is not below the root yet, a few at a time; what cannot be sent is sent with the next.
async function store() {
  if (!keeping.token) return;
  if (keeping.busy) { keeping.again = true; return; }
  keeping.busy = true;
  try {
    do {
      keeping.again = false;
      const waiting = (rows, key) => rows.filter((row) => !keeping.stored.has(row[key])).slice(0, AT_ONCE_SENT);
      const votes = waiting([...choices.votes.values()], "vote_id");
      const annotations = waiting([...choices.notes.values()], "annotation_id");
      const withdrawn = [...choices.withdrawn].filter((id) => keeping.stored.has(id)).slice(0, AT_ONCE_SENT);
      if (!votes.length && !annotations.length && !withdrawn.length) break;
      await ask("/choices", { votes, annotations, withdrawn });
      for (const row of votes) keeping.stored.add(row.vote_id);
      for (const row of annotations) keeping.stored.add(row.annotation_id);
      for (const id of withdrawn) keeping.stored.delete(id);
      keeping.again = true;
    } while (keeping.again);
    keeping.fault = "";
  } catch (error) { keeping.fault = error.message; }
  keeping.busy = false;
  drawKept();
}

// Which page is to be shown now: another run of the sweep may have begun since this one was opened.
async function follow() {
  try {
    const { home, run } = await ask("/now");
    const here = decodeURIComponent(location.pathname).slice(1);
    keeping.home ||= recallHere("nst.home") || home;
    const wasHome = keeping.home === here; // somebody may have gone to another page by hand
    rememberHere("nst.home", wasHome ? home : keeping.home);
    if (wasHome && home !== here) {
      if (!document.querySelector("dialog[open]")) { location.assign(`/${home.split("/").map(encodeURIComponent).join("/")}`); return; }
      live.anew = true;
      drawSummary();
    } else if (run && run !== DATA.run) loadAnew(run);
    if (keeping.fault) store();
  } catch (error) { keeping.fault = error.message; drawKept(); }
  setTimeout(follow, ASK_MS);
}

function beginKeeping() {
  recall();
  addEventListener("storage", (event) => { if (event.key === KEPT) { recall(); drawChosen(DATA.ids); } });
  addEventListener("hashchange", () => { const token = takeToken(); if (token !== keeping.token) { keeping.token = token; fetchStored().then(store); } });
  if (!keeping.token) return;
  fetchStored().then(store, (error) => { keeping.fault = error.message; drawKept(); });
  follow();
}

function keptWhere() {
  if (keeping.token) return keeping.fault ? `not below the root yet: ${keeping.fault}` : "kept below the root";
  if (keeping.here && ["127.0.0.1", "localhost"].includes(location.hostname)) return "kept in this browser alone: open the address with its token";
  return keeping.here ? "kept in this browser" : "not kept by this browser: export before you leave";
}

// ---- as files ----------------------------------------------------------------------------------------------------------
const placeOfId = new Map();
DATA.ids.forEach((id, i) => { if (!placeOfId.has(id)) placeOfId.set(id, i); });

const votesHere = () => [...choices.votes.values()].filter((vote) => placeOfId.has(vote.left_cell_id) && placeOfId.has(vote.right_cell_id));

// What a cell is made of, so that a list of drafts is understood at another size: names, and the settings that vary.
function describedCell(i) {
  const nameIn = (kind) => (AXES.has(kind) ? valueOf(kind, i) : DATA.only[kind]) || null;
  const settings = Object.fromEntries(parameterAxes.map((key) => [key, valueOf(key, i)]));
  for (const [key, column] of Object.entries(DATA.followers)) settings[key] = column.values[column.index[i]];
  return { content_name: nameIn("content"), style_name: nameIn("style"), settings };
}

function choicesAsJson() {
  const notes = [...choices.notes.values()].filter((note) => placeOfId.has(note.cell_id)).map((note) => ({ ...note, ...describedCell(placeOfId.get(note.cell_id)) }));
  const lines = (rows) => (rows.length ? `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n ]` : "[]");
  return `{\n "page": ${JSON.stringify(document.title)},\n "annotations": ${lines(notes)},\n "votes": ${lines(votesHere())}\n}\n`;
}

const inCsv = (value) => { const words = String(value ?? ""); return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words; };
const csvOf = (columns, rows) => `${[columns, ...rows].map((row) => row.map(inCsv).join(",")).join("\n")}\n`;

function cellsAsCsv() {
  const cells = [...new Set(sorted(shown()).map((i) => placeOfId.get(DATA.ids[i])))];
  const settings = [...parameterAxes, ...Object.keys(DATA.followers)];
  return csvOf(["cell_id", "content_name", "style_name", "favourite", "tags", "note", ...settings], cells.map((i) => {
    const [note, about] = [choices.notes.get(DATA.ids[i]), describedCell(i)];
    return [DATA.ids[i], about.content_name, about.style_name, Boolean(note?.favourite), (note?.tags || []).join(", "), note?.note, ...settings.map((key) => about.settings[key])];
  }));
}

function votesAsCsv() {
  const columns = ["vote_id", "left_cell_id", "right_cell_id", "preferred", "shown", "pairs", "browser", "voted_at"];
  return csvOf(columns, votesHere().map((vote) => columns.map((key) => vote[key])));
}

function download(name, words, kind) {
  const address = URL.createObjectURL(new Blob([words], { type: kind }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

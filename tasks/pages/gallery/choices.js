// What somebody chooses: votes between two pictures, favourites, tags and notes. `nst gallery --serve` keeps them below
// the root. What it has not acknowledged, and all where nobody serves the page, is kept in this browser, in an outbox that
// belongs to the root: another root may be served at the same address later. What comes from the server is shown and not
// kept, or what others take back there would be sent once more from here.

const AT_ONCE_SENT = 40;
const ASK_MS = 5000;
// The root that this page is of, as its server says with the page; "" for a file.
const ROOT = performance.getEntriesByType("navigation")[0]?.serverTiming?.find((entry) => entry.name === "root")?.description || "";
const KEPT = ROOT ? `nst.choices.${ROOT}` : "nst.choices";
const randomHex = (digits) => [...crypto.getRandomValues(new Uint8Array(digits / 2))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
// A name that is the same for a whole table must not look like a number, as 123e4567 does to whoever reads its CSV.
const randomLetters = (count) => [...randomHex(2 * count)].filter((_, i) => i % 2).map((digit) => "abcdefghijklmnop"[parseInt(digit, 16)]).join("");
// What is shown, by id, rows as the tables `votes` and `annotations` have them; of a cell the latest annotation alone, by
// the cell's id. `withdrawn` are the votes that were taken back.
const choices = { votes: new Map(), notes: new Map(), withdrawn: new Set(), browser: randomLetters(8) };
const keeping = { here: true, token: takeToken(), learnt: false, following: false, refused: new Map(), busy: false, again: false, fault: "", home: null };

// ---- in this browser -------------------------------------------------------------------------------------------------
const later = (a, b) => a.annotated_at > b.annotated_at || (a.annotated_at === b.annotated_at && a.annotation_id > b.annotation_id);

function learnChoices(found) {
  for (const id of found.withdrawn || []) { choices.withdrawn.add(id); choices.votes.delete(id); }
  for (const vote of found.votes) if (!choices.withdrawn.has(vote.vote_id)) choices.votes.set(vote.vote_id, vote);
  for (const row of found.annotations) {
    const [note, known] = [{ ...row, annotated_at: new Date(row.annotated_at).toISOString() }, choices.notes.get(row.cell_id)];
    if (!known || later(note, known)) choices.notes.set(note.cell_id, note);
  }
}

// Anybody may have written what is kept here: rows that the server would refuse are passed over (`tasks/pages/choices.py`).
const isHex = (value, least, most = least) => typeof value === "string" && new RegExp(`^[0-9a-f]{${least},${most}}$`).test(value);
const isBrowser = (value) => typeof value === "string" && /^[a-p]{8}$/.test(value);
const isMoment = (value) => typeof value === "string" && value >= "2000" && value < "2201" && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString() === value;
const isText = (value, most) => typeof value === "string" && value.length <= most;
const isTag = (value) => isText(value, 120) && tagsIn(value)[0] === value;
const isVote = (row) => isHex(row?.vote_id, 32) && isHex(row.left_cell_id, 16, 64) && isHex(row.right_cell_id, 16, 64) && row.left_cell_id !== row.right_cell_id
  && ["left", "right", "tie"].includes(row.preferred) && ["side", "wipe"].includes(row.shown) && /^[a-z][a-z0-9_]{0,99}$/.test(row.pairs) && isBrowser(row.browser) && isMoment(row.voted_at);
const isNote = (row) => isHex(row?.annotation_id, 32) && isHex(row.cell_id, 16, 64) && typeof row.favourite === "boolean"
  && Array.isArray(row.tags) && row.tags.length <= 50 && row.tags.every(isTag) && isText(row.note, 4000) && isBrowser(row.browser) && isMoment(row.annotated_at);
const rowsOf = (rows, isRow) => (Array.isArray(rows) ? rows.filter(isRow) : []);

// The outbox: rows that were made in this browser and that no server acknowledged. Where it cannot be kept, this tab has
// it alone.
let outbox = { votes: [], annotations: [], withdrawn: [] };

function readOutbox() {
  let found = {};
  try {
    const words = localStorage.getItem(KEPT);
    try { found = JSON.parse(words) || {}; } catch { /* it is damaged */ }
  } catch { keeping.here = false; }
  if (isBrowser(found.browser)) choices.browser = found.browser;
  const kept = { votes: rowsOf(found.votes, isVote), annotations: rowsOf(found.annotations, isNote), withdrawn: rowsOf(found.withdrawn, (id) => isHex(id, 32)) };
  if (keeping.here) return kept;
  const both = (kind, key) => [...kept[kind], ...outbox[kind].filter((row) => !kept[kind].some((other) => other[key] === row[key]))];
  return { votes: both("votes", "vote_id"), annotations: both("annotations", "annotation_id"), withdrawn: [...new Set([...kept.withdrawn, ...outbox.withdrawn])] };
}

// Other tabs write there, too: it is read again before it is changed.
function changeOutbox(edit) {
  outbox = edit(readOutbox());
  try {
    localStorage.setItem(KEPT, JSON.stringify({ browser: choices.browser, ...outbox }));
    keeping.here = true;
  } catch { keeping.here = false; }
}

function recall() {
  outbox = readOutbox();
  learnChoices(outbox);
}

function keep(edit) {
  changeOutbox(edit);
  learnChoices(outbox);
  drawKept();
  store();
}

function annotate(i, change) {
  if (i < 0) return;
  const old = choices.notes.get(DATA.ids[i]) || { favourite: false, tags: [], note: "" };
  const [{ favourite, tags, note }, cell_id] = [{ ...old, ...change }, DATA.ids[i]];
  const whole = (words) => words.toWellFormed?.() ?? words; // half a character cannot be stored
  // Of a cell the latest counts, and the clock of who wrote the last may be ahead of this one.
  const moment = new Date(Math.max(Date.now(), (Date.parse(old.annotated_at) || 0) + 1)).toISOString();
  const row = { annotation_id: randomHex(32), cell_id, favourite, tags: tags.map(whole), note: whole(note), browser: choices.browser, annotated_at: moment };
  keep((found) => ({ ...found, annotations: [...found.annotations.filter((each) => each.cell_id !== cell_id || later(each, row)), row] }));
  drawChosen([cell_id]);
}

function castVote(vote) {
  const cast = { vote_id: randomHex(32), ...vote, browser: choices.browser, voted_at: new Date().toISOString() };
  keep((found) => ({ ...found, votes: [...found.votes, cast] }));
  return cast;
}

function withdrawVote(id) {
  keep((found) => ({ ...found, votes: found.votes.filter((vote) => vote.vote_id !== id), withdrawn: [...found.withdrawn, id] }));
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
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).slice(0, 300) || `the server answered ${answer.status}`), { status: answer.status });
  return body ? null : answer.json();
}

async function fetchStored() {
  const found = await ask("/choices");
  if (found.root !== ROOT) throw new Error("another root is served here now: open the address that was printed");
  keeping.learnt = true;
  learnChoices(found);
  drawChosen(found.annotations.map((note) => note.cell_id));
}

const isUnsent = () => Boolean(outbox.votes.length || outbox.annotations.length || outbox.withdrawn.length);

// Send some rows, and take them out of the outbox. Of rows that are refused each is sent alone, to find which is at fault:
// it stays here, and the others are kept below the root.
async function send(rows) {
  try {
    await ask("/choices", rows);
  } catch (error) {
    const all = ["votes", "annotations", "withdrawn"].flatMap((kind) => rows[kind].map((row) => [kind, row]));
    if (error.status !== 400) throw error;
    if (all.length === 1) keeping.refused.set(all[0][1].vote_id || all[0][1].annotation_id || all[0][1], error.message);
    else for (const [kind, row] of all) await send({ votes: [], annotations: [], withdrawn: [], [kind]: [row] });
    return;
  }
  const without = (found, sent, idOf) => { const ids = new Set(sent.map(idOf)); return found.filter((row) => !ids.has(idOf(row))); };
  changeOutbox((found) => ({
    votes: without(found.votes, rows.votes, (row) => row.vote_id),
    annotations: without(found.annotations, rows.annotations, (row) => row.annotation_id),
    withdrawn: without(found.withdrawn, rows.withdrawn, (id) => id),
  }));
}

// Send what is in the outbox, a few rows at a time; what cannot be sent is sent with the next.
async function store() {
  if (!keeping.token || !keeping.learnt) return;
  if (keeping.busy) { keeping.again = true; return; }
  keeping.busy = true;
  try {
    do {
      keeping.again = false;
      const waiting = (rows, idOf) => rows.filter((row) => !keeping.refused.has(idOf(row))).slice(0, AT_ONCE_SENT);
      const votes = waiting(outbox.votes, (row) => row.vote_id);
      const annotations = waiting(outbox.annotations, (row) => row.annotation_id);
      const withdrawn = waiting(outbox.withdrawn, (id) => id);
      if (!votes.length && !annotations.length && !withdrawn.length) break;
      await send({ votes, annotations, withdrawn });
      keeping.again = true;
    } while (keeping.again);
    keeping.fault = [...keeping.refused.values()][0] || "";
  } catch (error) { keeping.fault = error.message; }
  keeping.busy = false;
  drawKept();
}

// Which page is to be shown now: another run of the sweep may have begun since this one was opened.
async function follow() {
  try {
    if (!keeping.learnt) await fetchStored();
    if (keeping.fault || isUnsent()) await store();
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
  } catch (error) { keeping.fault = error.message; drawKept(); }
  setTimeout(follow, ASK_MS);
}

async function connect() {
  keeping.learnt = false;
  try {
    await fetchStored();
    await store();
  } catch (error) { keeping.fault = error.message; drawKept(); }
  if (keeping.following) return;
  keeping.following = true;
  follow();
}

// Before any other listener to the address, which writes it anew without the token.
addEventListener("hashchange", () => { const token = takeToken(); if (token !== keeping.token) { keeping.token = token; connect(); } });

function beginKeeping() {
  recall();
  addEventListener("storage", (event) => { if (event.key === KEPT) { recall(); drawChosen(DATA.ids); } });
  if (keeping.token) connect();
}

function keptWhere() {
  if (keeping.token && keeping.fault) return `not below the root yet: ${keeping.fault}`;
  if (keeping.token) return isUnsent() ? "not below the root yet" : "kept below the root";
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

// As `tasks/pages/export.py` writes them: an apostrophe before what spreadsheets would run as a formula. Another one comes
// before text that already begins so, so that who reads the file can take one off.
const harmless = (words) => (/^'*[=+\-@\t\r]/.test(words) ? `'${words}` : words);
const inCsv = (value) => { const words = typeof value === "number" ? String(value) : harmless(String(value ?? "")); return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words; };
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

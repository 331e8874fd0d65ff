// Favourites, tags and notes: shown in the grid, written beside an open cell, filtered by.

const markOf = (i) => choices.notes.get(DATA.ids[i]) || { favourite: false, tags: [], note: "" };
const wordsOf = (i) => [...markOf(i).tags, markOf(i).note].join(" ");

// In the grid: a star, the tags, and a sign where there is a note.
function markNode(i) {
  const { favourite, tags, note } = markOf(i);
  if (!favourite && !tags.length && !note) return null;
  const signs = [favourite ? el("span", { class: "star", role: "img", "aria-label": "favourite" }, "★") : null, ...tags.map((tag) => el("span", { class: "tag" }, tag)), note ? el("span", { class: "tag", role: "img", "aria-label": "has a note", title: note }, "✎") : null];
  return el("span", { class: "marks" }, ...signs);
}

const MARKS = { favourite: (mark) => mark.favourite, tagged: (mark) => mark.tags.length > 0, noted: (mark) => Boolean(mark.note) };

function passesMark(i) {
  if (!state.mark) return true;
  if (state.mark.startsWith("tag ")) return markOf(i).tags.includes(state.mark.slice(4));
  return Object.hasOwn(MARKS, state.mark) ? Boolean(MARKS[state.mark](markOf(i))) : true;
}

const tagsHere = () => [...new Set([...choices.notes.values()].filter((note) => placeOfId.has(note.cell_id)).flatMap((note) => note.tags))].sort();

function drawMarks() {
  const tags = tagsHere();
  if (state.mark.startsWith("tag ") && !tags.includes(state.mark.slice(4))) tags.push(state.mark.slice(4));
  fill(byId("mark"), [["", "all cells"], ["favourite", "favourites"], ["tagged", "tagged"], ["noted", "with a note"], ...tags.map((tag) => [`tag ${tag}`, `tag: ${tag}`])], state.mark);
  drawKept();
}

function drawKept() { byId("kept").textContent = choices.votes.size || choices.notes.size || keeping.fault || !keeping.here ? keptWhere() : ""; }

// Cells of which something was written, here or elsewhere, are drawn anew.
function drawChosen(ids) {
  const all = state.mark || state.q || state.view === "ranking" || ids.length > 200;
  for (const id of ids) for (const i of idPlaces(id)) { haystack[i] = undefined; if (!all) redrawCell(i); }
  drawMarks();
  if (all) drawCells(true);
  if (byId("box").open) drawChoice(current());
}

let placesOfIds = null; // a cell may stand in several places, under several names
function idPlaces(id) {
  if (!placesOfIds) {
    placesOfIds = new Map();
    DATA.ids.forEach((each, i) => { if (placesOfIds.has(each)) placesOfIds.get(each).push(i); else placesOfIds.set(each, [i]); });
  }
  return placesOfIds.get(id) || [];
}

// ---- beside an open cell -------------------------------------------------------------------------------------------------
function drawChoice(i) {
  const holder = byId("choose");
  if (holder.dataset.cell !== DATA.ids[i]) writeDown(); // of the cell that was open before
  const mark = markOf(i);
  if (!holder.childElementCount) {
    const star = el("button", { type: "button", id: "star", title: "f", onclick: () => favour(current()) });
    const tags = el("input", { id: "tags", type: "text", list: "known-tags", autocomplete: "off", maxlength: 300, onchange: writeDown });
    const note = el("textarea", { id: "note", rows: 2, maxlength: 4000, onchange: writeDown });
    holder.append(star, el("label", {}, "Tags, with commas ", tags), el("datalist", { id: "known-tags" }), el("label", {}, "Note ", note));
  }
  byId("star").textContent = mark.favourite ? "★ Favourite" : "☆ Favourite";
  byId("star").setAttribute("aria-pressed", String(mark.favourite));
  const [tags, note] = [byId("tags"), byId("note")];
  const typing = (node) => node === document.activeElement && holder.dataset.cell === DATA.ids[i];
  if (!typing(tags)) tags.value = mark.tags.join(", ");
  if (!typing(note)) note.value = mark.note;
  holder.dataset.cell = DATA.ids[i];
  byId("known-tags").replaceChildren(...tagsHere().map((tag) => el("option", { value: tag })));
}

// Keep what the fields say of their cell: when they are left, and when the cell is, which browsers do not tell them.
function writeDown() {
  const i = placeOfId.get(byId("choose").dataset.cell);
  if (i === undefined) return;
  const [tags, note, mark] = [tagsIn(byId("tags").value), byId("note").value.trim(), markOf(i)];
  if (tags.join() !== mark.tags.join() || note !== mark.note) annotate(i, { tags, note });
}

// As the table takes them: without signs that steer, at most 60 characters each.
const tagsIn = (words) => [...new Set(words.split(/[,\u0000-\u001f\u007f]/).map((tag) => [...tag.trim()].slice(0, 60).join("")).filter(Boolean))].slice(0, 50);

function favour(i) {
  if (i >= 0) annotate(i, { favourite: !markOf(i).favourite });
}

// The key f: the cell that is open, or the one of the grid that has the focus.
function favourHere() {
  const focused = document.activeElement?.dataset?.cell;
  if (byId("box").open) favour(current()); else if (focused) favour(DATA.keys.indexOf(focused));
}

function startChoosing() {
  byId("mark").addEventListener("change", (event) => change("mark", event.target.value));
  byId("start-vote").addEventListener("click", startVote);
  byId("box").addEventListener("close", writeDown);
  byId("vote").addEventListener("close", () => { if (state.view === "ranking") drawCells(true); });
  addEventListener("pagehide", writeDown);
  const name = document.title.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60) || "cells";
  const files = { json: ["choices.json", choicesAsJson, "application/json"], cells: ["cells.csv", cellsAsCsv, "text/csv"], votes: ["votes.csv", votesAsCsv, "text/csv"] };
  byId("exports").addEventListener("click", (event) => {
    const [ending, write, kind] = files[event.target.value] || [];
    if (write) download(`${name}-${ending}`, write(), kind);
    byId("exports").hidePopover();
  });
  beginKeeping();
  drawMarks();
}

// Blind votes: two pictures of which nothing is said until somebody has chosen one. Which pair comes next is drawn among
// those that were compared least, and so are the sides.

const voting = { groups: [], pair: null, done: [], skipped: new Map(), last: null };

// Which pairs may be drawn, by the axes that both cells share; all axes but one for a setting that alone is to differ.
function pairKinds() {
  const axes = DATA.axes.map((axis) => axis.key);
  const only = axes.filter((key) => key !== "content").map((key) => [key, `only ${AXES.get(key).label} differs`, axes.filter((each) => each !== key)]);
  const kinds = [["pair", "of one content and style", axes.filter((key) => ["content", "style"].includes(key))], ["content", "of one content", axes.filter((key) => key === "content")], ["all", "any two", []], ...only];
  return kinds.filter(([, , shared]) => groupsBy(shared).length);
}

// The cells in view that have pictures, each once, in groups of at least two that share the values of these axes.
function groupsBy(shared) {
  const [groups, seen] = [new Map(), new Set()];
  for (const i of voting.cells) {
    if (seen.has(DATA.ids[i])) continue;
    seen.add(DATA.ids[i]);
    const key = shared.map((axis) => AXES.get(axis).index[i]).join();
    if (groups.has(key)) groups.get(key).push(i); else groups.set(key, [i]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

const pairKey = (a, b) => (a < b ? `${a} ${b}` : `${b} ${a}`);

// How often each cell was compared, and each pair; a pair that was skipped counts as compared for this time.
function comparisons() {
  const [times, met] = [new Map(), new Map(voting.skipped)];
  const add = (map, key) => map.set(key, (map.get(key) || 0) + 1);
  for (const { left_cell_id: left, right_cell_id: right } of choices.votes.values()) {
    add(times, left);
    add(times, right);
    add(met, pairKey(left, right));
  }
  return [times, met];
}

// How many of the pairs that may be drawn have a vote.
function pairsCompared() {
  const group = new Map(voting.groups.flatMap((cells, at) => cells.map((i) => [DATA.ids[i], at])));
  const voted = [...choices.votes.values()].filter(({ left_cell_id: left, right_cell_id: right }) => left !== right && group.has(left) && group.get(left) === group.get(right));
  return new Set(voted.map((vote) => pairKey(vote.left_cell_id, vote.right_cell_id))).size;
}

// Of some items one of those with the least value, drawn at random.
function leastOf(items, valueOfItem) {
  let [best, least] = [[], Infinity];
  for (const item of items) {
    const value = valueOfItem(item);
    if (value < least) [best, least] = [[item], value]; else if (value === least) best.push(item);
  }
  return best[Math.floor(Math.random() * best.length)];
}

function nextPair() {
  const [times, met] = comparisons();
  const count = (i) => times.get(DATA.ids[i]) || 0;
  const meetings = (i, k) => met.get(pairKey(DATA.ids[i], DATA.ids[k])) || 0;
  const members = voting.groups.flatMap((group, at) => group.map((i) => [i, at]));
  const fresh = members.filter(([i, at]) => voting.groups[at].length > 64 || voting.groups[at].some((k) => k !== i && !meetings(i, k)));
  const [i, at] = leastOf(fresh.length ? fresh : members, ([cell]) => count(cell));
  const other = leastOf(voting.groups[at].filter((k) => k !== i), (k) => meetings(i, k) + count(k) / (1 + 2 * choices.votes.size));
  voting.pair = Math.random() < 0.5 ? [i, other] : [other, i];
}

function startVote() {
  voting.cells = shown().filter((i) => stateOf(i) === "done");
  Object.assign(voting, { done: [], last: null, skipped: new Map() });
  const kinds = pairKinds();
  if (!kinds.some(([key]) => key === state.pairs)) state.pairs = kinds[0]?.[0] || "";
  voting.kinds = kinds;
  regroup();
  byId("vote").showModal();
  byId("sides")?.focus({ preventScroll: true });
}

function regroup() {
  voting.groups = groupsBy(voting.kinds.find(([key]) => key === state.pairs)?.[2] || []);
  voting.pair = null;
  if (voting.kinds.length) nextPair();
  drawVote();
}

function answer(preferred) {
  if (!voting.pair) return;
  const [left, right] = voting.pair;
  if (preferred === "skip") {
    const key = pairKey(DATA.ids[left], DATA.ids[right]);
    voting.skipped.set(key, (voting.skipped.get(key) || 0) + 1);
    voting.last = null;
  } else {
    const vote = castVote({ left_cell_id: DATA.ids[left], right_cell_id: DATA.ids[right], preferred, shown: state.wipe ? "wipe" : "side", pairs: state.pairs });
    voting.done.push([vote.vote_id, voting.pair]);
    voting.last = [preferred, left, right];
  }
  nextPair();
  drawVote();
}

function undoVote() {
  const taken = voting.done.pop();
  if (!taken) return;
  withdrawVote(taken[0]);
  Object.assign(voting, { pair: taken[1], last: null });
  drawVote();
}

// ---- what is shown ---------------------------------------------------------------------------------------------------
// Of a clip its small moving preview, which plays by itself.
const votedPicture = (i, attributes) => el("img", { src: clipOf(i) ? DATA.thumbs[i] : DATA.pictures[i], ...attributes });

function sidesOf([left, right]) {
  if (!state.wipe) {
    const figure = (i, name) => el("figure", { style: DATA.shapes[i] ? `--ratio: ${DATA.shapes[i]}` : null }, votedPicture(i, { alt: `Picture ${name}` }), el("figcaption", {}, name));
    return el("div", { class: "show" }, figure(left, "1"), figure(right, "2"));
  }
  const top = votedPicture(left, { alt: "Picture 1", class: "top", style: "clip-path: inset(0 50% 0 0)" });
  const edge = el("span", { class: "edge", style: "left: 50%" });
  const range = el("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, "aria-label": "Position of the edge", oninput: () => {
    top.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`;
    edge.style.left = `${range.value}%`;
  } });
  return el("div", { class: "show" }, el("div", { class: "over" }, el("div", { class: "fit", style: DATA.shapes[left] ? `--ratio: ${DATA.shapes[left]}` : null },
    votedPicture(right, { alt: "Picture 2" }), top, edge, range, el("span", { class: "which left" }, "1"), el("span", { class: "which right" }, "2"))));
}

// After a vote: what the two were, as far as they differ.
function revealed([preferred, left, right]) {
  const same = new Set(DATA.axes.filter((axis) => axis.index[left] === axis.index[right]).map((axis) => axis.key));
  const images = ["sweep", "content", "style"].filter((key) => AXES.has(key) && !same.has(key));
  const differ = parameterAxes.filter((key) => !same.has(key)).map((key) => AXES.get(key));
  const settings = (i) => (differ.some((axis) => axis.key === "method") ? captionOf(i, same) : differ.map((axis) => `${axis.label}=${valueName(axis, axis.index[i])}`).join(", "));
  const told = (i) => [...images.map((key) => text(valueOf(key, i))), settings(i)].filter(Boolean).join(", ") || nameOf(i);
  if (preferred === "tie") return `no difference; 1 was ${told(left)}; 2 was ${told(right)}.`;
  const [won, lost] = preferred === "left" ? [left, right] : [right, left];
  return `you chose ${told(won)} over ${told(lost)}.`;
}

function drawVote() {
  const dialog = byId("vote");
  const button = (label, title, onclick, more) => el("button", { type: "button", title, onclick, ...more }, label);
  const close = button("×", "Close (Esc)", () => dialog.close(), { class: "close", "aria-label": "Close" });
  if (!voting.pair) {
    dialog.replaceChildren(el("div", { class: "bar" }, close), el("p", { class: "note" }, "A vote needs two pictures: there are fewer in view."));
    return;
  }
  const kinds = el("select", { "aria-label": "Which pairs", onchange: () => { state.pairs = kinds.value; voting.last = null; regroup(); dialog.querySelector("select").focus(); } });
  fill(kinds, voting.kinds.map(([key, label]) => [key, label]), state.pairs);
  const mode = (label, wipe) => button(label, "w", () => { state.wipe = wipe; drawVote(); writeState(); }, { "aria-pressed": String(Boolean(state.wipe) === Boolean(wipe)) });
  const pairs = voting.groups.reduce((sum, group) => sum + (group.length * (group.length - 1)) / 2, 0);
  const compared = pairsCompared();
  const count = `${voting.done.length} ${voting.done.length === 1 ? "vote" : "votes"} now, ${choices.votes.size} in all; ${compared.toLocaleString()} of ${pairs.toLocaleString()} pairs compared`;
  const bar = el("div", { class: "bar" }, el("label", { class: "note" }, "Pairs ", kinds), mode("Side by side", ""), mode("Wipe", "1"), el("span", { class: "note" }, count), close);
  const answers = el("div", { class: "bar answers" }, button("1 is better", "1", () => answer("left")), button("No difference", "0 or =", () => answer("tie")), button("2 is better", "2", () => answer("right")),
    button("Skip", "s", () => answer("skip")), voting.done.length ? button("Undo", "u", undoVote) : null);
  const all = pairs === 1 ? "The pair is" : pairs === 2 ? "Both pairs are" : `All ${pairs.toLocaleString()} pairs are`;
  const asked = el("p", { id: "asked" }, compared < pairs ? "Which of the two is better?" : `${all} compared; more votes make the ranking surer.`);
  const said = el("p", { id: "said", role: "status" }, voting.last ? `Last vote: ${revealed(voting.last)}` : "");
  const sides = el("div", { id: "sides", tabindex: -1 }, sidesOf(voting.pair));
  dialog.replaceChildren(bar, said, sides, asked, answers);
  sides.focus({ preventScroll: true });
}

function voteKey(event) {
  const answers = { 1: "left", 2: "right", 0: "tie", "=": "tie", s: "skip" };
  if (answers[event.key]) answer(answers[event.key]);
  else if (event.key === "u" || event.key === "Backspace") undoVote();
  else if (event.key === "w") { state.wipe = state.wipe ? "" : "1"; drawVote(); writeState(); }
  else if (event.key === "?") showKeys();
  else return;
  event.preventDefault();
}

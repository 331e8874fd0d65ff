// What the votes come to: how strong each value of a setting is, and each cell, after Bradley and Terry.

const MOST_WITH_ERRORS = 120; // items of which standard errors are computed
const MOST_RANKED = 60; // cells that are shown

// The strengths of items, their mean 0: of two, the first is preferred with the probability 1 / (1 + exp(b - a)).
// `wins[i][k]` is how often i was preferred to k, a tie half for both. Each item is taken to have won and lost half a
// comparison with an average one, so that strengths are finite. Source: the iteration of Hunter 2004, "MM algorithms for
// generalized Bradley-Terry models", with that average opponent added; `nst/bradley_terry.py` finds the same otherwise.
function strengthsOf(wins) {
  const count = wins.length;
  const won = wins.map((row) => row.reduce((a, b) => a + b, 0.5));
  const pairs = wins.map((row, i) => row.flatMap((value, k) => (k !== i && value + wins[k][i] > 0 ? [[k, value + wins[k][i]]] : [])));
  let power = new Array(count).fill(1);
  for (let turn = 0, change = 1; turn < 20_000 && change > 1e-9; turn += 1) {
    const next = power.map((own, i) => won[i] / pairs[i].reduce((sum, [k, met]) => sum + met / (own + power[k]), 1 / (own + 1)));
    change = Math.max(...next.map((value, i) => Math.abs(Math.log(value / power[i]))));
    power = next;
  }
  const logs = power.map(Math.log);
  const mean = logs.reduce((a, b) => a + b, 0) / count;
  return { values: logs.map((value) => value - mean), errors: count <= MOST_WITH_ERRORS ? errorsOf(power, pairs) : null };
}

// Standard errors of the strengths: the inverse of the curvature, with the mean taken out.
function errorsOf(power, pairs) {
  const count = power.length;
  const rows = power.map((own, i) => power.map((_, k) => (i === k ? own / (1 + own) ** 2 : 0)));
  pairs.forEach((met, i) => met.forEach(([k, times]) => {
    const weight = (times * power[i] * power[k]) / (power[i] + power[k]) ** 2;
    rows[i][i] += weight;
    rows[i][k] -= weight;
  }));
  const inverse = inverted(rows);
  const means = inverse.map((row) => row.reduce((a, b) => a + b, 0) / count);
  const all = means.reduce((a, b) => a + b, 0) / count;
  return inverse.map((row, i) => Math.sqrt(Math.max(0, row[i] - 2 * means[i] + all)));
}

// The inverse of a symmetric, positive definite matrix, by Gauss and Jordan.
function inverted(matrix) {
  const count = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, k) => (i === k ? 1 : 0))]);
  for (let i = 0; i < count; i += 1) {
    const pivot = rows[i][i];
    rows[i] = rows[i].map((value) => value / pivot);
    for (let k = 0; k < count; k += 1) {
      const factor = rows[k][i];
      if (k !== i && factor) rows[k] = rows[k].map((value, at) => value - factor * rows[i][at]);
    }
  }
  return rows.map((row) => row.slice(count));
}

// Rank what `itemOf` gives of the cells of votes; a vote between equal items, or of one that has none, is left out.
function ranked(votes, itemOf) {
  const [place, items, wins, ties] = [new Map(), [], [], []];
  const at = (item) => {
    if (!place.has(item)) { place.set(item, items.length); items.push(item); }
    return place.get(item);
  };
  const pairs = votes.map((vote) => [itemOf(placeOfId.get(vote.left_cell_id)), itemOf(placeOfId.get(vote.right_cell_id)), vote.preferred]).filter(([a, b]) => a !== null && b !== null && a !== b);
  for (const [a, b] of pairs) { at(a); at(b); }
  for (const table of [wins, ties]) table.push(...items.map(() => new Array(items.length).fill(0)));
  for (const [a, b, preferred] of pairs) {
    const [i, k] = [at(a), at(b)];
    if (preferred === "tie") { ties[i][k] += 1; ties[k][i] += 1; } else if (preferred === "left") wins[i][k] += 1; else wins[k][i] += 1;
  }
  const { values, errors } = strengthsOf(wins.map((row, i) => row.map((value, k) => value + ties[i][k] / 2)));
  const sum = (row) => row.reduce((a, b) => a + b, 0);
  const found = items.map((item, i) => ({ item, strength: values[i], error: errors && errors[i], wins: sum(wins[i]), losses: sum(wins.map((row) => row[i])), ties: sum(ties[i]) }));
  return found.sort((a, b) => b.strength - a.strength);
}

// ---- the view ----------------------------------------------------------------------------------------------------------
function rankingTable(label, rows, nameOfItem) {
  const reach = Math.max(1, ...rows.map((row) => Math.abs(row.strength) + 1.96 * (row.error || 0)));
  const percent = (value) => 50 + (48 * Math.max(-reach, Math.min(reach, value))) / reach;
  const line = (row) => {
    const [low, high] = [percent(row.strength - 1.96 * (row.error || 0)), percent(row.strength + 1.96 * (row.error || 0))];
    const bar = el("span", { class: "strength", "aria-hidden": "true" }, el("i", { style: `left: ${low}%; width: ${high - low}%` }), el("b", { style: `left: ${percent(row.strength)}%` }));
    const strength = `${row.strength.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−")}${row.error === null ? "" : ` ± ${row.error.toFixed(2)}`}`;
    return el("tr", {}, el("th", { scope: "row" }, nameOfItem(row.item)), el("td", {}, bar), el("td", {}, strength), el("td", {}, `${Math.round(100 / (1 + Math.exp(-row.strength)))} %`), el("td", {}, `${row.wins} – ${row.losses} – ${row.ties}`));
  };
  const end = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
  const scale = el("span", { class: "scale" }, el("span", { "aria-hidden": "true" }, end(-reach * 50 / 48)), " strength ", el("span", { "aria-hidden": "true" }, end(reach * 50 / 48)));
  const heads = [scale, "± standard error", "against the average", "won – lost – tied"];
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, label), ...heads.map((name) => el("th", { scope: "col" }, name))));
  return el("table", { class: "ranking" }, head, el("tbody", {}, ...rows.map(line)));
}

function renderRanking(cells) {
  const inView = new Set(cells.map((i) => DATA.ids[i]));
  const votes = votesHere().filter((vote) => inView.has(vote.left_cell_id) && inView.has(vote.right_cell_id));
  const none = keeping.token ? ["There are no votes between these cells yet."] : ["There are no votes between these cells in this browser. Votes that are kept below the root are seen on the page that ", el("code", {}, "nst gallery --serve"), " shows."];
  if (!votes.length) return [el("p", { class: "note about" }, ...none), el("p", {}, el("button", { type: "button", onclick: startVote }, "Vote (v)"))];
  const about = `${votes.length.toLocaleString()} blind ${votes.length === 1 ? "vote" : "votes"} between the cells in view, by the model of Bradley and Terry (1952; fitted as in Hunter 2004), a tie as half a win. A vote counts for a setting in which its two cells differ, whatever else they differ in.`;
  const found = [el("p", { class: "note about" }, about)];
  for (const axis of DATA.axes) {
    const rows = ranked(votes, (i) => (axis.values[axis.index[i]] === null ? null : axis.index[i]));
    if (rows.length) found.push(rankingTable(axis.label, rows, (at) => text(axis.values[at])));
  }
  const rows = ranked(votes, (i) => placeOfId.get(DATA.ids[i]));
  const order = rows.map((row) => row.item);
  const name = (i) => el("button", { type: "button", class: "small", onclick: () => openBox(i, order) }, el("img", { src: DATA.thumbs[i] || DATA.pictures[i], alt: "", loading: "lazy" }), el("span", {}, [nameOf(i), captionOf(i, new Set())].filter(Boolean).join(", ")));
  found.push(rankingTable("cell", rows.slice(0, MOST_RANKED), name));
  if (rows.length > MOST_RANKED) found.push(el("p", { class: "note" }, `The strongest ${MOST_RANKED} of ${rows.length.toLocaleString()} cells with votes are shown.`));
  return found;
}

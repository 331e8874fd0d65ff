// Pictures on their way: one slider for all of them at once, from the first preview to the pictures themselves.

const previewed = new Map(); // place of a cell -> the steps of its previews, as far as the page was told since it was written
const previewsOf = (i) => previewed.get(i) ?? DATA.previews.values[DATA.previews.index[i]] ?? [];
const previewAt = (i, step) => `${DATA.previews.base}/${DATA.ids[i].slice(0, 2)}/${DATA.ids[i]}/${step}.webp`;
let stops = null; // the steps of all previews, in order: the places of the slider before its last one

function learnPreviews(i, steps) {
  if (!steps || !steps.length || String(steps) === String(previewsOf(i))) return;
  previewed.set(i, steps);
  stops = null;
}

function stopsOfAll() {
  stops ??= [...new Set([...DATA.previews.values, ...previewed.values()].flat())].sort((a, b) => a - b);
  return stops;
}

// The step of the preview that a cell shows at this place of the slider: the last one up to there, or its first one.
// Null where it shows its picture, since that is finished by then or there is no preview.
function previewShown(i) {
  const wanted = state.step === "" ? Infinity : Number(state.step);
  const kind = stateOf(i);
  if (kind !== "running" && (kind !== "done" || wanted >= (METRICS.get("steps_done")?.values[i] ?? 0))) return null;
  const steps = previewsOf(i).filter((step) => !broken.has(previewAt(i, step)));
  return steps.findLast((step) => step <= wanted) ?? steps[0] ?? null;
}

// What is said of a picture that may be another than the finished one; "" where everybody sees that it is finished.
function stepLabel(i) {
  const step = previewShown(i);
  if (step === null) return state.step !== "" && stateOf(i) === "done" ? "final" : "";
  return running.has(i) ? `step ${step} of ${running.get(i)[1]}` : `step ${step}`;
}

const smallOf = (i) => (previewShown(i) === null ? stillOf(i) : previewAt(i, previewShown(i)));
const bigOf = (i) => (previewShown(i) === null ? playedOf(i) : previewAt(i, previewShown(i)));

// ---- cells of the grid -------------------------------------------------------------------------------------------
// A preview that is missing is not asked for again: the one before it is shown in its place, or the picture.
function onLost(event) {
  const [source, node] = [event.target.getAttribute("src"), event.target.closest(".cell")];
  if (!source.startsWith(`${DATA.previews.base}/`)) return;
  broken.add(source);
  if (!node) renderBox(); else if (running.has(node.i) && previewShown(node.i) === null) redrawCell(node.i); else restep(node);
}

function stepMarks(i) {
  const at = running.get(i);
  const meter = at && el("span", { class: "meter" }, el("span", { style: `width: ${(100 * at[0]) / Math.max(1, at[1])}%` }));
  return [...(stepLabel(i) ? [el("span", { class: "step" }, stepLabel(i))] : []), ...(meter && previewShown(i) !== null ? [meter] : [])];
}

// A cell that has a picture shows the one of another step, in its place.
function restep(node) {
  const image = node.querySelector("img");
  if (!image) return;
  if (image.getAttribute("src") !== smallOf(node.i)) image.src = smallOf(node.i);
  for (const old of node.querySelectorAll(":scope > :is(.step, .meter)")) old.remove();
  image.after(...stepMarks(node.i));
}

// ---- the box -----------------------------------------------------------------------------------------------------
function restepBox() {
  if (byId("of-final")) byId("of-final").hidden = previewShown(current()) === null;
  for (const node of byId("stage").querySelectorAll("img[data-of]")) {
    const i = Number(node.dataset.of);
    if (clipOf(i)) continue; // it has no previews
    if (node.getAttribute("src") !== bigOf(i)) node.src = bigOf(i);
    if (node.matches(".second.top")) continue; // over the other picture, whose label says the step
    labelFrame(node.closest("figure, .fit"), previewShown(i) === null ? stepLabel(i) : `preview after ${stepLabel(i)}`);
  }
}

// In the caption of the picture if it has one, or else over it.
function labelFrame(frame, label) {
  const caption = frame.querySelector("figcaption");
  if (caption) {
    caption.dataset.name ??= caption.textContent;
    caption.textContent = [caption.dataset.name, label].filter(Boolean).join(", ");
    return;
  }
  frame.querySelector(".at")?.remove();
  if (label) frame.append(el("span", { class: "which at" }, label));
}

// ---- the slider --------------------------------------------------------------------------------------------------
function stepSlider() {
  const range = el("input", { type: "range", min: 0, step: 1, "aria-label": "Step of all pictures", oninput: () => goToStep(Number(range.value)) });
  return el("div", { class: "stepper", hidden: true, role: "group", "aria-label": "Step of the pictures" }, el("span", { class: "note" }, "Step"), range, el("output", {}));
}

// Place of the slider, from 0 to the number of stops, where the pictures themselves are.
function placeOfStep() {
  if (state.step === "") return stopsOfAll().length;
  return Math.max(0, stopsOfAll().findLastIndex((step) => step <= Number(state.step)));
}

function goToStep(place) {
  const [all, kept] = [stopsOfAll(), Math.max(0, Math.min(stopsOfAll().length, place))];
  state.step = kept < all.length ? String(all[kept]) : "";
  showStep();
  writeState();
}

function showStep() {
  for (const node of document.querySelectorAll("#main .cell")) restep(node);
  restepBox();
  drawSteppers();
}

function drawSteppers() {
  if (!byId("steps")) byId("main").before(Object.assign(stepSlider(), { id: "steps", role: "region" }));
  const [all, place] = [stopsOfAll(), placeOfStep()];
  const said = state.step === "" ? (isRunning() ? "latest pictures" : "final pictures") : `step ${all[place] ?? state.step}`;
  for (const stepper of document.querySelectorAll(".stepper")) {
    const [range, output] = stepper.querySelectorAll("input, output");
    stepper.hidden = !all.length;
    Object.assign(range, { max: all.length, value: place });
    range.setAttribute("aria-valuetext", said);
    output.textContent = said;
  }
}

// One cell: its picture beside, over or against another, its numbers, and the YAML that makes it again.

let boxOrder = ALL;

function openBox(i, order) {
  boxOrder = order && order.length ? order : ALL;
  if (!byId("box").open) Object.assign(look, { scale: 1, x: 0, y: 0 });
  state.cell = DATA.keys[i];
  renderBox();
  if (!byId("box").open) byId("box").showModal();
  writeState();
}

const current = () => DATA.keys.indexOf(state.cell);

function step(by) {
  const at = boxOrder.indexOf(current());
  const next = boxOrder[(at + by + boxOrder.length) % boxOrder.length];
  if (next !== undefined) openBox(next, boxOrder);
}

// What is said of cell `k` where it is seen with cell `i`: beside pinned pictures, the settings in which they differ.
function labelOf(k, i) {
  const pinned = state.against === "pin" ? [state.pin, ...state.pins.split(",")].map((key) => DATA.keys.indexOf(key)).filter((at) => at >= 0) : [];
  const differ = differing([i, ...pinned]);
  return [nameOf(k), captionOf(k, new Set(pinned.length ? parameterAxes.filter((key) => !differ.has(key)) : []))].filter(Boolean).join(" ");
}

function otherOf(i) {
  if (state.against === "pin" && DATA.keys.includes(state.pin)) {
    const pinned = DATA.keys.indexOf(state.pin);
    const label = `pinned: ${labelOf(pinned, i)}`;
    return { source: bigOf(pinned), still: DATA.thumbs[pinned], label, clip: clipOf(pinned), of: pinned };
  }
  const kind = state.against === "style" ? "style" : "content";
  const name = AXES.has(kind) ? valueOf(kind, i) : DATA.only[kind];
  const [still, moving] = [DATA.heads[kind][name], kind === "content" && clipOf(i) ? contentOf(i) : null];
  return { source: moving?.source ?? still, still, label: `${kind}: ${text(name)}`, clip: moving?.clip ?? null, large: moving?.source ? null : DATA.large[kind]?.[name] };
}

// A picture or a clip; where this browser cannot play the clip, a smaller picture of it.
function viewOf(source, still, label, attributes) {
  if (isVideo(source)) return videoOf(source, label, still, attributes);
  return el("img", { src: broken.has(source) ? still : source, alt: label, ...attributes });
}

// The small picture of an input, until the large one is there.
function sharpened(node, address) {
  const image = new Image();
  image.addEventListener("load", () => { node.src = address; });
  if (address) image.src = address;
  return node;
}

function stageOf(i) {
  if (faultOf(i) && previewShown(i) === null) return el("div", { class: "show" }, el("p", { class: "fail" }, faultOf(i)));
  const other = otherOf(i);
  const mode = other.source ? state.mode : "one";
  const picture = () => viewOf(bigOf(i), DATA.thumbs[i], nameOf(i), { class: "own", "data-of": i, onerror: onLost });
  const second = (attributes) => sharpened(viewOf(other.source, other.still, other.label, { class: "second", "data-of": other.of, ...attributes }), other.large);
  if (mode === "side") {
    return el("div", { class: "show" }, el("figure", {}, second({}), el("figcaption", {}, other.label)),
      el("figure", {}, picture(), el("figcaption", {}, `this: ${labelOf(i, i)}`)));
  }
  if (mode === "slider" || mode === "difference") {
    const top = second({ class: "second top", style: mode === "slider" ? "clip-path: inset(0 50% 0 0)" : "mix-blend-mode: difference" });
    const edge = el("span", { class: "edge", style: "left: 50%" });
    const range = el("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, "aria-label": "Position of the edge", oninput: () => {
      top.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`;
      edge.style.left = `${range.value}%`;
    } });
    return el("div", { class: "show" }, el("div", { class: "over" }, el("div", { class: "fit", style: DATA.shapes[i] ? `--ratio: ${DATA.shapes[i]}` : null }, picture(), top, ...(mode === "slider" ? [edge, range] : []))));
  }
  return el("div", { class: "show" }, el("figure", {}, picture()));
}

function choice(label, key, value, hint) {
  return el("button", { type: "button", "aria-pressed": String(state[key] === value), title: hint, onclick: () => { state[key] = value; renderBox(); writeState(); } }, label);
}

function renderBox() {
  const i = current();
  if (i < 0) return;
  const bar = el("div", { class: "bar" },
    el("button", { type: "button", title: "Previous (←)", "aria-label": "Previous cell", onclick: () => step(-1) }, "←"), el("button", { type: "button", title: "Next (→)", "aria-label": "Next cell", onclick: () => step(1) }, "→"),
    choice("Picture", "mode", "one", "1"), choice("Side by side", "mode", "side", "2"), choice("Slider", "mode", "slider", "3"), choice("Difference", "mode", "difference", "4"),
    el("span", { class: "note" }, "against"), choice("content", "against", "content"), choice("style", "against", "style"),
    state.pin ? choice("pinned", "against", "pin") : null,
    el("button", { type: "button", title: "Pin this picture to compare others with (p)", onclick: pin }, "Pin"),
    el("button", { type: "button", title: "Close (Esc)", "aria-label": "Close", class: "close", onclick: () => byId("box").close() }, "×"));
  const [focused, byKeyboard] = [document.activeElement, document.activeElement.matches(":focus-visible")];
  stopClips();
  const stage = stageOf(i);
  bar.lastElementChild.before(dressStage(stage, i));
  byId("stage").replaceChildren(...[bar, stage, playClips(stage, i, otherOf(i)), stepSlider(), ...notesOf(stage, i)].filter((node) => node !== null));
  if (!focused.isConnected) refocus(focused, byKeyboard);

  byId("facts").replaceChildren(...factsOf(i));
  drawAlong(i);
  drawSteppers();
  restepBox();
  drawChoice(i);
  applyLook();
}

function notesOf(stage, i) {
  const files = [DATA.pictures[i], DATA.sources.values[DATA.sources.index[i]].link];
  const isFree = (image) => clipOf(i) && files.includes(image.getAttribute("src"));
  return [
    broken.has(files[0]) ? "This browser cannot play the clip: its small preview is shown. Open the clip with a player." : null,
    [...stage.querySelectorAll("img")].some(isFree) ? "A GIF or WebP plays by itself here, out of step and without single frames: its copy for this page is missing." : null,
  ].filter(Boolean).map((words) => el("p", { class: "note" }, words));
}

// Who goes by keyboard stays on the control that was drawn anew; after a click the keys belong to the stage again, so
// that the space bar plays and does not press the button once more.
function refocus(gone, byKeyboard) {
  const nameOfControl = (node) => node.getAttribute("aria-label") || node.textContent;
  const same = [...byId("stage").querySelectorAll("button, input, select")].find((node) => nameOfControl(node) === nameOfControl(gone));
  (byKeyboard && same ? same : byId("stage")).focus({ preventScroll: true });
}

function pin() {
  state.pins = [...state.pins.split(",").filter((key) => key && key !== state.cell), state.cell].slice(-3).join(",");
  state.pin = state.cell;
  state.against = "pin";
  renderBox();
  writeState();
}

function copyText(yaml, button) {
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1200); };
  const byHand = () => { // pages opened from a folder may have no clipboard
    getSelection().selectAllChildren(byId("yaml"));
    if (document.execCommand("copy")) done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(yaml).then(done, byHand); else byHand();
}

// ---- the manifest of one cell ------------------------------------------------------------------------------------
function settingsOf(i) {
  const settings = DATA.known[i] ? { ...DATA.fixed } : {};
  for (const key of parameterAxes) settings[key] = valueOf(key, i);
  for (const [key, column] of Object.entries(DATA.followers)) settings[key] = column.values[column.index[i]];
  return settings;
}

function yamlOf(i) {
  const quote = (value) => JSON.stringify(value); // JSON's strings, numbers, lists and mappings are YAML
  const tree = {};
  const settings = settingsOf(i);
  const source = DATA.sources.values[DATA.sources.index[i]];
  for (const [key, path] of Object.entries(DATA.paths[settings.method] || {})) {
    if (settings[key] === null || settings[key] === undefined || (!source.clip && DATA.of_clips.includes(path[0]))) continue;
    if (key === "backbone_input" && DATA.inputless.includes(settings.backbone_weights)) continue; // it follows from them
    let node = tree;
    for (const part of path.slice(0, -1)) node = node[part] ??= {};
    node[path.at(-1)] = DATA.json.includes(key) ? { json: settings[key] } : settings[key];
  }
  const lines = [`name: cell-${DATA.ids[i].slice(0, 12)}`];
  const scaleOf = (k) => ((source.scales[k] ?? 1) === 1 ? null : source.scales[k]);
  const part = source.clip || {};
  const entry = (uri, mask, key, value, scale, video) => // a content may be a mask alone
    `{${[["uri", uri], ["video", video], ["frames", video && part.frames], ["every", video && part.every], ["rate", video && part.rate], ["mask", mask], [key, value], ["scale", scale]].filter((pair) => pair[1]).map((pair) => `${pair[0]}: ${quote(pair[1])}`).join(", ")}}`;
  const nameIn = (kind) => { // a name of a file that no manifest may say is found again by itself
    const name = AXES.has(kind) ? valueOf(kind, i) : DATA.only[kind];
    return /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) ? name : null;
  };
  const named = (uri, mask, kind, scale, video) => entry(uri, mask, "name", nameIn(kind), scale, video);
  const content = source.clip ? [null, source.content] : [source.content, null];
  if (source.content || source.mask) lines.push("contents:", `  - ${named(content[0], source.mask, "content", null, content[1])}`);
  if (source.styles.length === 1) lines.push("styles:", `  - ${named(source.styles[0], source.masks[0], "style", scaleOf(0))}`);
  if (source.styles.length > 1) {
    lines.push("styles:", `  - name: ${quote(AXES.has("style") ? valueOf("style", i) : DATA.only.style)}`, `    mix: ${source.mix || "targets"}`, "    images:");
    source.styles.forEach((uri, k) => lines.push(`      - ${entry(uri, source.masks[k], "weight", source.weights[k] ?? 1, scaleOf(k))}`));
  }
  lines.push("method:");
  const write = (node, indent) => {
    for (const [key, value] of Object.entries(node)) {
      if (value && typeof value === "object" && "json" in value) lines.push(`${indent}${key}: ${value.json}`);
      else if (value && typeof value === "object") { lines.push(`${indent}${key}:`); write(value, `${indent}  `); }
      else lines.push(`${indent}${key}: ${quote(value)}`);
    }
  };
  write(tree, "  ");
  if (source.output) { lines.push("output:"); write(source.output, "  "); }
  return `${lines.join("\n")}\n`;
}

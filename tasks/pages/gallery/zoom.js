// Zoom and pan of the pictures in the box, the same for all of them at once, and labels that say which is which.

const MOST_ZOOM = 64;
const look = { scale: 1, x: 0, y: 0 }; // x and y: where the left upper corner of a picture is moved to, in its sizes

const lookedAt = () => [...byId("stage").querySelectorAll(".show .own, .show .second, .show .further")];

function zoomTo(scale, u = 0.5, v = 0.5) {
  const next = Math.min(MOST_ZOOM, Math.max(1, scale));
  look.x = u - ((u - look.x) * next) / look.scale;
  look.y = v - ((v - look.y) * next) / look.scale;
  look.scale = next;
  applyLook();
}

function pan(dx, dy) {
  look.x += dx;
  look.y += dy;
  applyLook();
}

function applyLook() {
  const keep = (at) => Math.min(0, Math.max(1 - look.scale, at));
  [look.x, look.y] = [keep(look.x), keep(look.y)];
  for (const node of lookedAt()) {
    if (naturalOf(node)) node.closest("figure")?.style.setProperty("--ratio", naturalOf(node) / (node.naturalHeight || node.videoHeight));
    node.style.transform = look.scale === 1 ? "" : `translate(${100 * look.x}%, ${100 * look.y}%) scale(${look.scale})`;
    node.classList.toggle("pixels", look.scale > 1 && pixelsOf(node) >= 2);
  }
  byId("stage").classList.toggle("zoomed", look.scale > 1);
  moveEdge();
  const first = lookedAt().find((node) => node.classList.contains("own"));
  if (byId("zoomed")) byId("zoomed").textContent = first && naturalOf(first) ? `${Math.round(100 * pixelsOf(first))} %` : "";
}

const naturalOf = (node) => node.naturalWidth || node.videoWidth || 0;

// How many pixels of the screen a pixel of the picture takes.
function pixelsOf(node) {
  const [wide, high] = [naturalOf(node), node.naturalHeight || node.videoHeight || 0];
  if (!wide || !high) return 0;
  const [across, down] = [node.offsetWidth / wide, node.offsetHeight / high];
  return Math.min(across, down) * look.scale * devicePixelRatio;
}

// The edge of the slider stays under the pointer, whatever part of the picture is seen there.
function moveEdge() {
  const [range, top] = [byId("stage").querySelector(".fit input[type=range]"), byId("stage").querySelector(".top")];
  if (!range || !top) return;
  const seen = (Number(range.value) / 100 - look.x) / look.scale;
  top.style.clipPath = `inset(0 ${Math.round(10000 * (1 - Math.min(1, Math.max(0, seen)))) / 100}% 0 0)`;
}

// Make the pictures of a stage zoom together; called when it has been drawn anew.
function dressStage(stage, i) {
  const frames = [...stage.querySelectorAll("figure, .fit")];
  const [other, own] = [otherOf(i), labelOf(i, i)];
  if (stage.querySelector(".fit")) {
    const slider = stage.querySelector(".fit input");
    const names = slider ? [other.label, `this: ${own}`] : [`difference of ${other.label}`, `and this: ${own}`];
    stage.querySelector(".fit").append(el("span", { class: "which left" }, names[0]), el("span", { class: "which right" }, names[1]));
    slider?.addEventListener("input", moveEdge);
  }
  if (state.mode === "side" && state.against === "pin") frames.push(...furtherPins(stage, i));
  for (const frame of frames) {
    frame.addEventListener("wheel", onWheel, { passive: false });
    frame.addEventListener("pointerdown", onGrab);
    frame.addEventListener("dblclick", (event) => zoomTo(look.scale > 1 ? 1 : 4, ...placeIn(event)));
  }
  for (const node of stage.querySelectorAll("img")) node.addEventListener("load", applyLook);
  const button = (label, name, onclick) => el("button", { type: "button", title: name, "aria-label": name, onclick }, label);
  return el("span", { class: "zoom", role: "group", "aria-label": "Zoom" }, button("−", "Zoom out (-)", () => zoomTo(look.scale / 1.5)),
    el("output", { id: "zoomed" }), button("+", "Zoom in (+)", () => zoomTo(look.scale * 1.5)), button("fit", "The whole picture (0)", () => zoomTo(1)));
}

// Further pinned pictures, side by side with the first two: four at most.
function furtherPins(stage, i) {
  const shownNow = new Set([DATA.keys[i], state.pin]);
  const further = state.pins.split(",").filter((key) => DATA.keys.includes(key) && !shownNow.has(key)).slice(-2);
  return further.map((key) => {
    const at = DATA.keys.indexOf(key);
    const label = `pinned: ${labelOf(at, i)}`;
    const source = isVideo(DATA.pictures[at]) ? DATA.thumbs[at] : bigOf(at);
    const figure = el("figure", {}, el("img", { src: source || DATA.thumbs[at], alt: label, class: "further", "data-of": isVideo(source) ? null : at }), el("figcaption", {}, label));
    stage.append(figure);
    return figure;
  });
}

function placeIn(event) {
  const node = event.currentTarget.querySelector(".own, .second, .further");
  const [width, height] = [node.offsetWidth, node.offsetHeight];
  const box = event.currentTarget.getBoundingClientRect();
  return [(event.clientX - box.left) / width, (event.clientY - box.top) / height];
}

function onWheel(event) {
  event.preventDefault();
  const node = event.currentTarget.querySelector(".own, .second, .further");
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    pan(-(event.deltaX || event.deltaY) / node.offsetWidth, event.deltaX ? -event.deltaY / node.offsetHeight : 0);
  } else zoomTo(look.scale * 1.0015 ** -event.deltaY, ...placeIn(event));
}

function onGrab(event) {
  if (look.scale === 1 || (event.target.matches("input") && !event.shiftKey)) return;
  event.preventDefault();
  const node = event.currentTarget.querySelector(".own, .second, .further");
  let [x, y] = [event.clientX, event.clientY];
  const drag = (at) => {
    pan((at.clientX - x) / node.offsetWidth, (at.clientY - y) / node.offsetHeight);
    [x, y] = [at.clientX, at.clientY];
  };
  addEventListener("pointermove", drag);
  const end = () => { for (const kind of ["pointerup", "pointercancel"]) removeEventListener(kind, end); removeEventListener("pointermove", drag); };
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, end);
}

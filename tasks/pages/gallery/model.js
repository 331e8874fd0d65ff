"use strict";
// The data of the page, its state (kept in the address after #), and which cells are shown in which order.

const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const COUNT = DATA.ids.length;
const ALL = Array.from({ length: COUNT }, (_, i) => i);
const AXES = new Map(DATA.axes.map((axis) => [axis.key, axis]));
// Metrics that some cell has a value of; while a sweep runs, their number grows.
const METRICS = new Map(DATA.metrics.filter((metric) => metric.values.length).map((metric) => [metric.key, metric]));
const metrics = () => DATA.metrics.filter((metric) => METRICS.has(metric.key));

function measure(key, i, value) {
  const metric = METRICS.get(key) || DATA.metrics.find((each) => each.key === key);
  if (!metric) return;
  if (!metric.values.length) metric.values = new Array(COUNT).fill(null);
  METRICS.set(key, metric);
  Object.assign(metric, { range: undefined }).values[i] = value;
}

// Rows may be pairs of content and style.
if (AXES.has("content") && AXES.has("style")) {
  const styles = AXES.get("style");
  const contents = AXES.get("content");
  const code = contents.index.map((c, i) => c * styles.values.length + styles.index[i]);
  const present = [...new Set(code)].sort((a, b) => a - b);
  const place = new Map(present.map((value, i) => [value, i]));
  const pair = (value) => [contents.values[Math.floor(value / styles.values.length)], styles.values[value % styles.values.length]];
  AXES.set("pair", { key: "pair", label: "content × style", values: present.map(pair), index: code.map((value) => place.get(value)) });
}
AXES.set("none", { key: "none", label: "nothing", values: [null], index: new Array(COUNT).fill(0) });

// Settings that are numbers can be plotted, too.
const numericAxes = () => DATA.axes.filter((axis) => !["sweep", "content", "style"].includes(axis.key) && axis.values.every((value) => value === null || typeof value === "number"));

// What is plotted: the label, and the number of each cell, of a metric or of a setting; null if there is no such.
function numbersOfAll(key) {
  if (METRICS.has(key)) return METRICS.get(key);
  const axis = numericAxes().find((each) => each.key === key);
  return axis ? { key, label: axis.label, values: axis.index.map((at) => axis.values[at]) } : null;
}

// Numbers as people read them; `unit` is that of a metric.
function amount(value, unit) {
  if (value === null || value === undefined || !unit) return text(value);
  if (unit !== "B") return `${text(value)} ${unit}`;
  const power = Math.min(3, Math.max(0, Math.floor(Math.log10(Math.max(1, Math.abs(value))) / 3)));
  return `${text(Number((value / 1000 ** power).toPrecision(3)))} ${["B", "kB", "MB", "GB"][power]}`;
}

function text(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map(text).join(" × ");
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(4)));
  return String(value);
}

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const valueOf = (key, i) => AXES.get(key).values[AXES.get(key).index[i]];
const nameOf = (i) => ["sweep", "content", "style"].filter((key) => AXES.has(key)).map((key) => valueOf(key, i)).map(text).join(" × ")
  || [DATA.only.content, DATA.only.style].filter(Boolean).join(" × ") || DATA.ids[i].slice(0, 8);

// Why there is no picture; null where there is one.
function faultOf(i) {
  if (DATA.errors[i] === null) return null;
  if (running.has(i)) return `step ${running.get(i)[0]} of ${running.get(i)[1]}`;
  return DATA.errors[i] ? `failed: ${DATA.errors[i]}` : "to do";
}

const STATES = [["done", "pictures"], ["running", "running"], ["failed", "failed"], ["todo", "to do"]];
const stateOf = (i) => (DATA.errors[i] === null ? "done" : running.has(i) ? "running" : DATA.errors[i] ? "failed" : "todo");
const running = new Map(); // place of a cell that is being made -> [step, all steps]

// Which parameters tell a cell from its neighbours, with those left out that the view already says.
const parameterAxes = DATA.axes.map((axis) => axis.key).filter((key) => !["sweep", "content", "style"].includes(key));
// A setting that the cell's method does not have, or that is not set, tells nothing. Those that `tell` come first.
function captionOf(i, known, tell = new Set()) {
  const paths = AXES.has("method") ? DATA.paths[valueOf("method", i)] : null;
  const has = (key) => valueOf(key, i) !== null && (!paths || key === "method" || key in paths);
  const keys = parameterAxes.filter((key) => !known.has(key) && has(key));
  return [...keys.filter((key) => tell.has(key)), ...keys.filter((key) => !tell.has(key))].map((key) => `${AXES.get(key).label}=${text(valueOf(key, i))}`).join(", ");
}

// The settings in which some of these cells differ.
const differing = (cells) => new Set(parameterAxes.filter((key) => cells.some((i) => AXES.get(key).index[i] !== AXES.get(key).index[cells[0]])));

// A value of an axis in headings, filters and legends. A setting may be off; of a cell that is not done it may be unknown.
function valueName(axis, at) {
  if (axis.values[at] !== null || axis.key === "none") return text(axis.values[at]);
  return isOff(axis, at) ? "not set" : "not known yet";
}
const isOff = (axis, at) => axis.index.some((value, i) => value === at && DATA.known[i]);

// ---- state -----------------------------------------------------------------------------------------------------
const biggest = AXES.has("method") ? "method" : [...parameterAxes].sort((a, b) => AXES.get(b).values.length - AXES.get(a).values.length).find((key) => AXES.get(key).values.length <= 12);
const first = (...keys) => keys.find((key) => key && AXES.has(key));
const DEFAULTS = {
  view: "grid", y: biggest ? first("pair", "content", "style", "none") : first("content", "none"), x: first("sweep") || biggest || first("style", "none"),
  lx: "", ly: "", front: "", sort: "", desc: "", n: "", q: "", m: "", min: "", max: "", status: "", size: "", theme: "", tools: "", step: "", mark: "", pairs: "", wipe: "", cell: "", mode: "one", against: "content", pin: "", pins: "",
  px: METRICS.has("content_loss") || DATA.run ? "content_loss" : metrics()[0]?.key || "", py: METRICS.has("style_loss") || DATA.run ? "style_loss" : metrics()[1]?.key || "",
  pc: first(biggest, "style", "content", "none"),
};
const state = { ...DEFAULTS, filter: new Map() };

function readState() {
  Object.assign(state, DEFAULTS, { filter: new Map() });
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    const axis = AXES.get(key.slice(2));
    if (key.startsWith("f.") && axis && Number(value) < axis.values.length) state.filter.set(key.slice(2), Number(value));
    else if (Object.hasOwn(DEFAULTS, key)) state[key] = value;
  }
  for (const key of ["x", "y", "pc"]) if (!AXES.has(state[key])) state[key] = DEFAULTS[key];
  for (const key of ["px", "py"]) if (!numbersOfAll(state[key])) state[key] = DEFAULTS[key];
  for (const key of ["n", "sort", "m"]) if (!METRICS.has(state[key])) state[key] = "";
  if (!VIEWS.some(([view]) => view === state.view)) state.view = "grid";
}

function writeState() {
  const hash = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS)) if (String(state[key]) !== String(DEFAULTS[key])) hash.set(key, state[key]);
  for (const [key, value] of state.filter) hash.set(`f.${key}`, value);
  history.replaceState(null, "", hash.size ? `#${hash}` : location.pathname + location.search);
}

// ---- what is shown -----------------------------------------------------------------------------------------------
const haystack = new Array(COUNT); // made when somebody searches

function described(i) {
  haystack[i] ??= [nameOf(i), captionOf(i, new Set()), DATA.errors[i] || "", DATA.ids[i], wordsOf(i)].join(" ").toLowerCase();
  return haystack[i];
}

// The cells that pass all filters; with `anyState`, that of their state excepted.
function shown(anyState = false) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const metric = METRICS.get(state.m);
  const low = state.min === "" ? -Infinity : Number(state.min);
  const high = state.max === "" ? Infinity : Number(state.max);
  return ALL.filter((i) => {
    if (!anyState && state.status && stateOf(i) !== state.status) return false;
    if (!passesMark(i)) return false;
    for (const [key, value] of state.filter) if (AXES.get(key).index[i] !== value) return false;
    if (!words.every((word) => described(i).includes(word))) return false;
    if (!metric) return true;
    const found = metric.values[i];
    return found !== null && found >= low && found <= high;
  });
}

function sorted(cells) {
  const metric = METRICS.get(state.sort);
  if (!metric) return cells;
  const sign = state.desc ? -1 : 1;
  const key = (i) => (metric.values[i] === null ? Infinity : sign * metric.values[i]); // failed cells come last
  return [...cells].sort((a, b) => key(a) - key(b) || a - b);
}

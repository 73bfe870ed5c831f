"use strict";

// Tables: a click on a column's title sorts by it, another one turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const titles = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  titles.forEach((title, place) => {
    title.querySelector("button").addEventListener("click", () => {
      const down = title.getAttribute("aria-sort") === "ascending";
      titles.forEach((other) => other.removeAttribute("aria-sort"));
      title.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => ({ row, key: sortKey(row.cells[place]) }));
      rows.sort((a, b) => compareKeys(a.key, b.key, down ? -1 : 1));
      body.append(...rows.map((item) => item.row));
    });
  });
}

function sortKey(cell) {
  return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent;
}

// What is missing (an empty text or a dash) stands last in either order.
function compareKeys(a, b, direction) {
  const missing = [a, b].map((key) => key === "" || key === "–");
  if (missing[0] || missing[1]) return missing[0] - missing[1];
  if (typeof a === "number" && typeof b === "number") return direction * (a - b);
  return direction * String(a).localeCompare(String(b));
}

// Contents: within MLflow's frame, which has no address, a link to a section leads nowhere.
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const section = document.querySelector(link.getAttribute("href"));
    section.scrollIntoView();
    section.focus({ preventScroll: true });
  });
}

// Light or dark: as the system has it, until the reader chooses.
const root = document.documentElement;
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
const isDark = () => (root.style.colorScheme || (systemIsDark.matches ? "dark" : "light")) === "dark";

function showTheme() {
  themeButton.setAttribute("aria-pressed", isDark());
  for (const line of document.querySelectorAll(".legend line")) {
    line.dataset.color ??= line.getAttribute("stroke");
    line.setAttribute("stroke", isDark() ? tinted(line.dataset.color) : line.dataset.color);
  }
  if (charts.length && drawnWidth) drawAll();
}

themeButton.addEventListener("click", () => {
  root.style.colorScheme = isDark() ? "light" : "dark";
  showTheme();
});
systemIsDark.addEventListener("change", showTheme);

// Tables of one configuration at a time.
for (const select of document.querySelectorAll(".choices select")) {
  const choices = [...select.closest(".choices").querySelectorAll(".choice")];
  const show = () => choices.forEach((choice, place) => (choice.hidden = place !== select.selectedIndex));
  select.addEventListener("change", show);
  show(); // a browser that goes back keeps what was selected
}

// Figures: the specification of the files, laid out for the width of the screen.
const figures = JSON.parse(document.getElementById("figures")?.textContent ?? "{}");
const charts = [...document.querySelectorAll(".chart")];
const hidden = new Set();
const logarithmic = new Set(); // figures whose value axis is
const zoomed = new Set(); // figures that may be zoomed and moved
const views = new Map();
const manyMarks = 4000; // from here on a canvas is faster than so many elements
const sideRoom = 56; // axis labels and title beside the first panel
const panelGap = 22;
const letterWidth = 7; // of a panel's name
const errorsOnly = 1; // Vega.Error: that nothing is left to draw, once all is hidden, is no news
const narrowWidth = 560; // below it one panel a row and short texts
const zoomStep = 0.15; // of an axis, at each end, a key press

for (const [name, { spec, axes }] of Object.entries(figures)) {
  const floor = spec.params?.find((param) => param.name === "floor")?.value;
  if (axes && floor === axes[1].floor) logarithmic.add(name);
}

function hasParam(spec, name) {
  return (spec.params ?? []).some((param) => param.name === name);
}

// The layers of a figure that show a value on the vertical axis.
function valueLayers(spec) {
  return spec.spec.layer.filter((layer) => layer.encoding.y?.scale);
}

function setAxis(spec, axis, isLog) {
  for (const param of spec.params) {
    if (param.name === "floor") param.value = axis.floor;
    if (param.name === "is_error") param.value = axis.is_error;
  }
  for (const { encoding } of valueLayers(spec)) {
    encoding.y.title = axis.title;
    encoding.y.scale = isLog ? { type: "log", nice: false } : { zero: false };
    encoding.y.axis.format = "~g";
  }
}

// Both axes can be moved where all panels share them, otherwise the horizontal one.
function setZoom(spec) {
  const isShared = spec.resolve?.scale?.y !== "independent";
  const select = { type: "interval", encodings: isShared ? ["x", "y"] : ["x"] };
  spec.spec.layer[0].params = [{ name: "zoom", select, bind: "scales" }];
  for (const { mark, encoding } of spec.spec.layer) {
    mark.clip = true;
    if (encoding.x.axis?.values) encoding.x.axis = { ...encoding.x.axis, values: null, tickMinStep: 1 };
  }
}

// The colours of a dark ground; what stands in the data are no colours.
function tinted(node) {
  if (typeof node === "string") return dark[node] ?? node;
  if (node === null || typeof node !== "object") return node;
  if (Array.isArray(node)) return node.map(tinted);
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, key === "data" ? value : tinted(value)]),
  );
}

// As many panels a row as there is room for, and for their names.
function columnsFor(numPanels, width, panels) {
  const longest = Math.max(...panels.flatMap((name) => name.split(" · ")).map((line) => line.length));
  const most = numPanels === 1 || width < narrowWidth ? 1 : numPanels > 4 && width >= 1100 ? 4 : 2;
  return [4, 2].find((n) => n <= most && longest * letterWidth <= width / n - sideRoom) ?? 1;
}

function laidOut(name, width, excess) {
  const figure = figures[name];
  const spec = isDark() ? tinted(figure.spec) : structuredClone(figure.spec);
  const values = { interactive: true, hidden: [...hidden], narrow: width < narrowWidth };
  for (const param of spec.params ?? []) param.value = values[param.name] ?? param.value;
  delete spec.title;
  delete spec.description; // the element has it
  spec.padding = 2;
  if (figure.axes) setAxis(spec, figure.axes[Number(logarithmic.has(name))], logarithmic.has(name));
  if (zoomed.has(name)) setZoom(spec);
  const narrow = width < narrowWidth;
  spec.config.axis.labelLimit = Math.min(400, Math.round(width * (narrow ? 0.46 : 0.36)));
  if (narrow) fitNarrow(spec, width);
  if (hasParam(spec, "hidden")) {
    for (const layer of spec.spec.layer) {
      if (layer.encoding.color) layer.encoding.color.legend = null;
      if (layer.encoding.strokeDash) layer.encoding.strokeDash.legend = null;
    }
    spec.columns = columnsFor(figure.numPanels, width, spec.facet.sort);
    spec.spec.width = panelWidth(spec.columns, width, excess);
    fitHeaders(spec, width);
    spec.spec.height = Math.min(300, Math.max(spec.spec.height, Math.round(spec.spec.width / 2)));
  } else if (figure.numPanels) {
    const natural = spec.spec.width;
    spec.columns = Math.max(1, Math.floor((width - 2 * sideRoom) / (natural + panelGap)));
    spec.spec.width = Math.min(natural, panelWidth(spec.columns, width, excess));
    fitHeaders(spec, width);
  } else {
    spec.width = "container";
    spec.autosize = { type: "fit-x", contains: "padding" };
  }
  return spec;
}

// A title that is longer than its axis grows to the left, where labels leave room; legends get one
// column, and bars of colours what a plot beside its labels has.
function fitNarrow(spec, width) {
  spec.config.axisX = { ...spec.config.axisX, titleAnchor: "end" };
  spec.config.legend.labelLimit = Math.round(width * 0.6);
  spec.config.legend.gradientLength = Math.round(width * 0.38);
  for (const legend of legendsOf(spec)) if (legend.orient === "bottom") legend.columns = 1;
}

function legendsOf(node) {
  if (node === null || typeof node !== "object") return [];
  const found = node.legend ? [node.legend] : [];
  return [...found, ...Object.values(node).flatMap(legendsOf)];
}

// A panel's name has a line for the quantity and one for the setting, no wider than the panel.
function fitHeaders(spec, width) {
  const room = Math.floor((width - sideRoom) / spec.columns) - panelGap;
  spec.config.header.labelLimit = Math.max(room, spec.spec.width);
}

function panelWidth(columns, width, excess) {
  return Math.max(120, Math.floor((width - sideRoom - excess) / columns) - panelGap);
}

async function draw(chart) {
  const name = chart.dataset.figure;
  const width = chart.clientWidth;
  const marks = JSON.stringify(figures[name].spec).split("\\n").length;
  let excess = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    views.get(chart)?.finalize();
    const result = await vegaEmbed(chart, laidOut(name, width, excess), {
      actions: false,
      logLevel: errorsOnly,
      renderer: marks > manyMarks ? "canvas" : "svg",
    });
    views.set(chart, result);
    const over = chart.querySelector("svg.marks, canvas.marks").getBoundingClientRect().width - width;
    if (over <= 0) break;
    excess += Math.ceil(over);
  }
  // Vega names the element by its own kind of graphics; it is a picture, and its text is at hand.
  chart.setAttribute("role", zoomed.has(name) ? "application" : "img");
  chart.setAttribute("aria-label", chart.dataset.alt);
}

// One drawing at a time: two that embed into one element would remove each other's chart. A newer
// request for all charts ends the one that is under way.
let drawing = Promise.resolve();
let newest = 0;

function drawAll() {
  const mine = ++newest;
  delete root.dataset.drawn;
  drawing = drawing.then(async () => {
    for (const chart of charts) {
      if (mine !== newest) return;
      await draw(chart).catch((error) => console.error(chart.dataset.figure, error));
    }
    root.dataset.drawn = "true";
  });
}

function redraw(chart) {
  drawing = drawing.then(() => draw(chart)).catch((error) => console.error(chart.dataset.figure, error));
}

let drawnWidth = 0;
let waiting;
showTheme();
if (charts.length) {
  new ResizeObserver(() => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (charts[0].clientWidth === drawnWidth) return;
      drawnWidth = charts[0].clientWidth;
      drawAll();
    }, drawnWidth ? 150 : 0);
  }).observe(document.querySelector("main"));
}

// What can be done with a figure.
const tools = {
  log: (chart, button) => toggle(logarithmic, chart, button),
  zoom: (chart, button) => toggle(zoomed, chart, button),
  reset: redraw,
  svg: (chart) => save(chart, "svg"),
  png: (chart) => save(chart, "png"),
};

function toggle(set, chart, button) {
  const name = chart.dataset.figure;
  if (!set.delete(name)) set.add(name);
  button.setAttribute("aria-pressed", set.has(name));
  chart.tabIndex = zoomed.has(name) ? 0 : -1;
  button.parentElement.querySelector("[data-tool=reset]").hidden = !zoomed.has(name);
  redraw(chart);
}

// With the keys: + and − zoom, arrows move; each key changes the ends of an axis by shares of it.
const keys = {
  "+": { x: [zoomStep, -zoomStep], y: [zoomStep, -zoomStep] },
  "-": { x: [-zoomStep, zoomStep], y: [-zoomStep, zoomStep] },
  ArrowLeft: { x: [-zoomStep, -zoomStep] },
  ArrowRight: { x: [zoomStep, zoomStep] },
  ArrowDown: { y: [-zoomStep, -zoomStep] },
  ArrowUp: { y: [zoomStep, zoomStep] },
};

function press(event) {
  const name = event.currentTarget.dataset.figure;
  const { view } = views.get(event.currentTarget);
  const { spec } = figures[name].spec;
  for (const [axis, shares] of Object.entries((zoomed.has(name) && keys[event.key]) || {})) {
    const { field } = spec.layer.find((layer) => layer.encoding[axis]?.field).encoding[axis];
    const signal = `zoom_${field}`;
    if (!(signal in view.getState({ signals: (known) => known === signal }).signals)) continue;
    const scale = view.scale(axis);
    const ends = scale.domain().map(scale).map((end, place, all) => end + shares[place] * (all[1] - all[0]));
    view.signal(signal, ends.map(scale.invert)).runAsync();
    event.preventDefault();
  }
}

for (const chart of charts) chart.addEventListener("keydown", press);

async function save(chart, kind) {
  const link = document.createElement("a");
  link.href = await views.get(chart).view.toImageURL(kind, kind === "png" ? 2 : 1);
  link.download = `${chart.dataset.figure}.${kind}`;
  link.click();
}

for (const button of document.querySelectorAll("[data-tool]")) {
  const chart = button.closest("figure").querySelector(".chart");
  if (button.dataset.tool === "log") {
    button.setAttribute("aria-pressed", logarithmic.has(chart.dataset.figure));
  }
  button.addEventListener("click", () => tools[button.dataset.tool](chart, button));
}

// The legends of the curves: they speak to all figures that know the parameters `hidden` and `lit`.
const entries = [...document.querySelectorAll(".legend [data-series]")];

function tell(name, value) {
  for (const [chart, { view }] of views) {
    if (hasParam(figures[chart.dataset.figure].spec, name)) view.signal(name, value).runAsync();
  }
}

function hide(names) {
  hidden.clear();
  for (const name of names) hidden.add(name);
  for (const entry of entries) entry.setAttribute("aria-pressed", !hidden.has(entry.dataset.series));
  tell("hidden", [...hidden]);
}

const seriesNames = new Set(entries.map((entry) => entry.dataset.series));
for (const entry of entries) {
  const name = entry.dataset.series;
  entry.addEventListener("click", () => {
    const others = [...hidden].filter((other) => other !== name);
    hide(hidden.has(name) ? others : [...others, name]);
  });
  entry.addEventListener("dblclick", () => hide([...seriesNames].filter((other) => other !== name)));
  for (const event of ["mouseenter", "focus"]) entry.addEventListener(event, () => tell("lit", name));
  for (const event of ["mouseleave", "blur"]) entry.addEventListener(event, () => tell("lit", ""));
}
for (const all of document.querySelectorAll(".legend [data-all]")) {
  all.addEventListener("click", () => hide(all.dataset.all === "hide" ? seriesNames : []));
}

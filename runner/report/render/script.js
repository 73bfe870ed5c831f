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
    document.querySelector(link.getAttribute("href")).scrollIntoView();
  });
}

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
const logarithmic = new Map(); // figure -> whether its axis is, where that may be changed
const views = new Map();
const manyMarks = 4000; // from here on a canvas is faster than so many elements
const sideRoom = 56; // axis labels and title beside the first panel
const panelGap = 22;
const letterWidth = 7; // of a panel's name
const errorsOnly = 1; // Vega.Error: that nothing is left to draw, once all is hidden, is no news
const narrowWidth = 560; // below it one panel a row and short texts

function hasParam(spec, name) {
  return (spec.params ?? []).some((param) => param.name === name);
}

// The layers of a figure that show a value on the vertical axis.
function valueLayers(spec) {
  return spec.spec.layer.filter((layer) => layer.encoding.y?.scale);
}

for (const [name, figure] of Object.entries(figures)) {
  if (figure.floors) logarithmic.set(name, figure.spec.params.some(isLogFloor, figure));
}

function isLogFloor(param) {
  return param.name === "floor" && param.value === this.floors[1];
}

function setAxis(spec, floors, isLog) {
  spec.params.find((param) => param.name === "floor").value = floors[Number(isLog)];
  for (const { encoding } of valueLayers(spec)) {
    encoding.y.scale = isLog ? { type: "log", nice: false } : { zero: false };
    encoding.y.axis.format = "~g";
  }
}

// As many panels a row as there is room for, and for their names.
function columnsFor(numPanels, width, panels) {
  const longest = Math.max(...panels.flatMap((name) => name.split(" · ")).map((line) => line.length));
  const most = numPanels === 1 || width < narrowWidth ? 1 : numPanels > 2 && width >= 1100 ? 4 : 2;
  return [4, 2].find((n) => n <= most && longest * letterWidth <= width / n - sideRoom) ?? 1;
}

function laidOut(name, width, excess) {
  const figure = figures[name];
  const spec = structuredClone(figure.spec);
  const values = { interactive: true, hidden: [...hidden], narrow: width < narrowWidth };
  for (const param of spec.params ?? []) param.value = values[param.name] ?? param.value;
  delete spec.title;
  spec.padding = 2;
  if (logarithmic.has(name)) setAxis(spec, figure.floors, logarithmic.get(name));
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
  spec.config.legend.gradientLength = Math.round(width * 0.42);
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
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: name,
      logLevel: errorsOnly,
      renderer: marks > manyMarks ? "canvas" : "svg",
    });
    views.set(chart, result);
    const over = chart.querySelector("svg.marks, canvas.marks").getBoundingClientRect().width - width;
    if (over <= 0) break;
    excess += Math.ceil(over);
  }
}

// One drawing at a time: two that embed into one element would remove each other's chart. A newer
// request for all charts ends the one that is under way.
let drawing = Promise.resolve();
let newest = 0;

function drawAll() {
  const mine = ++newest;
  delete document.documentElement.dataset.drawn;
  drawing = drawing.then(async () => {
    for (const chart of charts) {
      if (mine !== newest) return;
      await draw(chart).catch((error) => console.error(chart.dataset.figure, error));
    }
    document.documentElement.dataset.drawn = "true";
  });
}

let drawnWidth = 0;
let waiting;
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

// Switches between a linear and a logarithmic axis.
for (const button of document.querySelectorAll("button[data-axis]")) {
  const name = button.dataset.axis;
  if (!logarithmic.has(name)) {
    button.remove();
    continue;
  }
  button.setAttribute("aria-pressed", logarithmic.get(name));
  button.addEventListener("click", () => {
    logarithmic.set(name, !logarithmic.get(name));
    button.setAttribute("aria-pressed", logarithmic.get(name));
    const chart = charts.find((other) => other.dataset.figure === name);
    drawing = drawing.then(() => draw(chart)).catch((error) => console.error(name, error));
  });
}

// The legends of the curves: they speak to all figures that know the parameter `hidden`.
const entries = [...document.querySelectorAll(".legend [data-series]")];

function showHidden() {
  for (const entry of entries) entry.setAttribute("aria-pressed", !hidden.has(entry.dataset.series));
  for (const [chart, { view }] of views) {
    if (hasParam(figures[chart.dataset.figure].spec, "hidden")) {
      view.signal("hidden", [...hidden]).runAsync();
    }
  }
}

for (const entry of entries) {
  const name = entry.dataset.series;
  entry.addEventListener("click", () => {
    if (!hidden.delete(name)) hidden.add(name);
    showHidden();
  });
  entry.addEventListener("dblclick", () => {
    hidden.clear();
    for (const other of entries) if (other.dataset.series !== name) hidden.add(other.dataset.series);
    showHidden();
  });
}
for (const all of document.querySelectorAll(".legend .all")) {
  all.addEventListener("click", () => {
    hidden.clear();
    showHidden();
  });
}

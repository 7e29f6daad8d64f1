// The script of a sweep's report: draws the page from its data, sorts and filters the table, tells what marks mean.
"use strict";

const STATES = ["done", "incomplete", "broken", "failed", "missing"];
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);

/** An element with these properties, and these texts and elements in it. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** `1 point`, `2 points`. */
function counted(number, noun) {
  return `${written(number)} ${noun}${number === 1 ? "" : "s"}`;
}

// Numbers

/** A number with narrow spaces between its thousands; what would round to nothing has four digits of its own. */
function written(number, decimals = 0) {
  const size = Math.abs(number);
  if (size >= 1e15) return number.toExponential(3).replace("-", "−");
  const rounded = size.toFixed(decimals);
  if (size > 0 && Number(rounded) === 0) return number.toPrecision(4).replaceAll("-", "−");
  const [whole, rest] = rounded.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return (number < 0 ? "−" : "") + grouped + (rest ? `.${rest}` : "");
}

/** How many decimals a column needs: none for whole numbers, else what gives its largest four digits and its smallest two. */
function decimalsFor(numbers) {
  if (numbers.every(Number.isInteger)) return 0;
  const [least, largest] = extremes(numbers.map(Math.abs).filter((size) => size > 0));
  const digits = (size, wanted) => wanted - 1 - Math.floor(Math.log10(size));
  return Math.min(6, Math.max(0, digits(largest, 4), digits(least, 2)));
}

/** The least and the largest of numbers, of which there may be more than a call has room for. */
function extremes(numbers) {
  const least = numbers.reduce((least, value) => Math.min(least, value), Infinity);
  return [least, numbers.reduce((most, value) => Math.max(most, value), -Infinity)];
}

const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));

// Columns: what the table, its order and its filter know of axes, metrics and the state

function axisColumn(axis, index) {
  const numeric = axis.values.every(isNumber);
  return {
    kind: "axis",
    name: axis.name,
    numeric,
    key: (point) => (numeric ? Number(axis.values[point.at[index]]) : point.at[index]),
    text: (point) => axis.values[point.at[index]],
  };
}

function metricColumn(metric, index) {
  const found = data.points.map((point) => point.metrics[index]).filter((value) => value !== null);
  const [least, largest] = extremes(found);
  const best = { less: least, more: largest }[metric.better];
  return {
    kind: "metric",
    name: metric.name,
    label: metric.label || metric.name,
    note: [metric.unit, metric.better && `${metric.better} is better`].filter(Boolean).join(", "),
    numeric: true,
    decimals: decimalsFor(found),
    // The bar under a number starts at zero, so it is drawn only where nothing is below zero.
    part: (value) => (least >= 0 && largest > 0 ? value / largest : 0),
    best: (value) => value === best && least < largest,
    key: (point) => point.metrics[index],
    text: (point) => String(point.metrics[index] ?? ""),
  };
}

const columns = [
  ...data.axes.map(axisColumn),
  ...data.metrics.map(metricColumn),
  { kind: "state", name: "state", key: (point) => STATES.indexOf(point.state), text: (point) => point.state },
];

// The head of the page

function drawHead() {
  $("title").textContent = data.title;
  $("question").textContent = data.question;
  const parts = [];
  data.axes.forEach((axis, index) => {
    parts.push(index ? " × " : "", make("b", {}, axis.name), ` (${counted(axis.values.length, "value")})`);
  });
  data.metrics.forEach((metric, index) => {
    parts.push(index ? ", " : " → ", make("b", {}, metric.label || metric.name));
    if (metric.better) parts.push(` (${metric.better} is better)`);
  });
  $("setup").append(...parts);
  const surprises = data.surprises.map(({ text, points }) => {
    const button = make("button", { type: "button", title: "show its points in the table" }, text);
    Object.assign(button.dataset, { tip: text, points: points.join(",") });
    button.addEventListener("click", () => pick(button));
    return make("li", {}, button);
  });
  document.querySelector("#surprises-heading + .hint").hidden = surprises.length === 0;
  $("surprises").append(surprises.length ? make("ul", {}, ...surprises) : "None was found.");
}

/** How many points are done, as text and as a bar; each other state is a button that shows its points. */
function drawProgress() {
  const counts = STATES.map((state) => data.points.filter((point) => point.state === state).length);
  const track = make("div", { className: "track", ariaHidden: "true" });
  const done = make("b", {}, `${written(counts[0])} of ${counted(data.points.length, "point")} done`);
  const words = make("div", { className: "states" }, done);
  STATES.forEach((state, index) => {
    if (!counts[index]) return;
    track.append(make("span", { className: state, style: `flex: ${counts[index]} 0 0` }));
    if (state === "done") return;
    const button = make("button", { type: "button", title: "show them in the table" });
    button.append(make("i", { className: state }), `${written(counts[index])} ${state}`);
    button.addEventListener("click", () => {
      $("filter").value = `state=${state}`;
      pick(null);
    });
    words.append(button);
  });
  $("progress").append(track, words);
}

function drawRepeat() {
  const { command, sweep, plan, version, machine } = data;
  const code = make("code", {}, command);
  const facts = { Command: code, Sweep: sweep, Plan: plan, Version: version, Machine: machine };
  for (const [name, value] of Object.entries(facts)) $("repeat").append(make("dt", {}, name), make("dd", {}, value));
  code.before(copyButton(code, code.parentElement));
}

/** A button that copies a command and opens what holds it; where copying is not allowed, the text stays selected. */
function copyButton(code, holder) {
  const button = make("button", { type: "button", className: "copy", title: "copy and show the command" }, "copy");
  button.addEventListener("click", async () => {
    holder.classList.add("open");
    getSelection().selectAllChildren(code);
    const attempt = navigator.clipboard?.writeText(code.textContent) ?? Promise.reject();
    const copied = await attempt.then(() => true, () => document.execCommand("copy"));
    button.textContent = copied ? "copied" : "selected";
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
  return button;
}

// The table

let rows = [];

function drawTable() {
  const head = make("tr");
  for (const column of columns) {
    // The path before an axis's own name stands small above it, as a metric's unit does below.
    const [, path = "", own] = column.label ? [, "", column.label] : /^(.*\.)?(.*)$/.exec(column.name);
    const name = make("span", { className: own.length > 24 ? "long" : "" }, own);
    const sorter = make("div", { role: "button", tabIndex: 0 }, make("small", {}, path), name);
    sorter.append(make("small", {}, column.note ?? ""));
    column.header = make("th", { scope: "col", className: column.numeric ? "number" : "", ariaSort: "none" }, sorter);
    column.header.addEventListener("click", () => sortBy(column));
    column.header.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sortBy(column);
    });
    head.append(column.header);
  }
  head.append(make("th", { scope: "col" }, make("div", {}, "command")));
  rows = data.points.map(drawRow);
  $("points").append(make("thead", {}, head), make("tbody"));
  showRows(rows);
  // Columns keep the width they have with all rows, so that nothing moves when rows are hidden.
  const widths = columns.map((column) => column.header.offsetWidth);
  columns.forEach((column, index) => (column.header.style.minWidth = `${widths[index]}px`));
}

/** One point's row and the line for its command, which the style shows under an open row; and what the filter needs. */
function drawRow(point, index) {
  const element = make("tr");
  element.dataset.point = index;
  for (const column of columns) element.append(drawCell(column, point));
  const code = make("code", {}, point.command);
  const command = make("tr", { className: "command" }, make("td", { colSpan: columns.length + 1 }, code));
  element.append(make("td", {}, copyButton(code, element)));
  const values = data.axes.map((axis, at) => axis.values[point.at[at]]);
  const words = [...values, point.state, point.reason ?? ""].join("\n").toLowerCase();
  return { element, lines: [element, command], point, index, words };
}

function drawCell(column, point) {
  const text = column.text(point);
  const cell = make("td", { className: column.kind });
  cell.classList.toggle("number", Boolean(column.numeric));
  if (column.kind === "axis") {
    cell.classList.toggle("long", text.length > 32);
    cell.append(text);
  } else if (column.kind === "state") {
    cell.classList.add(point.state);
    cell.append(make("i"), ` ${point.state}`);
    if (point.reason) cell.append(make("small", {}, point.reason));
  } else if (text === "") {
    cell.append("–");
  } else {
    const value = column.key(point);
    cell.classList.toggle("best", column.best(value));
    cell.style.setProperty("--part", column.part(value).toFixed(4));
    if (Number(value.toFixed(column.decimals)) !== value) cell.title = text;
    cell.append(written(value, column.decimals));
  }
  return cell;
}

/** Sorts by a column, or turns its order round; points without a value stay last, equal ones in the sweep's order. */
function sortBy(column) {
  const up = column.header.ariaSort !== "ascending";
  for (const other of columns) other.header.ariaSort = "none";
  column.header.ariaSort = up ? "ascending" : "descending";
  const order = (a, b) => {
    const [x, y] = [column.key(a.point), column.key(b.point)];
    if (x === null || y === null) return (x === null) - (y === null) || a.index - b.index;
    return (up ? x - y : y - x) || a.index - b.index;
  };
  showRows([...rows].sort(order));
}

/** Puts the lines of rows into the table, one after the other: there may be more than a call has room for. */
function showRows(ordered) {
  const lines = document.createDocumentFragment();
  for (const row of ordered) lines.append(...row.lines);
  $("points").tBodies[0].append(lines);
}

// The filter

/** The column of this name, or the only one whose name ends with it after a dot. */
function columnNamed(name) {
  const names = columns.map((column) => column.name.toLowerCase());
  const ends = columns.filter((_, index) => names[index].endsWith(`.${name}`));
  return columns[names.indexOf(name)] ?? (ends.length === 1 ? ends[0] : null);
}

/** What one word of the filter asks of a row: `{ test }`, or `{ problem }` if it is not understood. */
function term(typed) {
  const word = typed.replaceAll('"', "");
  // What begins with a quotation mark is text, whatever is in it.
  const parts = typed.startsWith('"') ? null : /^([^=<>!]+)(<=|>=|!=|=|<|>)(.*)$/.exec(word);
  const [, name, sign, value] = parts ?? [];
  if (!sign) {
    return { test: (row) => row.words.includes(word) || (word.length > 5 && row.point.id.startsWith(word)) };
  }
  const column = columnNamed(name);
  const number = Number(value.replaceAll("_", ""));
  if (!column) return { problem: `No axis or metric is called “${name}”.` };
  if (value === "") return { problem: `“${word}” wants a value.` };
  if (sign === "=" || sign === "!=") {
    const same = (row) => {
      const text = column.text(row.point);
      return text.toLowerCase() === value || (column.numeric && text !== "" && Number(text) === number);
    };
    return { test: sign === "=" ? same : (row) => !same(row) };
  }
  if (!column.numeric) return { problem: `“${column.name}” has no numbers to compare.` };
  if (Number.isNaN(number)) return { problem: `“${value}” is not a number.` };
  const holds = (own) => ({ "<": own < number, "<=": own <= number, ">": own > number, ">=": own >= number })[sign];
  return { test: (row) => column.key(row.point) !== null && holds(column.key(row.point)) };
}

/** The points of the chosen mark, or null for all. */
let picked = null;

/** Hides the rows that the filter or the chosen mark leaves out. A word that is not understood leaves out none. */
function applyFilter() {
  const words = $("filter").value.toLowerCase().match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
  const terms = words.map(term);
  const tests = terms.flatMap((one) => one.test ?? []);
  const problem = terms.find((one) => one.problem)?.problem;
  let shown = 0;
  for (const row of rows) {
    const show = (!picked || picked.has(row.index)) && tests.every((test) => test(row));
    if (row.element.hidden === show) row.element.hidden = !show;
    shown += show;
  }
  $("count").textContent = `${written(shown)} of ${counted(rows.length, "point")} shown`;
  $("filter-help").replaceChildren(...(problem ? [problem] : filterHelp()));
  $("filter-help").classList.toggle("problem", Boolean(problem));
}

/** How to filter, told with this sweep's own names. */
function filterHelp() {
  const [axis, metric] = [data.axes[0], data.metrics[0]];
  const examples = [axis && `${axis.name}=${axis.values[0]}`, metric && `${metric.name}<1000`, "state=done"];
  const codes = examples.filter(Boolean).flatMap((example) => [" ", make("code", {}, example)]);
  return ["Words must all match. Also understood:", ...codes];
}

// Charts

function drawCharts() {
  for (const chart of data.charts) {
    const figure = make("figure", { className: chart.kind });
    // The program wrote this drawing: it is markup, not text. Styles of its own are for the file it is saved in.
    figure.innerHTML = chart.svg;
    for (const style of figure.querySelectorAll("style")) style.remove();
    Object.assign(figure.querySelector("svg"), { role: "group", ariaLabel: chart.title });
    for (const mark of figure.querySelectorAll(".mark")) {
      Object.assign(mark, { tabIndex: 0, role: "button", ariaLabel: mark.dataset.tip.replaceAll("\n", ", ") });
    }
    if (!figure.querySelector("text.title")) figure.prepend(make("figcaption", {}, chart.title));
    figure.append(make("p", { className: "filename" }, chart.file));
    $("charts").append(figure);
  }
  // A drawing is never made so small that its text is hard to read.
  const widths = [...$("charts").querySelectorAll("svg")].map((drawing) => drawing.viewBox.baseVal?.width ?? 0);
  $("charts").style.setProperty("--narrowest", `${0.85 * Math.max(320, ...widths)}px`);
  $("charts-section").hidden = data.charts.length === 0;
  if (data.left_out > 0) {
    $("charts").append(make("p", {}, `${counted(data.left_out, "picture")} more would be here: filter the table instead.`));
  }
}

/** Shows what a mark stands for, above the given place or, without room, below it. */
function showTip(mark, x, top, bottom) {
  const tip = $("tip");
  if (tip.textContent !== mark.dataset.tip) tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.max(8, Math.min(x - width / 2, document.documentElement.clientWidth - width - 8));
  const above = top - height - 12;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(above < 4 ? bottom + 14 : above)}px)`;
}

/** Shows what the mark that the keyboard is on stands for, or nothing. */
function tellFocused() {
  const mark = document.activeElement;
  if (!mark?.matches(".mark:focus-visible")) return hideTip();
  const box = mark.getBoundingClientRect();
  showTip(mark, box.left + box.width / 2, box.top, box.bottom);
}

const hideTip = () => ($("tip").hidden = true);

/** The mark that the table is filtered to. */
let chosen = null;

/** Filters the table to the points of a mark or a surprise, or with null to all points again. */
function pick(mark) {
  chosen?.classList.remove("chosen");
  chosen = mark;
  picked = null;
  if (mark) {
    mark.classList.add("chosen");
    picked = new Set(mark.dataset.points.split(",").map(Number));
    const [name] = mark.dataset.tip.split("\n");
    $("picked-text").textContent = `Only the ${counted(picked.size, "point")} of “${name}”`;
    $("filter").value = "";
  }
  $("picked").hidden = !mark;
  hideTip();
  applyFilter();
  $("points-section").focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("points-section").scrollIntoView({ block: "start", behavior: calm ? "instant" : "smooth" });
}

function listenToCharts() {
  const charts = $("charts");
  const markOf = (event) => event.target.closest(".mark");
  charts.addEventListener("pointermove", (event) => {
    const mark = markOf(event);
    mark ? showTip(mark, event.clientX, event.clientY, event.clientY) : hideTip();
  });
  charts.addEventListener("pointerleave", hideTip);
  charts.addEventListener("focusin", tellFocused);
  charts.addEventListener("focusout", hideTip);
  charts.addEventListener("click", (event) => markOf(event) && pick(markOf(event)));
  charts.addEventListener("keydown", (event) => {
    const mark = markOf(event);
    const step = { Enter: 0, " ": 0, ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!mark || step === undefined) return;
    event.preventDefault();
    const all = [...mark.closest("svg").querySelectorAll(".mark")];
    step ? all[all.indexOf(mark) + step]?.focus() : pick(mark);
  });
  $("picked-clear").addEventListener("click", () => pick(null));
  $("picked-back").addEventListener("click", () => chosen?.focus());
}

// Light and dark, and what concerns the whole page

function isDark() {
  const asked = document.documentElement.dataset.theme;
  return asked ? asked === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The button names what it changes to. */
function nameTheme() {
  $("theme").textContent = isDark() ? "Light theme" : "Dark theme";
}

function listenToPage() {
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  $("filter").addEventListener("input", applyFilter);
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hideTip());
  addEventListener("scroll", tellFocused, { capture: true, passive: true });
}

const draw = [drawHead, drawProgress, drawCharts, drawTable, drawRepeat, applyFilter, nameTheme];
const listen = [listenToCharts, listenToPage];
for (const part of [...draw, ...listen]) part();

// Brings the charts of a report to life: a cursor with the values at it, zoom along the x axis, and a key that shows and
// hides series. The charts are complete without it, and it changes nothing before a reader does something.
//
// Each figure with live plots has a script element of JSON beside its two drawings, the wide and the narrow one: see
// src/report/kit/live.rs. A drawing has groups of these classes: "key", "series", "moving" and "ticks". Plots whose axes
// have the same name share cursor and zoom. Coordinates are those of the drawing, values are in the unit of the axis.
(() => {
  "use strict";

  // Share of a logarithmic axis from zero that is linear; axis.rs has the same number.
  const ZERO_SHARE = 0.12;
  // Shorter drags are clicks, in pixels of the screen.
  const SHORTEST_DRAG = 6;
  // The closest zoom, as a share of the whole axis.
  const CLOSEST = 1e-4;
  // Steps between the numbers of a time axis, in its unit; below one second and for other axes they are 1, 2, 5.
  const TIME_STEPS = { s: [1, 2, 5, 10, 15, 20, 30, 60], min: [0.5, 1, 2, 5, 10, 15, 30], h: [0.25, 0.5, 1, 2, 3, 6, 12] };
  const OWN = "live";

  const charts = [];
  // By the name of an axis: the part that is shown, or nothing for all of it; and where the cursor is.
  const zooms = new Map();
  const cursors = new Map();

  // ---- values and places

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // Where a value is between the ends of an axis, from 0 to 1.
  function share(axis, value) {
    let place;
    if (axis.kind === "log") {
      place = Math.log(Math.max(value, axis.from) / axis.from) / Math.log(axis.to / axis.from);
    } else if (axis.kind === "zero-log" && value <= axis.linear) {
      place = (ZERO_SHARE * value) / axis.linear;
    } else if (axis.kind === "zero-log") {
      place = ZERO_SHARE + ((1 - ZERO_SHARE) * Math.log(value / axis.linear)) / Math.log(axis.to / axis.linear);
    } else {
      place = (value - axis.from) / (axis.to - axis.from);
    }
    return clamp(place, 0, 1);
  }

  // The part of the x axis of a plot that is shown.
  function shown(plot) {
    const [from, to] = zooms.get(plot.axis) || [plot.x.from, plot.x.to];
    return [Math.max(from, plot.x.from), Math.min(to, plot.x.to)];
  }

  function placeOf(plot, value) {
    const [from, to] = shown(plot);
    return plot.left + ((value - from) / (to - from)) * (plot.right - plot.left);
  }

  function valueAt(plot, x) {
    const [from, to] = shown(plot);
    return from + (clamp((x - plot.left) / (plot.right - plot.left), 0, 1)) * (to - from);
  }

  // The point of a series that is nearest to a value; the last one of those at the same place, where a staircase is after its step.
  function nearest(xs, value) {
    let low = 0;
    let high = xs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= value) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return 0;
    if (low === xs.length) return low - 1;
    return value - xs[low - 1] <= xs[low] - value ? low - 1 : low;
  }

  // ---- numbers

  // Four significant digits, or as many as are asked for, with a space between groups of three.
  function written(value, significant = 4) {
    if (value === 0) return "0";
    const decimals = clamp(significant - 1 - Math.floor(Math.log10(Math.abs(value))), 0, 12);
    const [whole, rest] = Math.abs(Number(value.toPrecision(significant))).toFixed(decimals).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u00a0");
    const digits = rest ? rest.replace(/0+$/, "") : "";
    return (value < 0 ? "\u2212" : "") + grouped + (digits ? "." + digits : "");
  }

  function withUnit(value, unit, significant) {
    if (unit === " s" && value !== 0 && Math.abs(value) < 1e-3) return written(value * 1e6, significant) + " \u00b5s";
    if (unit === " s" && value !== 0 && Math.abs(value) < 1) return written(value * 1e3, significant) + " ms";
    return written(value, significant) + unit;
  }

  // The digits that a point of a series needs, so that those beside it are not written the same.
  function digitsOf(xs, index) {
    const steps = [xs[index] - xs[index - 1], xs[index + 1] - xs[index]].filter((step) => step > 0);
    if (steps.length === 0 || xs[index] === 0) return 4;
    const step = Math.min(...steps);
    const first = Math.floor(Math.log10(step) + 1e-9);
    // One more where the step is no single digit, such as 2.5 or a second on an axis of minutes.
    const parts = step / 10 ** first;
    const last = Math.abs(parts - Math.round(parts)) > 1e-6 ? first - 1 : first;
    return clamp(Math.floor(Math.log10(Math.abs(xs[index]))) - last + 1, 4, 12);
  }

  // The numbers below a plot between two values, each with its text.
  function ticks(axis, from, to, most) {
    const raw = (to - from) / most;
    const power = 10 ** Math.floor(Math.log10(raw));
    const decimal = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw * 0.999999);
    const steps = TIME_STEPS[axis.unit.trim()] || [];
    const step = (raw >= (steps[0] || Infinity) && steps.find((one) => one >= raw)) || decimal;
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) + (Number.isInteger(step * 100) ? 0 : 1);
    const found = [];
    for (let index = Math.ceil(from / step - 1e-9); index * step <= to + step * 1e-9; index += 1) {
      const text = String(Number((index * step).toFixed(Math.max(decimals, 2))));
      found.push([index * step, text.replace("-", "\u2212")]);
    }
    return found;
  }

  // ---- elements

  function svgElement(svg, name, attributes) {
    const element = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  function htmlElement(name, className, text) {
    const element = document.createElement(name);
    element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // ---- a chart: a figure with its two drawings

  function read(figure, data) {
    const json = JSON.parse(data.textContent);
    const courses = json.xs.map((xs) =>
      Array.isArray(xs) ? xs : Array.from({ length: xs.count }, (_, index) => xs.first + index * xs.step));
    // Times are in seconds, whatever unit the axis shows.
    const inUnit = (plot, xs) => xs.map((x) => x / json.plots[plot].x.size);
    const series = json.series.map((one) => ({ ...one, x: inUnit(one.plot, courses[one.x]) }));
    const chart = { figure, names: json.names, series, hidden: new Set(), sheets: [], box: data.parentElement };
    chart.box.querySelectorAll("svg").forEach((svg, index) => {
      const plots = json.plots.map((plot, number) => {
        const [left, right, top, bottom] = json.edges[index][number];
        return { ...plot, left, right, top, bottom, number };
      });
      chart.sheets.push({ svg, plots, chart, originals: new Map(), isReady: false });
    });
    return chart;
  }

  const current = (chart) => chart.sheets.find((sheet) => getComputedStyle(sheet.svg).display !== "none");

  // What a drawing needs besides what it shows: areas for the pointer, cursors, and buttons in its key.
  function prepare(sheet) {
    if (sheet.isReady) return;
    sheet.isReady = true;
    const { svg, plots, chart } = sheet;
    // A picture has no parts to use; this has.
    svg.setAttribute("role", "group");
    for (const plot of plots) {
      const size = { x: plot.left, y: plot.top, width: plot.right - plot.left, height: plot.bottom - plot.top };
      const line = { class: OWN + " cursor", x1: 0, x2: 0, y1: plot.top, y2: plot.bottom, visibility: "hidden" };
      plot.cursor = svg.appendChild(svgElement(svg, "line", line));
      plot.dots = svg.appendChild(svgElement(svg, "g", { class: OWN }));
      plot.range = svg.appendChild(svgElement(svg, "rect", { ...size, class: OWN + " range", visibility: "hidden" }));
      plot.area = svg.appendChild(svgElement(svg, "rect", {
        ...size, class: OWN + " area", tabindex: 0, role: "application",
        "aria-label": `${plot.title}: values. Left and right move the cursor, plus and minus zoom, Escape shows all.`,
      }));
      listen(sheet, plot);
    }
    for (const key of svg.querySelectorAll("g.key")) makeButton(sheet, key);
    drawSeries(chart);
  }

  function makeButton(sheet, key) {
    const number = Number(key.dataset.series);
    const name = sheet.chart.names[number];
    const box = key.getBBox();
    const grown = { x: box.x - 8, y: box.y - 6, width: box.width + 16, height: box.height + 12 };
    key.appendChild(svgElement(sheet.svg, "rect", { ...grown, class: OWN + " hit" }));
    for (const [attribute, value] of [["role", "button"], ["tabindex", 0], ["aria-label", name]]) {
      key.setAttribute(attribute, value);
    }
    const toggle = () => {
      const { hidden } = sheet.chart;
      if (!hidden.delete(number)) hidden.add(number);
      drawSeries(sheet.chart);
      drawAll();
    };
    key.addEventListener("click", toggle);
    key.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle();
    });
  }

  function drawSeries(chart) {
    for (const { svg } of chart.sheets) {
      for (const group of svg.querySelectorAll("g.series")) {
        group.style.display = chart.hidden.has(Number(group.dataset.series)) ? "none" : "";
      }
      for (const key of svg.querySelectorAll("g.key")) {
        const isHidden = chart.hidden.has(Number(key.dataset.series));
        key.setAttribute("aria-pressed", String(!isHidden));
        key.classList.toggle("off", isHidden);
      }
    }
  }

  // ---- pointer and keyboard

  function listen(sheet, plot) {
    const { area } = plot;
    let start = null;
    const at = (event) => {
      const box = sheet.svg.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * sheet.svg.viewBox.baseVal.width;
    };
    area.addEventListener("pointerdown", (event) => {
      // A second finger is not a second drag.
      if (event.button !== 0 || start) return;
      start = { pointer: event.pointerId, screen: event.clientX, value: valueAt(plot, at(event)) };
      area.setPointerCapture(event.pointerId);
      moveCursor(sheet, plot, start.value);
    });
    area.addEventListener("pointermove", (event) => {
      if (start && event.pointerId !== start.pointer) return;
      const value = valueAt(plot, at(event));
      moveCursor(sheet, plot, value);
      const isDrag = start && Math.abs(event.clientX - start.screen) >= SHORTEST_DRAG;
      drawRange(plot, isDrag ? [start.value, value] : null);
    });
    const end = (event) => {
      if (!start || event.pointerId !== start.pointer) return;
      const [from, to] = [start.value, valueAt(plot, at(event))].sort((a, b) => a - b);
      const isDrag = Math.abs(event.clientX - start.screen) >= SHORTEST_DRAG;
      start = null;
      drawRange(plot, null);
      if (isDrag && event.type === "pointerup") zoom(plot, [from, to]);
    };
    area.addEventListener("pointerup", end);
    area.addEventListener("pointercancel", end);
    // Without it a drag whose end went elsewhere would never end.
    area.addEventListener("lostpointercapture", end);
    area.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !start) moveCursor(sheet, plot, null);
    });
    area.addEventListener("dblclick", () => zoom(plot, null));
    area.addEventListener("keydown", (event) => press(sheet, plot, event));
    area.addEventListener("blur", () => moveCursor(sheet, plot, null));
  }

  function press(sheet, plot, event) {
    const [from, to] = shown(plot);
    const here = cursors.get(plot.axis);
    const value = here ? here.value : (from + to) / 2;
    const xs = (sheet.chart.series.find((one) => one.plot === plot.number) || { x: [from, to] }).x;
    const step = (points) => {
      const next = xs[clamp(nearest(xs, value) + points, 0, xs.length - 1)];
      return clamp(next, from, to);
    };
    const far = event.shiftKey ? 10 : 1;
    const close = (factor) => [value - (value - from) * factor, value + (to - value) * factor];
    const actions = {
      ArrowLeft: () => moveCursor(sheet, plot, step(-far)),
      ArrowRight: () => moveCursor(sheet, plot, step(far)),
      Home: () => moveCursor(sheet, plot, from),
      End: () => moveCursor(sheet, plot, to),
      "+": () => zoom(plot, close(0.5)),
      "=": () => zoom(plot, close(0.5)),
      "-": () => zoom(plot, close(2)),
      Escape: zooms.has(plot.axis) ? () => zoom(plot, null) : here && (() => moveCursor(sheet, plot, null)),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    // Escape elsewhere on the page resets all axes.
    event.stopPropagation();
    actions[event.key]();
  }

  function moveCursor(sheet, plot, value) {
    if (value === null) cursors.delete(plot.axis);
    else cursors.set(plot.axis, { value, chart: sheet.chart, number: plot.number });
    drawCursors();
  }

  function drawRange(plot, values) {
    plot.range.setAttribute("visibility", values ? "visible" : "hidden");
    if (!values) return;
    const [from, to] = values.map((value) => placeOf(plot, value)).sort((a, b) => a - b);
    plot.range.setAttribute("x", from);
    plot.range.setAttribute("width", to - from);
  }

  // ---- zoom

  function zoom(plot, range) {
    const whole = plot.x.to - plot.x.from;
    if (range) {
      const middle = (range[0] + range[1]) / 2;
      const half = Math.max(range[1] - range[0], whole * CLOSEST) / 2;
      const [from, to] = [Math.max(middle - half, plot.x.from), Math.min(middle + half, plot.x.to)];
      if (to - from >= whole * 0.999) zooms.delete(plot.axis);
      else zooms.set(plot.axis, [from, to]);
    } else {
      zooms.delete(plot.axis);
    }
    drawAll();
  }

  function drawZoom(sheet) {
    for (const plot of sheet.plots) {
      const range = zooms.get(plot.axis);
      const key = range ? range.join() : "";
      if ((plot.drawn || "") === key) continue;
      plot.drawn = key;
      const groups = sheet.svg.querySelectorAll(
        `g.series[data-plot="${plot.number}"], g.moving[data-plot="${plot.number}"]`);
      for (const group of groups) {
        const anchor = anchorOf(sheet, group);
        for (const shape of group.children) moveShape(sheet, plot, shape, anchor, Boolean(range));
      }
      drawTicks(sheet, plot, range);
    }
  }

  // What a shape looks like when all of the axis is shown.
  function original(sheet, shape) {
    let known = sheet.originals.get(shape);
    if (!known) {
      known = {};
      for (const name of ["points", "x", "width", "cx", "x1", "x2"]) {
        if (shape.hasAttribute(name)) known[name] = shape.getAttribute(name);
      }
      if (known.points) known.pairs = known.points.trim().split(/\s+/).map((pair) => pair.split(",").map(Number));
      sheet.originals.set(shape, known);
    }
    return known;
  }

  // Where the first shape of a group is: its text keeps its distance from it.
  function anchorOf(sheet, group) {
    for (const shape of group.children) {
      const { pairs, x } = original(sheet, shape);
      if (pairs) return pairs[0][0];
      if (shape.localName === "rect") return Number(x);
    }
    return null;
  }

  function moveShape(sheet, plot, shape, anchor, isZoomed) {
    const known = original(sheet, shape);
    shape.style.visibility = "";
    if (!isZoomed) {
      for (const [name, value] of Object.entries(known)) {
        if (name !== "pairs") shape.setAttribute(name, value);
      }
      shape.removeAttribute("clip-path");
      return;
    }
    const whole = (x) => plot.x.from + ((x - plot.left) / (plot.right - plot.left)) * (plot.x.to - plot.x.from);
    const moved = (x) => Math.round(clamp(placeOf(plot, whole(x)), -1e6, 1e6) * 10) / 10;
    if (shape.localName === "text") {
      const x = Number(known.x);
      const isCentred = shape.getAttribute("text-anchor") === "middle" || anchor === null;
      const place = moved(isCentred ? x : anchor);
      shape.setAttribute("x", isCentred ? place : place + x - anchor);
      const isInside = place >= plot.left - 1 && place <= plot.right + 1;
      shape.style.visibility = isInside ? "" : "hidden";
      return;
    }
    if (known.pairs) {
      shape.setAttribute("points", known.pairs.map(([x, y]) => `${moved(x)},${y}`).join(" "));
    } else if (known.cx) {
      shape.setAttribute("cx", moved(Number(known.cx)));
    } else if (known.x && known.width) {
      const [from, to] = [Number(known.x), Number(known.x) + Number(known.width)].map(moved);
      shape.setAttribute("x", from);
      shape.setAttribute("width", Math.max(to - from, 0));
    }
    shape.setAttribute("clip-path", "url(#" + clip(sheet, plot) + ")");
  }

  // The strip of the drawing in which the plot is; what stands above a plot moves with it.
  function clip(sheet, plot) {
    if (!plot.clip) {
      plot.clip = ["clip", charts.indexOf(sheet.chart), sheet.chart.sheets.indexOf(sheet), plot.number].join("-");
      const strip = { x: plot.left, y: 0, width: plot.right - plot.left, height: sheet.svg.viewBox.baseVal.height };
      const path = svgElement(sheet.svg, "clipPath", { id: plot.clip, class: OWN });
      path.appendChild(svgElement(sheet.svg, "rect", strip));
      sheet.svg.appendChild(path);
    }
    return plot.clip;
  }

  function drawTicks(sheet, plot, range) {
    const group = sheet.svg.querySelector(`g.ticks[data-plot="${plot.number}"]`);
    if (!group) return;
    if (plot.ticks) plot.ticks.remove();
    plot.ticks = null;
    group.style.display = range ? "none" : "";
    if (!range) return;
    plot.ticks = svgElement(sheet.svg, "g", { class: OWN + " ticks-of-zoom" });
    const [line, label] = [group.querySelector("polyline"), group.querySelector("text")];
    const most = Math.max(3, Math.round((plot.right - plot.left) / (sheet.svg.viewBox.baseVal.width * 0.085)));
    for (const [value, text] of ticks(plot.x, ...shown(plot), most)) {
      const x = placeOf(plot, value).toFixed(1);
      if (line) {
        const copy = line.cloneNode(false);
        copy.setAttribute("points", `${x},${plot.top} ${x},${plot.bottom}`);
        plot.ticks.appendChild(copy);
      }
      if (label) {
        const copy = label.cloneNode(false);
        copy.setAttribute("x", x);
        copy.textContent = text;
        plot.ticks.appendChild(copy);
      }
    }
    group.before(plot.ticks);
  }

  // ---- cursor and values

  function drawCursors() {
    for (const chart of charts) {
      const sheet = current(chart);
      let told = null;
      for (const plot of sheet ? sheet.plots : []) {
        const cursor = cursors.get(plot.axis);
        drawCursor(sheet, plot, cursor);
        if (cursor && cursor.chart === chart && cursor.number === plot.number) told = { plot, cursor };
      }
      drawTip(chart, sheet, told);
    }
  }

  function drawCursor(sheet, plot, cursor) {
    if (!plot.cursor) return;
    const isShown = Boolean(cursor) && cursor.value >= shown(plot)[0] && cursor.value <= shown(plot)[1];
    plot.cursor.setAttribute("visibility", isShown ? "visible" : "hidden");
    plot.dots.replaceChildren();
    if (!isShown) return;
    const x = placeOf(plot, cursor.value);
    plot.cursor.setAttribute("x1", x);
    plot.cursor.setAttribute("x2", x);
    for (const one of readings(sheet.chart, plot)) {
      const index = nearest(one.x, cursor.value);
      const at = placeOf(plot, one.x[index]);
      // The height of a layer is not where it is, so layers and ranges have no dot.
      if (one.to || one.layer || one.y[index] === null || at < plot.left - 1 || at > plot.right + 1) continue;
      const y = plot.bottom - share(plot.y, one.y[index]) * (plot.bottom - plot.top);
      const radius = sheet.svg.viewBox.baseVal.width / (sheet.svg.classList.contains("narrow") ? 130 : 240);
      plot.dots.appendChild(svgElement(sheet.svg, "circle", { cx: at, cy: y, r: radius, fill: one.colour }));
    }
  }

  // The series of a plot that are not hidden.
  const readings = (chart, plot) =>
    chart.series.filter((one) => one.plot === plot.number && !chart.hidden.has(one.name));

  // The values at the cursor, beside it.
  function drawTip(chart, sheet, told) {
    if (!chart.tip) {
      chart.tip = chart.box.appendChild(htmlElement("div", OWN + " tip"));
      chart.tip.setAttribute("role", "status");
    }
    const { tip } = chart;
    tip.hidden = !told;
    if (!told) return;
    const { plot, cursor } = told;
    const all = readings(chart, plot);
    const xs = all.length ? all[0].x : [cursor.value];
    const place = nearest(xs, cursor.value);
    const moment = withUnit(xs[place], plot.x.unit, digitsOf(xs, place));
    const name = plot.axis === "time" ? "at " : "";
    const rows = [htmlElement("strong", "", (sheet.plots.length > 1 ? plot.title + " " : "") + name + moment)];
    for (const one of all) {
      const index = nearest(one.x, cursor.value);
      const row = htmlElement("span", "row");
      const swatch = svgElement(sheet.svg, "svg", { class: "backpressure-chart swatch", viewBox: "0 0 10 10" });
      swatch.appendChild(svgElement(sheet.svg, "rect", { width: 10, height: 10, fill: one.colour }));
      const value = one.y[index] === null ? "none" : withUnit(one.y[index], plot.y.unit);
      const low = plot.y.unit === " s" || one.y[index] === null ? value : written(one.y[index]);
      const text = one.to ? `${low} to ${withUnit(one.to[index], plot.y.unit)}` : value;
      row.append(swatch, htmlElement("span", "name", chart.names[one.name]), htmlElement("b", "", text));
      rows.push(row);
    }
    tip.replaceChildren(...rows);
    const box = sheet.svg.getBoundingClientRect();
    const outer = chart.box.getBoundingClientRect();
    const scale = box.width / sheet.svg.viewBox.baseVal.width;
    // On a phone beside the cursor would be on the line: the values stand below the chart.
    tip.classList.toggle("below", sheet.svg.classList.contains("narrow"));
    if (tip.classList.contains("below")) {
      tip.style.left = "0";
      tip.style.top = box.bottom - outer.top + "px";
      return;
    }
    const x = box.left - outer.left + placeOf(plot, cursor.value) * scale;
    const isRight = x + 14 + tip.offsetWidth > outer.width;
    tip.style.left = clamp(isRight ? x - 14 - tip.offsetWidth : x + 14, 0, Math.max(outer.width - tip.offsetWidth, 0)) + "px";
    tip.style.top = box.top - outer.top + plot.top * scale + 8 + "px";
  }

  function drawButton(chart) {
    const isZoomed = chart.sheets[0].plots.some((plot) => zooms.has(plot.axis));
    if (!chart.button && isZoomed) {
      chart.button = htmlElement("button", OWN + " reset", "Reset zoom");
      chart.button.type = "button";
      chart.button.addEventListener("click", () => {
        for (const plot of chart.sheets[0].plots) zooms.delete(plot.axis);
        drawAll();
      });
      chart.box.append(chart.button);
    }
    if (chart.button) chart.button.hidden = !isZoomed;
  }

  function drawAll() {
    for (const chart of charts) {
      const sheet = current(chart);
      if (sheet) {
        prepare(sheet);
        drawZoom(sheet);
      }
      drawButton(chart);
    }
    drawCursors();
  }

  // On paper all of every chart is shown.
  let kept = null;
  function print(isPrinting) {
    if (isPrinting === (kept !== null)) return;
    if (isPrinting) {
      kept = { zooms: [...zooms], hidden: charts.map((chart) => chart.hidden) };
      zooms.clear();
      cursors.clear();
      for (const chart of charts) chart.hidden = new Set();
    } else {
      for (const [axis, range] of kept.zooms) zooms.set(axis, range);
      charts.forEach((chart, index) => (chart.hidden = kept.hidden[index]));
      kept = null;
    }
    charts.forEach(drawSeries);
    for (const chart of charts) chart.sheets.forEach((sheet) => sheet.isReady && drawZoom(sheet));
    drawAll();
  }

  for (const data of document.querySelectorAll('figure script[type="application/json"]')) {
    charts.push(read(data.closest("figure"), data));
  }
  drawAll();
  addEventListener("resize", drawAll);
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || zooms.size === 0) return;
    zooms.clear();
    drawAll();
  });
  const paper = matchMedia("print");
  paper.addEventListener("change", (event) => print(event.matches));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();

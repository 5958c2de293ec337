// Opens the pages of reports in a headless Chromium and uses them as a reader does: hover, keyboard, drag, key, touch, paper, no
// script, phones and large screens, light and dark. `tests/pages/run` makes the pages.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import puppeteer from "puppeteer-core";

const [folder, pictures] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM
  || ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) => fs.existsSync(file));
assert(executablePath, "no Chromium: set CHROMIUM to its path");
const KINDS = ["run", "faults", "compare", "sweep", "plan", "limit"];
const WIDTHS = [390, 1280, 2560];
// Smaller letters cannot be read on a phone, in pixels.
const SMALLEST_LETTERS = 8.9;

const browser = await puppeteer.launch({
  executablePath,
  headless: true,
  pipe: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"],
});

let checks = 0;
function check(condition, message) {
  checks += 1;
  assert(condition, message);
}

// A page with what went wrong on it: errors, and whatever it asked the network for.
async function open(kind, { width = 1280, scheme = "light", script = true, touch = false } = {}) {
  const page = await browser.newPage();
  const file = "file://" + path.resolve(folder, kind, "report.html");
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && wrong.push(message.text()));
  page.on("request", (request) => request.url() !== file && wrong.push("asks for " + request.url()));
  await page.setJavaScriptEnabled(script);
  await page.setViewport({ width, height: 900, hasTouch: touch });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(file);
  return { page, done: async () => { assert.deepEqual(wrong, [], kind); await page.close(); } };
}

// ---- what stands where

async function looks(kind, width, scheme) {
  const { page, done } = await open(kind, { width, scheme });
  const found = await page.evaluate(() => {
    const shown = (element) => getComputedStyle(element).display !== "none";
    const charts = [...document.querySelectorAll("figure .chart > svg")].filter(shown);
    const cut = [];
    let smallest = Infinity;
    for (const svg of charts) {
      const paper = svg.getBoundingClientRect();
      const scale = paper.width / svg.viewBox.baseVal.width;
      if (paper.left < 0 || paper.right > innerWidth + 0.5) cut.push("a chart");
      for (const text of svg.querySelectorAll("text")) {
        const box = text.getBoundingClientRect();
        const isOut = box.left < paper.left - 1 || box.right > paper.right + 1 || box.bottom > paper.bottom + 1;
        if (isOut) cut.push(`${text.textContent.trim()} in ${svg.querySelector("title").textContent}`);
        smallest = Math.min(smallest, parseFloat(getComputedStyle(text).fontSize) * scale);
      }
    }
    return { width: document.scrollingElement.scrollWidth, charts: charts.length, cut, smallest };
  });
  const where = `${kind} at ${width} px, ${scheme}`;
  check(found.width <= width, `${where}: ${found.width} px wide`);
  check(found.charts > 0, `${where}: no chart`);
  assert.deepEqual(found.cut, [], `${where}: cut`);
  check(found.smallest >= SMALLEST_LETTERS, `${where}: letters of ${found.smallest} px`);
  if (pictures) await page.screenshot({ path: path.join(pictures, `${kind}-${width}-${scheme}.png`), fullPage: true });
  await done();
}

// Labels of one drawing that lie on one another.
async function overlaps(kind, width) {
  const { page, done } = await open(kind, { width });
  const found = await page.evaluate(() => {
    const all = [];
    for (const svg of document.querySelectorAll("figure .chart > svg")) {
      if (getComputedStyle(svg).display === "none") continue;
      const texts = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
      texts.forEach(([text, a], index) => texts.slice(index + 1).forEach(([other, b]) => {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > Math.min(a.height, b.height) * 0.45) {
          all.push(`${svg.querySelector("title").textContent}: "${text.textContent.trim()}" and "${other.textContent.trim()}"`);
        }
      }));
    }
    return all;
  });
  assert.deepEqual(found, [], `${kind} at ${width} px: labels on one another`);
  checks += 1;
  await done();
}

// ---- use

// The column of a table in a file of the report, by name.
function column(kind, name) {
  const lines = fs.readFileSync(path.join(folder, kind, "timeseries.csv"), "utf8").trim().split("\n");
  const index = lines[0].split(",").indexOf(name);
  assert(index >= 0, `timeseries.csv has no ${name}`);
  return lines.slice(1).map((line) => Number(line.split(",")[index]));
}

const number = (text) => Number(text.replace(/[\s\u00a0]/g, "").replace("\u2212", "-").match(/^-?[\d.]+/)[0]);

function isNear(shown, exact, message) {
  check(Math.abs(shown - exact) <= Math.abs(exact) * 6e-4 + 1e-9, `${message}: ${shown} instead of ${exact}`);
}

// The plot areas that can be seen, in pixels of the page, with the axis ticks below them.
const areas = (page) => page.evaluate(() => [...document.querySelectorAll(".chart .area")]
  .filter((area) => area.getBoundingClientRect().width > 0)
  .map((area) => {
    const { left, right, top, bottom } = area.getBoundingClientRect();
    return { left, right, top: top + scrollY, bottom: bottom + scrollY, figure: area.closest("figure").id };
  }));

const tip = (page, figure) => page.evaluate((figure) => {
  const tip = document.querySelector(`#${figure} .tip`);
  if (!tip || tip.hidden) return null;
  const rows = [...tip.querySelectorAll(".row")].map((row) => [row.querySelector(".name").textContent, row.querySelector("b").textContent]);
  return { head: tip.querySelector("strong").textContent, rows: Object.fromEntries(rows) };
}, figure);

const cursors = (page) => page.evaluate(() => [...document.querySelectorAll(".chart .cursor")]
  .filter((line) => line.getBoundingClientRect().height > 0)
  .map((line) => (line.getAttribute("visibility") === "visible" ? line.getBoundingClientRect().left : null)));

// The numbers below each plot over time of a run's page, with their places in pixels.
const timeTicks = (page) => page.evaluate(() => [...document.querySelectorAll(".chart > svg")]
  .filter((svg) => getComputedStyle(svg).display !== "none" && svg.querySelector(".area"))
  .map((svg) => {
    const groups = [...svg.querySelectorAll("g.ticks, g.ticks-of-zoom")].filter((group) => getComputedStyle(group).display !== "none");
    return groups.flatMap((group) => [...group.querySelectorAll("text")]).map((text) => {
      const box = text.getBoundingClientRect();
      return [text.textContent.trim(), Math.round(box.left + box.width / 2)];
    });
  }));

async function scrollTo(page, area) {
  await page.evaluate((top) => scrollTo(0, top - 150), area.top);
  return page.evaluate(() => scrollY);
}

// Moves the mouse to a share of a plot's width.
async function hover(page, area, share) {
  const scrolled = await scrollTo(page, area);
  await page.mouse.move(area.left + (area.right - area.left) * share, (area.top + area.bottom) / 2 - scrolled);
}

async function drag(page, area, from, to) {
  await hover(page, area, from);
  await page.mouse.down();
  await hover(page, area, (from + to) / 2);
  await hover(page, area, to);
  await page.mouse.up();
}

async function use(width) {
  const { page, done } = await open("run", { width });
  const all = await areas(page);
  const time = all.filter((area) => area.figure !== "recovery");
  check(time.length >= 8, `${time.length} plots over time`);
  const edges = new Set(time.map((area) => `${Math.round(area.left)}-${Math.round(area.right)}`));
  assert.equal(edges.size, 1, "all plots over time have the same edges");
  const depth = time.find((area) => area.figure === "depth");
  const seconds = column("run", "time_seconds");
  const horizon = seconds.at(-1);

  // Hover: the value is that of the file, and the cursor is at the same place everywhere.
  for (const at of [30, 90, 101, 240]) {
    await hover(page, depth, at / horizon);
    const shown = await tip(page, "depth");
    const index = seconds.indexOf(at);
    check(shown.head.includes(`${at} s`), `${shown.head} at ${at} s`);
    isNear(number(shown.rows.median), column("run", "depth_p50_jobs")[index], `median depth at ${at} s`);
    isNear(number(shown.rows["highest within the step, any replication"]), column("run", "depth_max_jobs")[index], "highest depth");
    const [low, high] = shown.rows["5–95 % of replications"].split(" to ");
    isNear(number(low), column("run", "depth_p05_jobs")[index], "5th percentile");
    isNear(number(high), column("run", "depth_p95_jobs")[index], "95th percentile");
    check(shown.rows.median.endsWith("jobs"), shown.rows.median);
    const places = await cursors(page);
    check(places.length === time.length && new Set(places.map(Math.round)).size === 1, `cursors at ${places}`);
  }
  const utilisation = time.find((area) => area.figure === "utilisation");
  await hover(page, utilisation, 30 / horizon);
  isNear(number((await tip(page, "utilisation")).rows.workers) / 100, column("run", "worker_utilisation")[seconds.indexOf(30)], "utilisation");
  await page.mouse.move(2, 2);
  check((await tip(page, "utilisation")) === null && (await cursors(page)).every((place) => place === null), "a cursor stays");

  // Drag: all plots show that part, with numbers where they belong.
  const whole = await timeTicks(page);
  await drag(page, depth, 60 / horizon, 120 / horizon);
  const zoomed = await timeTicks(page);
  for (const ticks of zoomed) {
    check(ticks.length >= 3, `${ticks.length} ticks`);
    for (const [text, place] of ticks) {
      const exact = depth.left + ((Number(text) - 60) / 60) * (depth.right - depth.left);
      check(Number(text) >= 59 && Number(text) <= 121, `a tick at ${text}`);
      check(Math.abs(place - exact) <= 2 + (depth.right - depth.left) / 300, `${text} at ${place} instead of ${exact}`);
    }
  }
  await hover(page, depth, 0.5);
  const middle = await tip(page, "depth");
  const moment = number(middle.head.replace("at ", ""));
  check(Math.abs(moment - 90) <= 1.5, `the middle is ${middle.head}`);
  isNear(number(middle.rows.median), column("run", "depth_p50_jobs")[seconds.indexOf(Math.round(moment))], "median after a zoom");
  // The line is where its value is: the point of the line at the cursor is as high as its dot.
  const off = await page.evaluate(() => {
    const svg = [...document.querySelectorAll("#depth .chart > svg")].find((one) => getComputedStyle(one).display !== "none");
    const dots = [...svg.querySelectorAll(".live circle")].map((dot) => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))]);
    const lines = [...svg.querySelectorAll("g.series polyline")].map((line) => line.getAttribute("points").trim().split(/\s+/).map((pair) => pair.split(",").map(Number)));
    return dots.map(([x, y]) => Math.min(...lines.map((points) => {
      const next = points.findIndex(([other]) => other >= x);
      if (next < 1) return Infinity;
      const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
      return Math.abs(y0 + ((x - x0) / (x1 - x0 || 1)) * (y1 - y0) - y);
    }))).reduce((one, other) => Math.max(one, other), 0) / svg.viewBox.baseVal.height;
  });
  check(off < 0.02, `a dot is ${off} of the height off its line`);

  // Three ways back.
  await page.click("#depth .reset");
  assert.deepEqual(await timeTicks(page), whole, "the button resets the zoom");
  await drag(page, utilisation, 0.2, 0.4);
  check(JSON.stringify(await timeTicks(page)) !== JSON.stringify(whole), "a drag on any plot zooms");
  await page.keyboard.press("Escape");
  assert.deepEqual(await timeTicks(page), whole, "Escape resets the zoom");
  await drag(page, depth, 0.2, 0.4);
  await hover(page, depth, 0.5);
  const scrolled = await scrollTo(page, depth);
  await page.mouse.click((depth.left + depth.right) / 2, (depth.top + depth.bottom) / 2 - scrolled, { count: 2 });
  assert.deepEqual(await timeTicks(page), whole, "a double click resets the zoom");
  checks += 3;

  await keyboard(page, seconds);
  await keys(page, depth, horizon);
  await done();
}

async function keyboard(page, seconds) {
  await page.evaluate(() => [...document.querySelectorAll("#depth .area")].find((area) => area.getBoundingClientRect().width > 0).focus());
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  const first = await tip(page, "depth");
  await page.keyboard.press("ArrowRight");
  const second = await tip(page, "depth");
  const step = seconds[1] - seconds[0];
  isNear(number(second.head.slice(3)) - number(first.head.slice(3)), step, "one step to the right");
  await page.keyboard.down("Shift");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.up("Shift");
  isNear(number((await tip(page, "depth")).head.slice(3)) - number(second.head.slice(3)), 10 * step, "ten steps");
  await page.keyboard.press("+");
  check(await page.evaluate(() => document.querySelectorAll(".ticks-of-zoom").length > 0), "plus zooms");
  await page.keyboard.press("Escape");
  check(await page.evaluate(() => document.querySelectorAll(".ticks-of-zoom").length === 0), "Escape shows all");
}

// The entries of the key hide and show their series.
async function keys(page, depth, horizon) {
  const state = () => page.evaluate(() => {
    const svg = [...document.querySelectorAll("#depth .chart > svg")].find((one) => getComputedStyle(one).display !== "none");
    const key = [...svg.querySelectorAll("g.key")].find((one) => one.getAttribute("aria-label").startsWith("5–95"));
    const series = svg.querySelector(`g.series[data-series="${key.dataset.series}"]`);
    return { role: key.getAttribute("role"), pressed: key.getAttribute("aria-pressed"), display: getComputedStyle(series).display };
  });
  assert.deepEqual(await state(), { role: "button", pressed: "true", display: "inline" });
  const focus = () => page.evaluate(() => [...document.querySelectorAll("#depth g.key")]
    .find((one) => one.getBoundingClientRect().width > 0 && one.getAttribute("aria-label").startsWith("5–95")).focus());
  await focus();
  await page.keyboard.press("Enter");
  assert.deepEqual(await state(), { role: "button", pressed: "false", display: "none" });
  await hover(page, depth, 90 / horizon);
  check(!("5–95 % of replications" in (await tip(page, "depth")).rows), "a hidden series is still told");
  const handle = await page.evaluateHandle(() => [...document.querySelectorAll("#depth g.key")]
    .find((one) => one.getBoundingClientRect().width > 0 && one.getAttribute("aria-label").startsWith("5–95")));
  await handle.click();
  assert.deepEqual(await state(), { role: "button", pressed: "true", display: "inline" });
  checks += 3;
}

async function touch() {
  const { page, done } = await open("run", { width: 390, touch: true });
  const depth = (await areas(page)).find((area) => area.figure === "depth");
  const scrolled = await scrollTo(page, depth);
  await page.touchscreen.tap((depth.left + depth.right) / 2, (depth.top + depth.bottom) / 2 - scrolled);
  const shown = await tip(page, "depth");
  check(shown && shown.rows.median.endsWith("jobs"), "a tap shows the values");
  const cut = await page.evaluate(() => {
    const tip = document.querySelector("#depth .tip").getBoundingClientRect();
    const texts = [...document.querySelectorAll("#depth .tip b")].map((text) => text.getBoundingClientRect().right);
    return tip.left < 0 || tip.right > innerWidth || texts.some((right) => right > tip.right);
  });
  check(!cut, "the values at the cursor are cut");
  await done();
}

// A second finger on a chart neither moves the first drag nor ends it, and two fingers may zoom the page.
async function fingers() {
  const { page, done } = await open("run", { width: 1280 });
  const whole = await timeTicks(page);
  const depth = (await areas(page)).find((area) => area.figure === "depth");
  await scrollTo(page, depth);
  const send = (steps) => page.evaluate((steps) => {
    const area = [...document.querySelectorAll("#depth .area")].find((one) => one.getBoundingClientRect().width > 0);
    // Pointers that no hand has cannot be captured.
    area.setPointerCapture = () => {};
    const { left, top, width, height } = area.getBoundingClientRect();
    for (const [type, pointerId, share] of steps) {
      const place = { clientX: left + width * share, clientY: top + height / 2 };
      area.dispatchEvent(new PointerEvent(type, { pointerId, pointerType: "touch", button: 0, bubbles: true, ...place }));
    }
    return getComputedStyle(area).touchAction;
  }, steps);
  const allowed = await send([["pointerdown", 11, 0.2], ["pointerdown", 12, 0.8], ["pointermove", 12, 0.7], ["pointerup", 12, 0.7], ["pointerup", 11, 0.2]]);
  assert.deepEqual(await timeTicks(page), whole, "two fingers zoom by accident");
  assert.equal(allowed, "pan-y pinch-zoom");
  await send([["pointerdown", 11, 0.2], ["pointerdown", 12, 0.8], ["pointerup", 12, 0.8], ["pointermove", 11, 0.4], ["pointerup", 11, 0.4]]);
  const zoomed = (await timeTicks(page))[0].map(([text]) => Number(text));
  const horizon = column("run", "time_seconds").at(-1);
  check(Math.min(...zoomed) >= 0.2 * horizon - 1 && Math.max(...zoomed) <= 0.4 * horizon + 1, `the first finger zooms to ${zoomed}`);
  checks += 2;
  await done();
}

// Escape in a plot is for its axis; the next one, and one elsewhere, is for all.
async function axes() {
  const { page, done } = await open("plan");
  const all = await areas(page);
  const load = all.find((area) => area.figure === "load");
  const other = all.find((area) => area.figure !== "load");
  check(load && other, `a plan has two axes: ${all.map((area) => area.figure)}`);
  const zooms = () => page.evaluate(() => [...document.querySelectorAll("figure")]
    .filter((figure) => figure.querySelector(".ticks-of-zoom, .reset:not([hidden])")).map((figure) => figure.id));
  await drag(page, other, 0.2, 0.6);
  const before = await zooms();
  await drag(page, load, 0.2, 0.6);
  check((await zooms()).length > before.length, "both axes are zoomed");
  await page.keyboard.press("Escape");
  assert.deepEqual(await zooms(), before, "Escape in a plot resets its axis alone");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Escape");
  assert.deepEqual(await zooms(), [], "Escape on the page resets all");
  checks += 2;
  await done();
}

// The moment is written with the digits of its step, however late it is: the page of a run, moved by hours.
async function late() {
  const LATER = 12_300;
  const report = fs.readFileSync(path.join(folder, "run", "report.html"), "utf8");
  const moved = report.replace(/(<script type="application\/json">)(.*?)(<\/script>)/gs, (_, begin, text, end) => {
    const json = JSON.parse(text);
    for (const plot of json.plots) {
      if (plot.axis !== "time") continue;
      plot.x.from += LATER;
      plot.x.to += LATER;
    }
    json.xs = json.xs.map((xs) => (Array.isArray(xs) ? xs.map((x) => x + LATER) : { ...xs, first: xs.first + LATER }));
    return begin + JSON.stringify(json) + end;
  });
  assert(moved !== report, "the page has no data");
  fs.mkdirSync(path.join(folder, "late"), { recursive: true });
  fs.writeFileSync(path.join(folder, "late", "report.html"), moved);
  const { page, done } = await open("late");
  const depth = (await areas(page)).find((area) => area.figure === "depth");
  const seconds = column("run", "time_seconds");
  for (const at of [44, 45, 46]) {
    await hover(page, depth, at / seconds.at(-1));
    const { head } = await tip(page, "depth");
    check(head.replace(/\s/g, " ").endsWith(`at 12 ${LATER - 12_000 + at} s`), `${head} at ${LATER + at} s`);
  }
  await done();
}

// ---- without script, and on paper

// The page hears of its medium with the next frame.
async function on(page, medium) {
  await page.emulateMediaType(medium);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

const drawing = (page) => page.evaluate(() => [...document.querySelectorAll("figure .chart > svg")]
  .filter((svg) => getComputedStyle(svg).display !== "none").length);

// What a chart looks like, pixel by pixel.
async function picture(page, selector) {
  const clip = await page.evaluate((selector) => {
    const { left, top, width, height } = document.querySelector(selector).getBoundingClientRect();
    return { x: left + scrollX, y: top + scrollY, width, height };
  }, selector);
  return Buffer.from(await page.screenshot({ clip, captureBeyondViewport: true })).toString("base64");
}

async function still() {
  const figures = ["#depth .chart", "#rates .chart", "#waits .chart"];
  const plain = await open("run", { script: false });
  check((await drawing(plain.page)) >= 6, "charts without the script");
  const without = [];
  for (const figure of figures) without.push(await picture(plain.page, figure));
  await plain.done();
  const live = await open("run", {});
  for (const [index, figure] of figures.entries()) {
    check((await picture(live.page, figure)) === without[index], `${figure} looks different without the script`);
  }

  await on(live.page, "print");
  const paper = await picture(live.page, "#depth .chart");
  await on(live.page, "screen");
  const depth = (await areas(live.page)).find((area) => area.figure === "depth");
  await drag(live.page, depth, 0.2, 0.4);
  await live.page.evaluate(() => document.querySelector("#depth g.key").dispatchEvent(new MouseEvent("click", { bubbles: true })));
  await on(live.page, "print");
  check((await picture(live.page, "#depth .chart")) === paper, "a zoomed chart is not printed in full");
  await on(live.page, "screen");
  check(await live.page.evaluate(() => document.querySelectorAll(".ticks-of-zoom").length > 0), "the zoom is lost after printing");
  await live.done();
}

const begin = Date.now();
try {
  for (const kind of KINDS) {
    for (const width of WIDTHS) {
      for (const scheme of ["light", "dark"]) await looks(kind, width, scheme);
      await overlaps(kind, width);
    }
  }
  await use(1280);
  await use(390);
  await touch();
  await fingers();
  await axes();
  await late();
  await still();
} finally {
  await browser.close();
}
console.log(`${checks} checks of ${KINDS.length} pages in ${((Date.now() - begin) / 1000).toFixed(0)} s: all right`);

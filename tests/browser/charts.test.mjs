// Home's charts: outages, blocks and shares that were not accepted, and values that a finger can read. The past day is
// made up, since no test runs that long; the pages and the server are real.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { closePage, fits, openPage, scan, useDemo } from "./support.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const MINUTE = 60_000;

let browser;
let demo;
useDemo((...both) => ([browser, demo] = both));

/** The first minute with work. */
const FIRST = 135;

/**
 * A day with an outage of A from its 300th to its 420th minute, a short one of B, another pool in place A from minute 605
 * on with its payout address changed at 700, and a changed split. DPMP itself did not run before minute 120.
 */
function past(real) {
  const steps = Array.from({ length: real.time_share_a.length }, (_, i) => i);
  const of = (value) => steps.map((i) => (i < 120 ? null : value(i)));
  const isDown = (i) => i >= 300 && i < 420;
  return {
    ...real,
    hashrate: { A: of((i) => (i < FIRST || isDown(i) ? 0 : 0.7e12 + 1e10 * (i % 7))), B: of((i) => (i < FIRST ? 0 : isDown(i) ? 1e12 : 0.3e12)) },
    time_share_a: of((i) => (isDown(i) ? 0 : 0.7)),
    meant_share_a: of((i) => (i < 900 ? 0.7 : 0.6)),
    accepted: { A: of((i) => (isDown(i) ? 0 : 14)), B: of(() => 6) },
    rejected: { A: of((i) => (i % 200 < 30 ? 1 : 0)), B: of(() => 0) },
    refused: of((i) => (i % 500 < 20 ? 2 : 0)),
    down: { A: of((i) => (isDown(i) ? 1 : 0)), B: of((i) => (i === 1000 ? 0.2 : 0)) },
    courses: [[60, 905], [80, 903], [60, 900], [70, 850]].map(([A, at]) => ({ work: { A, B: 100 - A }, from_ms: real.start_ms + at * MINUTE })),
  };
}

async function home(options) {
  const page = await openPage(browser, demo.base, options);
  const { start_ms: start } = await demo.get("history?range=24h");
  await page.route(/\/api\/v1\/history\?range=24h/, async (route) => {
    const response = await route.fetch();
    return route.fulfill({ response, json: past(await response.json()) });
  });
  await page.route(/\/api\/v1\/status$/, async (route) => {
    const json = await (await route.fetch()).json();
    const { name } = json.pools.A;
    json.pools.A.former = [{ name, until_ms: start + 700 * MINUTE }, { name: "Old pool", until_ms: start + 605 * MINUTE }];
    return route.fulfill({ json });
  });
  await page.route(/\/api\/v1\/blocks$/, (route) => route.fulfill({ json: { blocks: [{ found_ms: start + 800 * MINUTE, worker: "garage", pool: "B" }] } }));
  await page.goto(demo.base);
  await page.getByRole("button", { name: "24 h" }).click();
  await page.locator(".outage rect").first().waitFor({ state: "attached" });
  return page;
}

const chart = (page, label) => page.getByRole("slider", { name: new RegExp(label) });
/** Where a minute of the day is in a chart. */
async function place(box, minute) {
  await box.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await box.boundingBox();
  return [x + 4 + ((width - 60) * (minute - FIRST)) / (1440 - FIRST), y + height / 2];
}

test("a finger shows the values, and they stay when it is lifted", async () => {
  const page = await home(PHONE);
  const rate = chart(page, "Hashrate of both pools");
  await page.touchscreen.tap(...(await place(rate, 360)));
  await page.getByText(/was down/).first().waitFor();
  assert.match(await rate.getAttribute("aria-valuetext"), /^[^;]+: 1\.00 TH\/s, of it .*; .* was down$/);
  await page.touchscreen.tap(...(await place(rate, 802)));
  await page.getByText("garage found a block").waitFor();
  assert.match(await rate.getAttribute("aria-valuetext"), /of it Simulated A/);
  const split = chart(page, "Split by time");
  await page.touchscreen.tap(...(await place(split, 602)));
  assert.match(await split.getAttribute("aria-valuetext"), /: Old pool 70%.*; Simulated A took the place of Old pool$/);
  await page.touchscreen.tap(...(await place(split, 701)));
  assert.match(await split.getAttribute("aria-valuetext"), /\d\d to \d\d:\d\d: Simulated A 70%, [^;]*$/);
  await page.touchscreen.tap(...(await place(split, 851)));
  assert.match(await split.getAttribute("aria-valuetext"), /; new split: 70:30$/);
  await page.touchscreen.tap(...(await place(split, 901)));
  assert.match(await split.getAttribute("aria-valuetext"), /; new split: 60:40 \(3 changes\)$/);
  await page.locator(".legend").getByText("Old pool, now Simulated A", { exact: true }).waitFor();
  const lost = chart(page, "Shares not accepted");
  await page.touchscreen.tap(...(await place(lost, 501)));
  assert.match(await lost.getAttribute("aria-valuetext"), /: 320 shares; not accepted by .* 0, by .* 0, by DPMP 20$/);
  await fits(page, "Home on a phone");
  await scan(page, "Home's charts on a phone");
  await closePage(page);
});

test("outages are bands, blocks are stars, and the past before the start is not drawn", async () => {
  const page = await home({ viewport: { width: 1280, height: 900 } });
  const svgs = page.locator(".history .chart-svg");
  assert.deepEqual(await svgs.evaluateAll((all) => all.map((svg) => [svg.querySelectorAll(".outage rect").length, svg.querySelectorAll(".mark").length])), [[2, 1], [2, 0], [2, 0]]);
  assert.deepEqual(await svgs.evaluateAll((all) => all.map((svg) => svg.querySelectorAll(".cut").length)), [5, 5, 5]);
  const bars = await svgs.first().locator(".outage rect").evaluateAll((all) => all.map(({ x, width }) => [x, width].map((it) => it.baseVal.value)));
  assert.equal(bars[1][1], 1, "a short outage is a thin line");
  // Bands, lines and points are at their time on the axis.
  const width = await svgs.first().evaluate((svg) => svg.clientWidth);
  const at = (minute) => 4 + ((width - 60) * (minute - FIRST)) / (1440 - FIRST);
  const cuts = await svgs.first().locator(".cut").evaluateAll((all) => all.map((it) => it.x1.baseVal.value));
  const [begin, ...points] = (await svgs.first().locator("path.line.a").first().getAttribute("d")).match(/[ML][\d.]+/g).map((it) => Number(it.slice(1)));
  const found = [bars[0][0], bars[0][0] + bars[0][1], bars[1][0], cuts[0], begin, points[0], points.at(-1)];
  const wanted = [300, 420, 1000.4, 605, FIRST, FIRST + 7.5, 1440].map(at);
  found.forEach((it, i) => assert.ok(Math.abs(it - wanted[i]) < 0.2, `${i}: ${it}, not ${wanted[i]}`));
  const rate = chart(page, "Hashrate of both pools");
  assert.equal(Number(await rate.getAttribute("aria-valuemax")) + 1, Math.ceil((1440 - FIRST) / 15));
  await rate.hover({ position: { x: 60, y: 60 } });
  assert.match(await rate.getAttribute("aria-valuetext"), /of it/);
  if (process.env.SCREENSHOTS) {
    mkdirSync(process.env.SCREENSHOTS, { recursive: true });
    for (const theme of ["light", "dark"]) {
      await page.evaluate((it) => (document.documentElement.dataset.theme = it), theme);
      await page.locator(".history").screenshot({ path: `${process.env.SCREENSHOTS}/charts-${theme}.png` });
    }
  }
  await closePage(page);
});

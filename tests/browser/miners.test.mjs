// The Miners page: the important columns fit without scrolling sideways, reasons are explained, and misleading names
// are pointed out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { closePage, fits, openPage, scan, until, useDemo } from "./support.mjs";

const SIZES = { 390: { viewport: { width: 390, height: 844 }, hasTouch: true }, 768: { viewport: { width: 768, height: 1024 } }, 1280: {}, 1920: { viewport: { width: 1920, height: 1080 } } };

let browser;
let demo;
useDemo((...both) => ([browser, demo] = both));

test("every important column is visible at every width", async () => {
  for (const [width, size] of Object.entries(SIZES)) {
    const page = await openPage(browser, demo.base, size);
    await page.goto(`${demo.base}/miners`);
    const row = page.getByRole("row").filter({ hasText: "nerdqaxe" });
    await row.waitFor();
    await fits(page, `Miners, ${width}`);
    const region = page.locator(".table-region");
    assert.ok(await region.evaluate((it) => it.scrollWidth <= it.clientWidth), `the table at ${width}`);
    const right = (await region.boundingBox()).x + (await region.boundingBox()).width;
    for (const name of ["worker", "pool", "work", "hashrate_5m", "last", "rejected", "accepted", "split"]) {
      const cell = await row.locator(`.col-${name}`).boundingBox();
      assert.ok(cell.width > 20 && cell.x + cell.width <= right + 1, `${name} at ${width}`);
    }
    await scan(page, `Miners, ${width}`);
    await closePage(page);
  }
});

test("a reason for rejections is explained next to it, with the pool's own words", async () => {
  for (const size of [SIZES[390], SIZES[1280]]) {
    const page = await openPage(browser, demo.base, size);
    const real = await demo.get("miners");
    const miners = real.miners.map((it) => ({ ...it, rejected: 3, rejected_by: { stale: 2, other: 1 } }));
    const rejects = [{ reason: "stale", count: 2, meaning: "These came late.", said: "Job not found" }, { reason: "other", count: 1, meaning: "See `x`.", said: null }];
    await page.route(/\/api\/v1\/miners$/, (route) => route.fulfill({ json: { ...real, miners, reasons: { stale: "These came late.", other: "Others." } } }));
    await page.route(/\/api\/v1\/miners\/\d+$/, (route) => route.fulfill({ json: { miner: miners[0], rejects, recent: [] } }));
    await page.goto(`${demo.base}/miners`);
    if (size === SIZES[1280]) assert.equal(await page.getByText("2 stale, 1 other").first().getAttribute("title"), "stale: These came late.\nother: Others.");
    await page.getByRole("button", { name: "bitaxe", exact: true }).click();
    const card = page.getByRole("region", { name: "Rejected shares" });
    await card.getByText("2 stale").waitFor();
    assert.match(await card.innerText(), /These came late\.\s+The pool said: “Job not found”\s+1 other\s+See x\.$/);
    await scan(page, "the reasons");
    await fits(page, "the reasons");
    await closePage(page);
  }
});

test("two miners with one name and a user without a dot are pointed out with advice", async () => {
  const real = await demo.get("miners");
  assert.deepEqual(real.hints, [], "the demo's miners have their own names");
  for (const size of [SIZES[390], SIZES[1280]]) {
    const page = await openPage(browser, demo.base, size);
    const hints = [{ kind: "shared_name", title: "Several miners have the same name: rig (2 miners)", text: "Give each its own." }];
    await page.route(/\/api\/v1\/miners$/, (route) => route.fulfill({ json: { ...real, hints } }));
    await page.goto(`${demo.base}/miners`);
    await page.getByText("Several miners have the same name: rig (2 miners)").waitFor();
    await page.getByText("Give each its own.").waitFor();
    await until("a single hint", async () => (await page.locator("main .notice").count()) === 1);
    await scan(page, "a hint");
    await closePage(page);
  }
});

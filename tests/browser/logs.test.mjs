// The Logs page: important events first, shares on request, and past days from the stored files.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { closePage, fits, openPage, scan, startBrowser, startDemo, startEmpty, until } from "./support.mjs";

const SIZES = [{}, { viewport: { width: 390, height: 844 }, hasTouch: true }];
const DAY = 86_400_000;

let browser;

before(async () => {
  browser = await startBrowser();
});

after(() => browser?.close());

test("important events come first; shares and switches appear on request", async () => {
  const demo = await startDemo();
  const page = await openPage(browser, demo.base);
  await page.goto(`${demo.base}/logs`);
  const names = () => page.locator(".log-event").allInnerTexts();
  const only = (wanted) => until(`events that are ${wanted}`, async () => (await names()).length > 0 && (await names()).every((name) => wanted.test(name)));
  await page.getByText(/fit/).first().waitFor();
  assert.ok(!(await names()).some((name) => /share_result|pool_switched|started/.test(name)), "no routine events");
  await page.getByRole("button", { name: "Events", exact: true }).click();
  await until("the current events", async () => (await names()).includes("miner_authorized"));
  assert.ok(!(await names()).some((name) => /share_result|pool_switched|job_/.test(name)));
  await page.getByRole("button", { name: "All", exact: true }).click();
  await until("shares", async () => (await names()).includes("share_result"));
  await page.getByLabel("Text in the event").fill("share_result");
  await only(/^share_result$/);
  await closePage(page);
  await demo.stop();
});

test("ends of problems are important, and rows stand in the order of time", async () => {
  const program = await startEmpty();
  const at = (seconds) => new Date(Date.now() - 3_600_000 + seconds * 1000).toISOString();
  const fake = (seconds, level, event, text) => ({ seq: seconds, text, event: { ts: at(seconds), level, event } });
  const first = [fake(10, "warn", "trouble_began", "CKPool is down"), fake(40, "info", "pool_up", "CKPool works"), fake(41, "info", "trouble_over", "Over: CKPool is down")];
  // It stands for several wrong passwords and was written a minute after the last of them.
  const late = [fake(50, "warn", "config_warning", "About the configuration"), fake(20, "warn", "login_refused", "Someone entered a wrong password (5 times)")];
  const page = await openPage(browser, program.base);
  // The clock is set back by almost an hour.
  const back = [fake(-3000, "warn", "trouble_began", "CKPool is down again"), fake(-2990, "info", "trouble_over", "Over: CKPool is down again")];
  const parts = [first, late, back];
  let answers = 0;
  let setBack;
  const isSetBack = new Promise((resolve) => (setBack = resolve));
  await page.route("**/api/v1/events?**", async (route) => {
    const events = parts[answers++];
    if (!events) return;
    if (events === back) await isSetBack;
    await route.fulfill({ json: { events, next: answers, missed: 0 } });
  });
  await page.goto(`${program.base}/logs`);
  const texts = () => page.locator(".log-text").allInnerTexts();
  const expected = ["About the configuration", "Over: CKPool is down", "Someone entered a wrong password (5 times)", "CKPool is down"];
  await until("the rows", async () => String(await texts()) === String(expected));
  await page.getByRole("button", { name: "Events", exact: true }).click();
  await until("all rows", async () => String(await texts()) === String(expected.toSpliced(2, 0, "CKPool works")));
  setBack();
  const newest = ["Over: CKPool is down again", "CKPool is down again"];
  await until("the new rows above", async () => String(await texts()) === String([...newest, ...expected.toSpliced(2, 0, "CKPool works")]));
  await page.getByRole("button", { name: "Important", exact: true }).click();
  await until("the same order", async () => String(await texts()) === String([...newest, ...expected]));
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await closePage(page);
  await program.stop();
});

test("past days can be read from the files, even from an earlier run or compressed", async () => {
  const program = await startEmpty();
  const noon = new Date();
  noon.setUTCHours(12, 0, 0, 0);
  const day = (back) => new Date(noon - back * DAY).toISOString().slice(0, 10);
  const line = (back, i, event, level) => JSON.stringify({ ts: new Date(noon - back * DAY + i * 1000).toISOString(), level, event, pool: "A", reason: `reason ${i}`, worker: `rig${i % 3}` });
  const lines = (back, count) => Array.from({ length: count }, (_, i) => [line(back, i, "pool_down", "warn"), line(back, i, "share_result", "info")]).flat();
  const write = (name, content) => writeFileSync(join(program.folder, "logs", name), content);
  mkdirSync(join(program.folder, "logs"), { recursive: true });
  write("dpmp_r00000.log.gz", gzipSync(lines(3, 20).join("\n") + "\n"));
  write("dpmp_r00001.log", [...lines(2, 450), "no event", ...lines(1, 3)].join("\n") + "\n");
  for (const size of SIZES) {
    const page = await openPage(browser, program.base, size);
    await page.goto(`${program.base}/logs`);
    const rows = page.locator(".log li");
    const rowsAre = (count) => until(`${count} rows`, async () => (await rows.count()) === count);
    const more = (name) => page.getByRole("button", { name });
    await more("Read the log files").click();
    await page.getByText(/No event of this day fits|^\d+ events/).waitFor();
    assert.equal(await page.getByLabel("Day").inputValue(), day(0));
    await more("Show the day before").click();
    await rowsAre(3);
    await more("Show the day before").click();
    await rowsAre(200);
    assert.match(await rows.first().innerText(), /12:07:29[\s\S]*reason 449/);
    await more("Show older events").click();
    await rowsAre(400);
    await more("Show older events").click();
    await rowsAre(450);
    await fits(page, "a past day");
    await scan(page, "a past day");
    await page.getByLabel("Text in the event").fill("REASON 44");
    await rowsAre(11);
    await page.getByRole("button", { name: "All", exact: true }).click();
    await rowsAre(22);
    await page.getByLabel("Day").fill(day(3));
    await page.getByLabel("Text in the event").fill("rig1");
    await rowsAre(14);
    await until("the end of the files", async () => !(await page.getByRole("button", { name: /Show (older|the day)/ }).isVisible()));
    await page.getByRole("button", { name: "Live" }).click();
    await page.getByLabel("Text in the event").fill("");
    await page.getByText("DPMP 0").first().waitFor();
    assert.equal(await page.getByLabel("Day").inputValue(), "");
    await closePage(page);
  }
  await program.stop();
});

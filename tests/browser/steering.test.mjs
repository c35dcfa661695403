// Steering the work from the pages: temporary changes, own settings, groups, the timetable and the balance. With a
// mouse, a keyboard and a finger, against the real program.
import assert from "node:assert/strict";
import { test } from "node:test";
import { closePage, fits, openPage, scan, until, useDemo } from "./support.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const [A, B] = ["Simulated A", "Simulated B"];

let browser;
let demo;
useDemo((...both) => ([browser, demo] = both));

const steering = () => demo.get("steering");
const worker = async (name) => (await steering()).workers.find((it) => it.worker === name);
const forAll = async () => (await steering()).overrides.find((it) => it.workers.includes("*"));
const works = (name, work) => until(`${name} to do ${JSON.stringify(work)}`, async () => JSON.stringify((await worker(name))?.work) === JSON.stringify(work));

const send = (...command) => demo.send(...command);

async function at(path, options) {
  const page = await openPage(browser, demo.base, options);
  await page.goto(demo.base + path);
  await page.locator("main h1").first().waitFor({ state: "attached" });
  return page;
}

const button = (page, name, exact = true) => page.getByRole("button", { name, exact });

/** All that can be pressed is large enough for a finger. */
async function fingersFit(page, name) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("main :not(th) > button:not(.link), main select, main a.button, main input:not([type=range], [type=radio], [type=checkbox]), dialog button")]
      .filter((it) => it.checkVisibility({ visibilityProperty: true }))
      .map((it) => [it.textContent || it.getAttribute("aria-label") || it.id, it.getBoundingClientRect()])
      .filter(([, { width, height }]) => width > 0 && (height < 43.5 || width < 39))
      .map(([text, { width, height }]) => `${text}: ${Math.round(width)} x ${Math.round(height)}`),
  );
  assert.deepEqual(small, [], name);
}

test("two taps send all miners to a pool for a while, and one brings them back", async () => {
  const page = await at("/", PHONE);
  await button(page, `All to ${A}`).tap();
  await scan(page, "for how long");
  await fingersFit(page, "for how long");
  await button(page, "For 3 hours").tap();
  await works("bitaxe", "A");
  const { until_ms: end, set_ms: begin } = await forAll();
  assert.equal(end - begin, 3 * 3_600_000);
  const strip = page.getByRole("region", { name: "In force now" });
  await strip.getByText(new RegExp(`^All to ${A} until \\d\\d:\\d\\d$`)).waitFor();
  await strip.getByText(/Next: 70:30 \(usual split\)/).waitFor();
  await page.getByText(/^Usual split 70:30, again from \d\d:\d\d$/).waitFor();
  await scan(page, "a temporary change");
  await fits(page, "a temporary change");
  await fingersFit(page, "a temporary change");
  await button(strip, "Back to 70:30 now").tap();
  await until("the end of the change", async () => !(await forAll()));
  await strip.waitFor({ state: "hidden" });
  assert.deepEqual((await steering()).usual, { A: 70, B: 30 });
  await closePage(page);
});

test("a temporary change lasts until a set time or until it is changed", async () => {
  const page = await at("/");
  await button(page, "Pause").click();
  await page.getByLabel("Or until").fill("");
  assert.ok(await button(page, "Enter a time").isDisabled());
  await page.getByLabel("Or until").fill("23:59");
  await page.getByRole("button", { name: /^Until .*23:59$/ }).click();
  await works("cpu", "pause");
  assert.equal(new Date((await forAll()).until_ms).toISOString().slice(11, 16), "23:59");
  await page.getByText("Paused", { exact: true }).first().waitFor();
  await page.getByText(/^Paused until .*23:59$/).first().waitFor();
  // An empty page would look like a failure.
  await page.getByText(/^All miners are paused by a temporary change until .*23:59$/).waitFor();
  await page.getByRole("link", { name: "Miners" }).first().click();
  await page.getByText(/^All miners are paused by a temporary change until/).waitFor();
  await page.getByRole("link", { name: "Home" }).first().click();
  await button(page, `All to ${B}`).click();
  await button(page, "Until I change it").click();
  await works("cpu", "B");
  await page.getByText(`All to ${B} until you change it`, { exact: true }).waitFor();
  // The undo in the message leads back to the work before.
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await works("cpu", "pause");
  await button(page, "Back to 70:30 now").click();
  await works("cpu", { A: 70, B: 30 });
  await closePage(page);
});

test("a temporary change of another tab is not replaced unseen", async () => {
  const page = await at("/", { forgive: /409/ });
  await button(page, `All to ${A}`).click();
  await send("PUT", "override", { work: "B", workers: ["*"] });
  await button(page, "For 3 hours").click();
  await page.getByText(/^Not changed: The temporary change was set or ended in the meantime/).waitFor();
  assert.equal((await forAll()).work, "B");
  // The owner has been told, and may replace it.
  await button(page, "For 3 hours").click();
  await until("the change", async () => (await forAll()).work === "A");
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await until("the other one", async () => (await forAll()).work === "B");
  await button(page, "Back to 70:30 now").click();
  await until("the end", async () => !(await forAll()));
  await send("PUT", "override", { work: "pause", workers: ["*"] });
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await page.locator(".toast").last().getByText(/^Not changed: The temporary change was set or ended in the meantime/).waitFor();
  assert.equal((await forAll()).work, "pause");
  await send("DELETE", "override", { workers: ["*"] });
  await closePage(page);
});

test("sending all to a pool leaves workers with own settings until they are moved, too", async () => {
  await send("PUT", "workers", { workers: { cpu: { work: "B" } } });
  const page = await at("/");
  await page.getByText("1 worker has its own setting and only follows Pause.").waitFor();
  await button(page, `All to ${A}`).click();
  await button(page, "For 1 hour").click();
  await works("bitaxe", "A");
  assert.equal((await worker("cpu")).work, "B");
  await page.getByText(new RegExp(`^All to ${A} until .*, for \\d of \\d workers$`)).waitFor();
  await button(page, `All to ${A}`).click();
  await page.getByLabel("Also move cpu").check();
  await button(page, "For 1 hour").click();
  await works("cpu", "A");
  assert.equal((await worker("cpu")).own, null);
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await works("cpu", "B");
  await send("PUT", "workers", { workers: { cpu: { work: null } } });
  await send("DELETE", "override", { workers: ["*"] });
  await closePage(page);
});

test("during a temporary change the slider asks whether to use a split now or save it", async () => {
  await send("PUT", "override", { work: "A", workers: ["*"], for_seconds: 7200 });
  const page = await at("/");
  await page.getByText(/^Usual split 70:30, again from/).waitFor();
  const field = page.getByLabel("Percent for pool A");
  await field.fill("55");
  await field.press("Enter");
  assert.equal((await steering()).overrides[0].work, "A", "Enter leads to the question and does not answer it");
  await page.getByRole("button", { name: /^Use 55:45 until \d\d:\d\d$/ }).click();
  await works("bitaxe", { A: 55, B: 45 });
  assert.deepEqual((await steering()).usual, { A: 70, B: 30 }, "the usual split stays");
  await until("the field to show the usual split again", async () => (await field.inputValue()) === "70");
  // Dragging with the mouse asks, too.
  const slider = page.getByRole("slider", { name: /Part of the work for pool A/ });
  const { x, y, width, height } = await slider.boundingBox();
  const place = (percent) => x + 18 + ((width - 36) * percent) / 100;
  await page.mouse.move(place(70), y + height / 2);
  await page.mouse.down();
  await page.mouse.move(place(40), y + height / 2, { steps: 5 });
  await page.mouse.up();
  const save = page.getByRole("button", { name: /^Save \d+:\d+ as usual split$/ });
  await save.waitFor();
  assert.deepEqual((await steering()).usual, { A: 70, B: 30 }, "a drag only asks");
  await scan(page, "a split to use or to save");
  await save.click();
  await until("the usual split", async () => (await steering()).usual.A < 50);
  assert.deepEqual((await worker("bitaxe")).work, { A: 55, B: 45 }, "the split in force stays");
  // Undo restores the usual split, even on a page that was opened later.
  await page.reload();
  await button(page, "Undo").click();
  await until("the previous usual split", async () => (await steering()).usual.A === 70);
  await button(page, "Earlier splits").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: /^Use \d+:\d+$/ }).first().waitFor();
  await scan(page, "earlier splits");
  await page.keyboard.press("Escape");
  await send("DELETE", "override", { workers: ["*"] });
  await closePage(page);
});

test("a miner can be set to one pool, named, paused and released", async () => {
  const page = await at("/miners");
  const work = (name) => page.getByRole("button", { name: new RegExp(`^Set the work of ${name}, now`) });
  await work("avalon").click();
  await page.getByText("The next 48 hours").waitFor();
  await scan(page, "the work of a miner");
  await page.getByLabel(`Only ${A}`).check();
  await page.getByText("Name and special cases").click();
  await page.getByLabel("Display name").fill("Garage left");
  await button(page, "Apply").click();
  await works("avalon", "A");
  assert.equal((await worker("avalon")).name, "Garage left");
  const row = page.locator(".miners tbody tr", { hasText: "Garage left" });
  await row.getByText(`Only ${A}`).waitFor();
  await row.getByText("own setting").waitFor();
  // A paused miner disconnects, and is listed as paused, not as gone.
  await work("Garage left").click();
  await page.getByLabel("Pause", { exact: true }).check();
  await button(page, "Apply").click();
  await until("the miner to be disconnected", async () => (await worker("avalon")).connected === 0);
  await button(page, "Paused").click();
  await row.getByText("Paused", { exact: true }).waitFor();
  await button(page, "Left").click();
  await row.waitFor({ state: "detached" });
  await button(page, "All").click();
  await scan(page, "a paused miner");
  await page.locator(".toast").last().getByRole("button", { name: "Undo" }).click();
  await works("avalon", "A");
  await send("PUT", "workers", { workers: { avalon: { work: null, name: null } } });
  await until("it to mine again", async () => (await worker("avalon")).connected === 1);
  await closePage(page);
});

test("several miners can be set together by touch, for good and for a while", async () => {
  const page = await at("/miners", PHONE);
  const pick = (name) => page.getByRole("checkbox", { name: `Select ${name}`, exact: true });
  await pick("bitaxe").tap();
  await pick("cpu").tap();
  await page.getByText("2 workers selected").waitFor();
  await fits(page, "selected miners");
  await fingersFit(page, "selected miners");
  await button(page, "Set work").tap();
  await page.getByLabel("Its own split").check();
  const percent = page.getByRole("dialog").getByLabel(`Percent for ${A}`);
  await percent.fill("many");
  await page.getByText("Enter a number from 0 to 100.").waitFor();
  await percent.fill("25");
  await scan(page, "the work of several miners");
  await button(page, "Apply").tap();
  await works("bitaxe", { A: 25, B: 75 });
  await works("cpu", { A: 25, B: 75 });
  await page.getByText("2 workers selected").waitFor({ state: "hidden" });
  // A temporary change: own settings would override it, so they are removed.
  await pick("cpu").tap();
  await button(page, "Set work").tap();
  await page.getByLabel("How long").selectOption("3600");
  await page.getByText("Its own setting goes first, so it is removed.").waitFor();
  await page.getByLabel(`Only ${B}`).check();
  await button(page, "Apply").tap();
  await works("cpu", "B");
  const { source, own } = await worker("cpu");
  assert.deepEqual([source, own], ["override", null]);
  await page.goto(demo.base);
  await page.getByText(new RegExp(`^cpu: All to ${B} until`)).waitFor();
  await button(page, "End now").tap();
  await works("cpu", { A: 70, B: 30 });
  await send("PUT", "workers", { workers: { bitaxe: { work: null } } });
  await closePage(page);
});

test("a group is added, changed and deleted, and settings that prevent the split are reported", async () => {
  const page = await at("/miners", { forgive: /422/ });
  await button(page, "Add group").click();
  await button(page, "Save").click();
  await page.getByText("Give the group a name, such as Garage.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Fast");
  await page.getByLabel("Workers", { exact: true }).fill("bit*, nerd[");
  await button(page, "Save").click();
  await page.getByText('The pattern "nerd[" cannot be used').waitFor();
  await page.getByLabel("Workers", { exact: true }).fill("nerd*, bit*");
  await page.getByRole("dialog").getByLabel(`Only ${B}`).check();
  await scan(page, "a new group");
  await button(page, "Save").click();
  await works("nerdqaxe", "B");
  await works("bitaxe", "B");
  assert.equal((await worker("bitaxe")).group, "Fast");
  await page.locator(".rows").getByText("2 workers").waitFor();
  await page.locator(".miners").getByText("group Fast").first().waitFor();
  await page.getByText("The usual split 70:30 cannot be reached").waitFor();
  await scan(page, "a split out of reach");
  // On Home, the same two taps remove the group's work.
  await page.getByRole("link", { name: "Home" }).first().click();
  await page.getByText(/^The usual split, for \d of \d workers$/).waitFor();
  await button(page, `All to ${A}`).click();
  await page.getByLabel(/^Also move .*nerdqaxe/).check();
  await scan(page, "a group that is moved, too");
  await button(page, "Until I change it").click();
  await works("bitaxe", "A");
  await send("DELETE", "override", { workers: ["*"] });
  await works("bitaxe", { A: 70, B: 30 });
  await page.getByRole("link", { name: "Miners" }).first().click();
  await button(page, "Edit Fast").click();
  await page.getByRole("dialog").getByLabel("No own work").check();
  await button(page, "Save").click();
  await works("bitaxe", { A: 70, B: 30 });
  await page.getByText("The usual split 70:30 cannot be reached").waitFor({ state: "hidden" });
  await button(page, "Delete Fast").click();
  await until("no group", async () => (await worker("bitaxe")).group === null);
  await page.getByText("No groups yet.").waitFor();
  await closePage(page);
});

test("a timetable is created by keyboard, previewed before saving, and in force afterward", async () => {
  const page = await at("/timetable");
  await button(page, "Add entry").focus();
  await page.keyboard.press("Enter");
  // The first day of the new entry has the focus.
  const days = page.getByRole("group", { name: "Entry 1: days on which it begins" });
  assert.ok(await days.getByRole("button", { name: "Monday" }).evaluate((it) => it === document.activeElement));
  const entry = page.locator(".entry").first();
  await entry.getByLabel("From").fill("00:00");
  await entry.getByLabel("to", { exact: true }).fill("00:00");
  await entry.getByText("24 hours").waitFor();
  await entry.getByLabel("Work").selectOption("B");
  await page.getByText("The timetable is off.", { exact: false }).waitFor();
  const forecast = page.locator(".forecast");
  await forecast.getByText("(timetable)").first().waitFor();
  assert.equal((await steering()).timetable.enabled, false, "a preview changes nothing");
  assert.equal((await worker("bitaxe")).source, "usual");
  await page.getByLabel("Use the timetable").check();
  await page.getByLabel("Time zone").fill("Europe/Berlin");
  await scan(page, "a new timetable");
  await button(page, "Save").click();
  await works("bitaxe", "B");
  const { timetable } = await steering();
  assert.deepEqual([timetable.enabled, timetable.time_zone, timetable.entry], [true, "Europe/Berlin", 0]);
  // Home shows the temporary change first, and how to end it.
  await page.getByRole("link", { name: "Home" }).first().click();
  const strip = page.getByRole("region", { name: "In force now" });
  await strip.getByText(`All to ${B}`).waitFor();
  await button(strip, "Use 70:30 now").click();
  await works("bitaxe", { A: 70, B: 30 });
  assert.equal((await worker("bitaxe")).source, "override");
  await button(strip, "Back to the timetable now").click();
  await works("bitaxe", "B");
  await page.getByRole("link", { name: "Timetable" }).first().click();
  await button(page, "Delete entry 1").click();
  await button(page, "Save").click();
  await works("bitaxe", { A: 70, B: 30 });
  await closePage(page);
});

test("a timetable on a phone: mistakes are shown, the order counts, a time zone is suggested", async () => {
  const page = await at("/timetable", { ...PHONE, timezoneId: "America/Lima" });
  await page.getByRole("button", { name: "Use America/Lima" }).tap();
  assert.equal(await page.getByLabel("Time zone").inputValue(), "America/Lima");
  for (let entries = 0; entries < 2; entries++) await button(page, "Add entry").tap();
  const [first, second] = [page.locator(".entry").nth(0), page.locator(".entry").nth(1)];
  await page.getByText("Never in force, because entries above always go first: entry 2.").waitFor();
  for (const day of ["Saturday", "Sunday"]) await first.getByRole("button", { name: day }).tap();
  await page.getByText("Never in force").waitFor({ state: "hidden" });
  await second.getByLabel("Work").selectOption("pause");
  await button(page, "Move up entry 2").tap();
  await until("the other order", async () => (await first.getByLabel("Work").inputValue()) === "pause");
  for (const day of ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]) await first.getByRole("button", { name: day }).tap();
  await first.getByText("Choose at least one day.").waitFor();
  assert.ok(await button(page, "Save").isDisabled());
  await first.getByRole("button", { name: "Sunday" }).tap();
  await first.getByText("Choose at least one day.").waitFor({ state: "hidden" });
  await fits(page, "the timetable");
  await scan(page, "the timetable");
  await fingersFit(page, "the timetable");
  await page.getByLabel("Time zone").fill("Europe/Nowhere");
  await page.getByText("There is no time zone Europe/Nowhere. Enter one such as Europe/Berlin.").waitFor();
  assert.ok(await button(page, "Save").isDisabled());
  await button(page, "Discard").tap();
  await page.getByText("No entries yet.", { exact: false }).waitFor();
  await closePage(page);
});

/** What the server says, with something in it that takes a fleet or a day to come about. */
async function altered(page, more) {
  await page.route(/\/api\/v1\/steering$/, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), ...more } });
  });
}

test("the fleet shows which miners take turns, which stay, and the error of the split", async () => {
  const page = await openPage(browser, demo.base);
  await altered(page, { fleet: { turn_takers: ["bitaxe"], fixed: ["cpu"], assigned: { avalon: "A", nerdqaxe: "B" }, moves_24h: 3, error_seconds: -41, error_work: -3.1e9, bound_work: 12.4e9 } });
  await page.goto(`${demo.base}/miners`);
  const card = page.getByRole("region", { name: "Fleet" });
  await card.getByText("1 worker: bitaxe").waitFor();
  await card.getByText(`Stay on ${A}`).waitFor();
  await card.getByText("1 worker: avalon").waitFor();
  await card.getByText(`${B} is 41 s ahead`).waitFor();
  await card.getByText("25% of it used").waitFor();
  await scan(page, "the fleet");
  await closePage(page);
});

test("the balance shows what it would do before it is turned on", async () => {
  const page = await openPage(browser, demo.base);
  await altered(page, { balance: { enabled: false, shift: 0, wanted: 6, value: { A: 0.052, B: 0.05 }, problem: null, next_step_ms: null } });
  await page.goto(`${demo.base}/timetable`);
  await page.getByText("It would move the split from 70:30 to 76:24.").waitFor();
  await page.getByText(`A hash earns 4% more at ${A}, over the last 24 hours. One TH/s earns 0.052 a day at ${A} and 0.05 at ${B}.`).waitFor();
  await closePage(page);
});

test("the chart of earnings per hash appears once there are prices", async () => {
  const page = await openPage(browser, demo.base);
  const chart = page.getByRole("slider", { name: "What 1 TH/s earns in a day" });
  await page.goto(`${demo.base}/timetable`);
  await page.getByText("Moves the usual split").waitFor();
  assert.equal(await chart.count(), 0, "nothing is known without prices");
  await page.route(/history\?range=7d$/, async (route) => {
    const answer = await (await route.fetch()).json();
    answer.value.A.fill(0.052, -3);
    answer.value.B.fill(0.05, -2);
    await route.fulfill({ json: answer });
  });
  await page.reload();
  await chart.focus();
  await page.keyboard.press("End");
  await page.getByText(`${A} 0.052, ${B} 0.05`).waitFor();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.getByText(`${A} 0.052, ${B} not known`).waitFor();
  assert.equal(await page.locator("path.line").count(), 2);
  await scan(page, "what a hash earned");
  await fits(page, "timetable");
  await closePage(page);
});

test("a wrong clock is reported", async () => {
  const page = await openPage(browser, demo.base);
  const real = await steering();
  await altered(page, { clock: { ...real.clock, plausible: false, problem: "The clock says 1970. It is to be set." } });
  await page.goto(demo.base);
  await page.getByText("The clock says 1970. It is to be set.").waitFor();
  await page.getByRole("link", { name: "Timetable" }).first().click();
  await page.getByText("The timetable waits").waitFor();
  await scan(page, "a wrong clock");
  await closePage(page);
});

test("the balance takes prices and is turned on and off", async () => {
  const page = await at("/timetable");
  await page.getByLabel("Price of 1 BTC").fill("much");
  await button(page, "Save prices").click();
  await page.getByText("The price of BTC must be a number, such as 98000.").waitFor();
  await page.getByLabel("Price of 1 BTC").fill("98,000");
  await page.getByLabel("Price of 1 BCH").fill("480,5");
  await button(page, "Save prices").click();
  await until("the prices", async () => {
    const { balance } = (await demo.get("config")).config;
    return balance?.prices.BTC === 98000 && balance.prices.BCH === 480.5;
  });
  await page.getByLabel("Use the balance").check();
  await until("the balance to be on", async () => (await steering()).balance.enabled);
  await page.getByLabel("Use the balance").uncheck();
  await until("the balance to be off", async () => !(await steering()).balance.enabled);
  await closePage(page);
});

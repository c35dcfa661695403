// The pages in a real browser against the real program, with the demo's pools and miners behind it. SCREENSHOTS=folder
// also saves the images for the README there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { closePage, firstJob, fits, openPage, scan, startEmpty, until, useDemo } from "./support.mjs";

const PAGES = { home: "/", miners: "/miners", timetable: "/timetable", records: "/records", connect: "/connect", config: "/config", notifications: "/notifications", logs: "/logs", about: "/about" };
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true };

let browser;
let demo;
useDemo((...both) => ([browser, demo] = both));

const weights = async () => {
  const { pools } = await demo.get("status");
  return [pools.A.weight, pools.B.weight];
};
const weightsAre = (a, b) => until(`the weights ${a}:${b}`, async () => String(await weights()) === String([a, b]));

/** Opens one of the demo's pages and waits until it shows what it is for. */
async function demoPage(path, options) {
  const page = await openPage(browser, demo.base, options);
  await page.goto(demo.base + path);
  await page.locator("main h1, main .hero").first().waitFor();
  return page;
}

/** When each page shows live figures. */
const ALIVE = {
  home: async (page) => {
    await page.getByText("H/s").first().waitFor();
    await page.getByRole("region", { name: "Simulated A" }).getByText(/tell who it pays.* Block 9\d\d,\d{3}/).waitFor();
  },
  miners: (page) => page.getByRole("button", { name: "bitaxe", exact: true }).waitFor(),
  timetable: (page) => page.locator(".strip-list li").first().waitFor(),
  records: async (page) => {
    await page.getByText("No block yet.").waitFor();
    await page.getByText("Effort since the last block").waitFor();
    await page.getByRole("region", { name: "Best shares" }).getByText(/bitaxe|nerdqaxe|avalon|cpu/).first().waitFor();
    await page.getByRole("region", { name: "Work by day" }).getByText("Simulated A").waitFor();
  },
  connect: (page) => page.getByText("me.rig1").first().waitFor(),
  config: (page) => page.getByLabel("Weight of pool A").waitFor(),
  notifications: (page) => page.getByText("None yet.").first().waitFor(),
  logs: async (page) => {
    await page.getByRole("button", { name: "All", exact: true }).click();
    await page.locator(".log li").first().waitFor();
  },
  about: (page) => page.getByText("MIT").first().waitFor(),
};

for (const theme of ["light", "dark"]) {
  test(`every page works, is accessible and fits a phone, ${theme}`, async () => {
    for (const size of [{}, PHONE]) {
      const page = await openPage(browser, demo.base, { colorScheme: theme, ...size });
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(demo.base + path);
        await ALIVE[name](page);
        await fits(page, name);
        await scan(page, `${name}, ${theme}`);
      }
      await closePage(page);
    }
  });
}

test("the slider, the field, swap and undo move the real split", async () => {
  const before = await weights();
  const page = await demoPage("/");
  const slider = page.getByRole("slider", { name: /Part of the work for pool A/ });
  await slider.waitFor();
  const { x, y, width, height } = await slider.boundingBox();
  await page.mouse.move(x + width * 0.7, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.4, y + height / 2, { steps: 5 });
  const held = await slider.inputValue();
  // While the thumb is held, status updates change nothing.
  const polls = [1, 2, 3].map(() => page.waitForResponse(/status/));
  await Promise.all(polls);
  assert.equal(await slider.inputValue(), held);
  assert.deepEqual(await weights(), before, "nothing is applied while it is held");
  assert.equal(await page.locator(".split-big").innerText(), before.join(":"), "the split in force stays visible");
  await page.mouse.up();
  await weightsAre(Number(held), 100 - held);
  await page.getByRole("button", { name: "Undo" }).first().click();
  await weightsAre(...before);
  await page.getByRole("button", { name: "Swap" }).click();
  await page.getByText("Not applied yet. This swaps the percentages; the pools keep their places.").waitFor();
  await page.waitForResponse(/status/);
  assert.deepEqual(await weights(), before, "Swap only asks");
  await page.getByRole("button", { name: `Apply ${before[1]}:${before[0]}` }).click();
  await weightsAre(before[1], before[0]);
  const field = page.getByLabel("Percent for pool A");
  await field.fill("66.6");
  await page.waitForResponse(/status/);
  assert.equal(await field.inputValue(), "66.6", "it does not revert while you type");
  await field.press("Enter");
  await weightsAre(66.6, 33.4);
  await field.fill("much");
  await page.getByText("Enter a number from 0 to 100.").waitFor();
  await field.press("Escape");
  assert.equal(await field.inputValue(), "66.6");
  // The real split has changed: the proxy works by it, and has not dropped a miner.
  const { miners, left } = await demo.get("miners");
  assert.deepEqual([miners.length, left.length], [4, 0]);
  const { split } = await demo.get("status");
  assert.ok(Math.abs(split.target.A - 0.666) < 1e-9);
  await slider.focus();
  for (let press = 0; press < 3; press++) await page.keyboard.press("ArrowRight");
  await until("the arrow keys to take effect", async () => (await weights())[0] > 68);
  await closePage(page);
});

test("a split set on another page is not replaced unseen", async () => {
  const before = await weights();
  const page = await demoPage("/", { forgive: /409/ });
  const field = page.getByLabel("Percent for pool A");
  await field.fill("55");
  await demo.send("PUT", "weights", { A: 40, B: 60 });
  await until("the other split on the page", async () => (await page.locator(".split-big").innerText()) === "40:60");
  await field.press("Enter");
  await page.getByText("Not applied: The split was changed to 40:60 in the meantime.").waitFor();
  assert.deepEqual([await field.inputValue(), ...(await weights())], ["55", 40, 60]);
  await scan(page, "a split that was changed");
  await page.getByRole("button", { name: "Apply 55:45" }).click();
  await weightsAre(55, 45);
  await page.getByText(/^Not applied/).first().waitFor({ state: "hidden" });
  // A field with an unusable value forgets the split it was based on.
  await field.fill("abc");
  await field.press("Enter");
  await field.fill("61");
  await field.press("Enter");
  await weightsAre(61, 39);
  await demo.send("PUT", "weights", { A: before[0], B: before[1] });
  await closePage(page);
});

test("the miners table searches, sorts, opens and exports", async () => {
  const page = await demoPage("/miners");
  const rows = page.locator(".miners tbody tr:not(.spacer)");
  await until("all miners", async () => (await rows.count()) === 4);
  await page.getByLabel("Find miners").fill("avalon");
  await until("the miner searched for", async () => (await rows.count()) === 1);
  const name = page.getByRole("button", { name: "avalon", exact: true });
  await name.focus();
  await page.keyboard.press("Enter");
  await page.getByText("Recent shares").waitFor();
  await until("its shares", async () => (await page.locator("dialog table tbody tr").count()) > 0);
  await scan(page, "a miner");
  await page.keyboard.press("Escape");
  await until("the focus to return", () => name.evaluate((button) => button === document.activeElement));
  await page.getByLabel("Find miners").fill("");
  await page.getByRole("columnheader", { name: "Hashrate" }).getByRole("button").click();
  await page.locator("th[aria-sort=descending]").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "CSV" }).click()]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  await closePage(page);
});

test("a hung miner is marked, even on a phone", async () => {
  const real = await demo.get("miners");
  const [first, second, ...others] = real.miners;
  const since = Date.now() - 1000;
  const miners = [{ ...first, worker: "stuck", condition: "hangs", condition_since_ms: since }, { ...second, worker: "tired", condition: "slow", condition_since_ms: since }, ...others];
  for (const options of [{}, PHONE]) {
    const page = await openPage(browser, demo.base, options);
    await page.route(/\/api\/v1\/miners$/, (route) => route.fulfill({ json: { ...real, miners } }));
    await page.goto(`${demo.base}/miners`);
    const row = (name) => page.getByRole("row").filter({ has: page.getByRole("button", { name, exact: true }) });
    for (const [name, words] of [["stuck", /Hangs since \d\d:\d\d/], ["tired", /Slow since \d\d:\d\d/]]) {
      await row(name).locator(".col-worker").getByText(words).waitFor();
      assert.match(await row(name).locator(".col-last").textContent(), words);
    }
    await fits(page, "the marks");
    await closePage(page);
  }
});

test("the page stays fast with a thousand miners", async () => {
  const page = await openPage(browser, demo.base);
  const real = await demo.get("miners");
  const many = Array.from({ length: 1000 }, (_, i) => ({ ...real.miners[i % 4], id: 1000 + i, worker: `rig-${String(i).padStart(4, "0")}` }));
  await page.route(/\/api\/v1\/miners$/, (route) => route.fulfill({ json: { ...real, miners: many } }));
  await page.goto(`${demo.base}/miners`);
  await page.getByRole("button", { name: "rig-0000", exact: true }).waitFor();
  const rows = await page.locator(".miners tbody tr:not(.spacer)").count();
  assert.ok(rows < 100, `${rows} rows at once`);
  const region = page.locator(".table-region");
  await region.evaluate((element) => (element.scrollTop = element.scrollHeight / 2));
  await page.getByRole("button", { name: "rig-0500", exact: true }).waitFor();
  await page.getByLabel("Find miners").fill("rig-0987");
  await page.getByRole("button", { name: "rig-0987", exact: true }).waitFor();
  await closePage(page);
});

test("a wrong setting is refused at its field, and a right one is saved and applied", async () => {
  const page = await demoPage("/config#all-settings");
  const turn = page.getByLabel("Length of a turn");
  await turn.fill("99999");
  await page.getByText("Enter a number from 1 to 3600.").waitFor();
  assert.equal(await turn.getAttribute("aria-invalid"), "true");
  // The page shows a mistake wherever it is.
  await page.getByLabel("Search settings").fill("host");
  await turn.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Review and save" }).click();
  await until("the focus", () => turn.evaluate((it) => it === document.activeElement && it.checkVisibility()));
  await turn.fill("2");
  const host = page.getByLabel("Host", { exact: true }).first();
  const good = await host.inputValue();
  const goodPort = await page.getByLabel("Port", { exact: true }).first().inputValue();
  await host.fill("stratum2+tcp://pool.test");
  await page.getByText(/This cannot be "stratum2\+tcp/).waitFor();
  await turn.focus();
  await page.getByRole("button", { name: "Review and save" }).click();
  await until("the field", () => host.evaluate((it) => it === document.activeElement));
  const encrypted = page.getByLabel("Encrypted (TLS)", { exact: true }).first();
  assert.ok(!(await encrypted.isChecked()));
  await host.fill("stratum+ssl://pool.test:4430");
  assert.ok(await encrypted.isChecked(), "an encrypted address says so");
  await encrypted.uncheck();
  await page.getByLabel("Port", { exact: true }).first().fill(goodPort);
  await host.fill(good);
  await page.getByRole("button", { name: "Test this pool" }).first().click();
  await page.getByText("This pool works").waitFor();
  await scan(page, "a tested pool");
  await page.getByRole("button", { name: "Review and save" }).click();
  await scan(page, "the review");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await until("the setting in the file", async () => (await demo.get("config")).config.scheduler.slice_seconds === 2);
  assert.equal((await demo.get("miners")).left.length, 0, "no miner was dropped");
  await closePage(page);
});

test("changes made elsewhere in the meantime are not overwritten", async () => {
  const page = await demoPage("/config#all-settings", { forgive: /409/ });
  const turn = page.getByLabel("Length of a turn");
  await turn.fill("4");
  const { token } = await demo.get("session");
  const headers = { "Content-Type": "application/json", "X-DPMP-Token": token };
  const { etag, config } = await demo.get("config");
  config.scheduler.catch_up_seconds = 300;
  const other = await fetch(`${demo.base}/api/v1/config`, { method: "PUT", headers, body: JSON.stringify({ etag, config }) });
  assert.equal(other.status, 200);
  await page.getByRole("button", { name: "Review and save" }).click();
  await page.getByText("The file has changed since you opened it").waitFor();
  assert.equal(await turn.inputValue(), "4", "the typed value is still there");
  await page.getByRole("button", { name: "Keep my changes" }).click();
  await page.getByRole("button", { name: "Review and save" }).click();
  const changes = page.getByRole("dialog").locator(".change-name");
  await changes.first().waitFor();
  assert.match((await changes.allInnerTexts()).join(), /^[^,]*Length of a turn$/, "only the changes made here");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await until("both changes", async () => {
    const { scheduler } = (await demo.get("config")).config;
    return scheduler.slice_seconds === 4 && scheduler.catch_up_seconds === 300;
  });
  await closePage(page);
});

test("the log is live and can be filtered, stopped, opened and downloaded", async () => {
  const page = await demoPage("/logs");
  await page.getByRole("button", { name: "All", exact: true }).click();
  const lines = page.locator(".log li");
  const newest = () => lines.first().innerText();
  const first = await newest();
  await until("a new line", async () => (await newest()) !== first);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText(/Paused\. \d+ new/).waitFor();
  await page.locator(".log summary").first().click();
  await until("the whole line", async () => /"ts"/.test(await page.locator(".log pre").first().innerText()));
  await scan(page, "the log");
  await page.getByLabel("Text in the event").fill("pool_ready");
  await until("only events of that kind", async () => (await lines.count()) === (await lines.filter({ hasText: /pool/i }).count()));
  for (const choice of ["short", "full"]) {
    await page.getByRole("button", { name: choice === "full" ? "Wallets in full" : "Wallets shortened" }).click();
    const link = page.getByRole("link", { name: "Download all logs" });
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    const text = execFileSync("tar", ["-xzOf", await download.path()], { maxBuffer: 1 << 28 }).toString();
    assert.match(text, /"event":"share_result"/);
    assert.equal(/walletA\b/.test(text), false, "the log itself shortens wallets here");
  }
  await closePage(page);
});

test("the settings for a miner have the names its firmware uses", async () => {
  const page = await demoPage("/connect");
  const { listen } = await demo.get("status");
  await page.getByLabel("Miner", { exact: true }).selectOption({ label: "NerdMiner" });
  const values = page.locator(".copy-field");
  await until("four fields", async () => (await values.count()) === 4);
  const texts = await values.allInnerTexts();
  ["Pool url", "Pool port", "Your BTC address", "Pool password"].forEach((label, i) => assert.ok(texts[i].startsWith(label), texts[i]));
  assert.ok(texts[1].includes(String(listen.port)));
  await page.getByLabel("Miner", { exact: true }).selectOption({ label: "Bitaxe (AxeOS)" });
  await page.locator(".copy-field").filter({ hasText: "Fallback Pool Configuration" }).getByText("One of your pools directly").waitFor();
  for (const width of [390, 1280]) {
    await page.setViewportSize({ width, height: 844 });
    const label = await page.getByText("Fallback Pool Configuration").boundingBox();
    assert.ok(label.width > 80 && label.height < 80, `at ${width}: ${JSON.stringify(label)}`);
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/connect-${width}.png` });
  }
  for (const [addresses, shown] of [[["192.168.1.10"], false], [[], true], [["172.17.0.2"], true]]) {
    await page.route("**/api/v1/connect", async (route) => route.fulfill({ json: { ...(await (await route.fetch()).json()), addresses } }));
    await page.reload();
    await page.locator(".copy-field").first().waitFor();
    assert.equal(await page.getByText("Check the address").isVisible(), shown, addresses.join());
    await page.unroute("**/api/v1/connect");
  }
  await closePage(page);
});

test("documents are pages, even on a phone, and a wrong address shows an error page", async () => {
  const page = await openPage(browser, demo.base, { ...PHONE, forgive: /404/ });
  await page.goto(`${demo.base}/docs/`);
  await scan(page, "the list of documents");
  for (const name of ["Metrics", "Connecting miners"]) {
    await page.goto(`${demo.base}/docs/`);
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await scan(page, name);
    await fits(page, name);
  }
  await page.getByRole("link", { name: "below" }).first().click();
  await until("a heading in view", async () => new URL(page.url()).hash !== "");
  const answer = await page.goto(`${demo.base}/nothing`);
  assert.equal(answer.status(), 404);
  await page.getByRole("heading", { name: "No such page" }).waitFor();
  await scan(page, "no such page");
  await fits(page, "no such page");
  await page.locator(".side").getByRole("link", { name: "Miners", exact: true }).waitFor();
  assert.equal(await page.locator(".nav-link[aria-current]").count(), 0);
  await page.getByRole("link", { name: "Go to Home" }).click();
  await page.locator("main .hero").waitFor();
  await closePage(page);
});

test("from nothing to mining in the browser alone", async () => {
  const dpmp = await startEmpty();
  const page = await openPage(browser, dpmp.base);
  await page.goto(dpmp.base);
  await page.waitForURL(/\/setup$/);
  const [host, port, wallet] = [page.getByLabel("Host", { exact: true }), page.getByLabel("Port", { exact: true }), page.getByLabel("Wallet or account")];
  await host.waitFor();
  await scan(page, "set-up");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("This is needed.").first().waitFor();
  for (const [slot, name] of ["A", "B"].entries()) {
    await page.getByRole("heading", { name: name === "A" ? /first pool/ : /second pool/ }).waitFor();
    if (name === "B") {
      await host.fill(`127.0.0.1:${demo.pools[0]}`);
      await wallet.fill("walletA");
      await page.getByRole("button", { name: "Next" }).click();
      await page.getByText("Both slots use the same pool and account").waitFor();
      await page.getByRole("button", { name: "Use it anyway" }).waitFor();
      await page.getByText("This pool works").waitFor();
      // Neither is true any longer.
      await wallet.fill("another");
      await page.getByText("This pool works").waitFor({ state: "detached" });
      await page.getByText("Both slots use").waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Next" }).waitFor();
    }
    // As pools publish it: the port is read from the address.
    await host.fill(`stratum+tcp://127.0.0.1:${demo.pools[slot]}`);
    await until("the port", async () => (await port.inputValue()) === demo.pools[slot]);
    await wallet.fill(`wallet${name}`);
    await page.getByRole("button", { name: "Test this pool" }).click();
    await page.getByText("This pool works").waitFor();
    await page.getByRole("button", { name: "Next" }).click();
  }
  for (const wrong of ["half", "", "101"]) {
    await page.locator("#setup-percent").fill(wrong);
    await page.getByText("Enter a number from 0 to 100, such as 70.").waitFor();
    await page.getByRole("button", { name: "Save and start" }).click();
    assert.equal(await page.getByRole("heading", { name: "How the work is split" }).count(), 1, wrong);
  }
  await page.locator("#setup-percent").fill("80");
  assert.equal(await page.getByText("Enter a number from 0").isVisible(), false);
  await scan(page, "the split");
  await page.getByRole("button", { name: "Save and start" }).click();
  await page.getByText(new RegExp(`^stratum\\+tcp://[0-9.]+:${dpmp.listen}$`)).waitFor();
  await scan(page, "the line for the miner");
  const { hangUp } = await firstJob(dpmp.listen);
  await page.getByText(/1 miner is connected/).waitFor();
  await page.getByRole("link", { name: "Finish", exact: true }).click();
  await until("the set-up to be complete", async () => {
    const { set_up, pools } = await dpmp.get("status");
    return set_up && pools.A.weight === 80 && pools.B.weight === 20;
  });
  hangUp();
  await closePage(page);
  await dpmp.stop();
});

test("an installation that is set up reviews what the set-up changes", async () => {
  const [A, B] = demo.pools.map((port, i) => ({ host: "127.0.0.1", port: Number(port), wallet: `wallet${i}` }));
  const dpmp = await startEmpty({ pools: { A, B }, scheduler: { poolA_weight: 7, poolB_weight: 3 } });
  const page = await openPage(browser, dpmp.base);
  await page.goto(`${dpmp.base}/setup`);
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  await page.getByLabel("Wallet or account").fill("mallory");
  await press("Next");
  await page.getByRole("heading", { name: /second pool/ }).waitFor();
  await press("Next");
  await page.getByRole("heading", { name: "How the work is split" }).waitFor();
  await press("Save and start");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("decides where the money goes").waitFor();
  assert.match(await dialog.innerText(), /wallet0[\s\S]*mallory/);
  assert.doesNotMatch(await dialog.innerText(), /Weight/);
  await scan(page, "the review in the set-up");
  await dialog.getByRole("button", { name: "Keep editing" }).click();
  assert.equal((await dpmp.get("config")).config.pools.A.wallet, "wallet0");
  await press("Save and start");
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("heading", { name: "Connect your miner" }).waitFor();
  assert.equal((await dpmp.get("config")).config.pools.A.wallet, "mallory");
  await closePage(page);
  await dpmp.stop();
});

test("Records says when finding a block makes no difference to the owner", async () => {
  const page = await openPage(browser, demo.base);
  await page.route(/\/api\/v1\/status$/, async (route) => {
    const answer = await (await route.fetch()).json();
    answer.pools.A.insight = { payout: { kind: "shared" } };
    answer.pools.B.insight = { payout: { kind: "pool" } };
    await route.fulfill({ json: answer });
  });
  await page.goto(`${demo.base}/records`);
  await page.getByText("A block found at Simulated A is shared; your income does not depend on it.").waitFor();
  await page.getByText("A block found at Simulated B pays the pool. If the pool shares it, your income does not depend on it.").waitFor();
  await page.getByRole("cell", { name: "Luck of the best share" }).waitFor();
  await closePage(page);
});

test("a password keeps others out", async () => {
  const dpmp = await startEmpty();
  const owner = await openPage(browser, dpmp.base);
  await owner.goto(`${dpmp.base}/config`);
  await owner.getByLabel("Password", { exact: true }).last().fill("short");
  await owner.getByRole("button", { name: "Set the password" }).click();
  await owner.getByText("Enter 8 to 128 characters.").waitFor();
  await owner.getByLabel("Password", { exact: true }).last().fill("correct horse");
  await owner.getByLabel("The same once more").fill("correct horse");
  await owner.getByRole("button", { name: "Set the password" }).click();
  await until("the API to be locked", async () => (await fetch(`${dpmp.base}/api/v1/status`)).status === 401);
  await owner.goto(`${dpmp.base}/logs`);
  await owner.getByText(/No event yet|None of the last|that fit/).waitFor();
  await closePage(owner);
  const stranger = await openPage(browser, dpmp.base, { forgive: /401/ });
  await stranger.goto(`${dpmp.base}/config`);
  const password = stranger.getByLabel("Password");
  await password.waitFor();
  await scan(stranger, "the login");
  await password.fill("wrong");
  await password.press("Enter");
  await stranger.locator("#login-error:not(:empty)").waitFor();
  await password.fill("correct horse");
  await password.press("Enter");
  await stranger.getByLabel("Weight of pool A").waitFor();
  await closePage(stranger);
  await dpmp.stop();
});

test("a lost connection to the server is shown and recovers", async () => {
  const page = await demoPage("/", { forgive: /ERR_|Failed to load/ });
  await page.route(/\/api\//, (route) => route.abort());
  await page.getByText(/DPMP does not answer/).waitFor();
  await page.unroute(/\/api\//);
  await page.getByText(/DPMP does not answer/).waitFor({ state: "hidden" });
  await closePage(page);
});

test("the theme follows the system until one is chosen, and is remembered", async () => {
  const page = await demoPage("/about", { colorScheme: "dark" });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), "dark");
  await page.getByRole("button", { name: /Theme/ }).click();
  assert.equal(await theme(), "light");
  await page.reload();
  await page.locator("main h1").waitFor();
  assert.equal(await theme(), "light");
  await closePage(page);
});

test("pictures", { skip: !process.env.SCREENSHOTS }, async () => {
  const folder = process.env.SCREENSHOTS;
  mkdirSync(folder, { recursive: true });
  const page = await openPage(browser, demo.base, { colorScheme: "light", deviceScaleFactor: 1 });
  for (const [name, path] of Object.entries(PAGES)) {
    await page.goto(demo.base + path);
    await ALIVE[name](page);
    writeFileSync(join(folder, `${name}.png`), await page.screenshot());
  }
  await closePage(page);
});

test("a found block is on Records and can be downloaded, even by touch", async () => {
  const program = await startEmpty();
  const hash = "00".repeat(8) + "ab".repeat(24);
  const name = `1790000000000-${hash}.json`;
  mkdirSync(join(program.folder, "blocks"));
  writeFileSync(join(program.folder, "blocks", name), JSON.stringify({ hash, found_ms: 1790000000000, height: 912345, pool: "B", pool_name: "Solo", chain: "BTC", worker: "<b>rig</b>", answer: "accepted" }));
  for (const size of [{}, PHONE]) {
    const page = await openPage(browser, program.base, size);
    await page.goto(`${program.base}/records`);
    await page.getByText("912,345").waitFor();
    await page.getByText("<b>rig</b>").waitFor();
    await fits(page, "records");
    await scan(page, "records");
    const link = page.getByRole("link", { name: /Download the file of block 00000000/ });
    const [download] = await Promise.all([page.waitForEvent("download"), size.hasTouch ? link.tap() : link.click()]);
    assert.equal(download.suggestedFilename(), `dpmp-block-${name}`);
    await closePage(page);
  }
  await program.stop();
});

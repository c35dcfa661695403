// Home in trouble: one cause raises one notice, and the large numbers show what is mined. SCREENSHOTS=folder keeps
// images.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startMiner, startPool, WALLET } from "./peers.mjs";
import { closePage, openPage, scan, startBrowser, startEmpty, until } from "./support.mjs";

const folder = process.env.SCREENSHOTS;
let browser;

before(async () => (browser = await startBrowser()));
after(() => browser?.close());

/** DPMP with two pools and miners, and Home on a screen. */
async function start({ miners = 2 } = {}) {
  const pools = [await startPool(), await startPool()];
  const [A, B] = pools.map(({ port }, i) => ({ name: ["CKPool", "Ocean"][i], host: "127.0.0.1", port, wallet: WALLET }));
  const dpmp = await startEmpty({ pools: { A, B }, scheduler: { slice_seconds: 1, poolA_weight: 50, poolB_weight: 50 } });
  const running = Array.from({ length: miners }, (_, i) => startMiner(dpmp.listen, `me.rig${i}`));
  if (miners > 0) {
    await until("shares at both pools", async () => {
      const status = await dpmp.get("status");
      return status.pools.A.accepted > 0 && status.pools.B.accepted > 0;
    });
  }
  // The image should show what an owner sees who looks later.
  if (folder && miners > 0) await until("a minute of the split", async () => (await dpmp.get("status")).split.windows[0].known_seconds > 70, 120_000);
  const page = await openPage(browser, dpmp.base, { forgive: /ERR_CONNECTION_REFUSED/ });
  await page.goto(dpmp.base);
  await dpmp.send("POST", "alerts/seen", { id: "no_password" });
  return {
    pools,
    page,
    dpmp,
    running,
    /** Waits for the only notices that there are to be, and for a sentence in the hero. */
    async expect(name, notices, hero) {
      const titles = () => page.locator(".alerts .notice-title").evaluateAll((found) => found.map((it) => it.firstChild.textContent));
      await until(`${name}: ${notices}`, async () => String(await titles()) === String(notices), 120_000);
      for (const text of hero) await page.locator(".hero").getByText(text).first().waitFor();
      if (!folder) return;
      mkdirSync(folder, { recursive: true });
      await page.screenshot({ path: join(folder, `home-${name}.png`), fullPage: true });
      await page.setViewportSize({ width: 390, height: 844 });
      await page.screenshot({ path: join(folder, `phone-${name}.png`) });
      await page.setViewportSize({ width: 1280, height: 720 });
    },
    async end() {
      running.forEach((miner) => miner.stop());
      await closePage(page);
      await dpmp.stop();
      pools.forEach((pool) => pool.stop());
    },
  };
}

test("Home shows that all is well, then one pool down, then both", async () => {
  const home = await start();
  await home.expect("healthy", [], ["Mining", "2 miners working", "Target"]);
  home.pools[0].stop();
  await home.expect("a-down", ["CKPool is down"], ["Mining", /No work for CKPool since .* Target 50:50/]);
  // The work done for it counts in the total, so its card shows that, too.
  await home.page.getByRole("region", { name: "CKPool" }).getByText("mean of 5 minutes, target 50%").waitFor();
  await home.page.locator(".hero").getByText(/, not judged: CKPool was down$/).waitFor({ timeout: 120_000 });
  await home.page.locator(".outage rect").first().waitFor({ state: "attached", timeout: 120_000 });
  // However many notices there are, a phone's first screen shows what is mined.
  await home.page.setViewportSize({ width: 390, height: 844 });
  const line = home.page.locator(".connection").getByText(/^Mining, .*H\/s$/);
  await until("the line to be visible", async () => ((await line.boundingBox())?.y ?? 999) < 100);
  await home.page.setViewportSize({ width: 1280, height: 720 });
  home.pools[1].stop();
  await home.expect("both-down", ["Nothing is being mined"], ["Nothing is mined"]);
  await home.end();
});

test("a pool that rejects everything is reported once and left", async () => {
  const home = await start();
  home.pools[0].rejects = true;
  await home.expect("a-rejects-all", ["CKPool rejects most shares"], ["Mining", /No work for CKPool since/]);
  await home.page.getByRole("region", { name: "CKPool" }).getByText(/^Rejects shares since/).waitFor();
  await home.end();
});

test("another pool in the same slot has its own history", async () => {
  const home = await start();
  const pool = await startPool();
  const { etag, config } = await home.dpmp.get("config");
  Object.assign(config.pools.A, { name: "Braiins", port: pool.port });
  const changed = Date.now();
  await home.dpmp.send("PUT", "config", { etag, config });
  const { A } = await until("shares at the new pool", async () => {
    const { pools } = await home.dpmp.get("status");
    return pools.A.name === "Braiins" && pools.A.accepted > 0 && pools;
  });
  assert.ok(A.best_share.at_ms >= changed - 1000);
  assert.deepEqual(A.former.map(({ name }) => name), ["CKPool"]);
  await home.page.goto(`${home.dpmp.base}/logs`);
  await home.page.getByRole("button", { name: "Events", exact: true }).click();
  for (const name of ["CKPool", "Braiins"]) await home.page.locator(".log-text").getByText(`${name} works`).first().waitFor();
  await home.end();
  pool.stop();
});

test("Home says when no miner has connected yet, or all have left", async () => {
  const home = await start({ miners: 0 });
  await home.expect("no-miner", ["No miner is connected"], ["Ready, no miner"]);
  await home.page.getByRole("link", { name: "Connect a miner" }).waitFor();
  const miner = startMiner(home.dpmp.listen, "me.rig");
  await home.expect("first-miner", [], ["Mining", "1 miner working"]);
  miner.stop();
  await home.expect("all-gone", ["No miner is connected"], ["Ready, no miner"]);
  await home.end();
});

test("the page itself reports that DPMP has stopped", async () => {
  const home = await start();
  await home.page.locator(".hero").getByText("Mining").first().waitFor();
  home.running.forEach((miner) => miner.stop());
  home.dpmp.child.kill("SIGKILL");
  await home.page.getByRole("alert").getByText(/What you see is from/).waitFor();
  assert.match(await home.page.title(), /^\(!\)/);
  if (folder) await home.page.screenshot({ path: join(folder, "home-stopped.png") });
  await closePage(home.page);
  home.pools.forEach((pool) => pool.stop());
});

test("five notices leave the hashrate on a phone's first screen, and all can be reached", async () => {
  const home = await start();
  const notices = ["error", "error", "warning", "warning", "info"].map((level, i) => ({ id: `n${i}`, level, title: `Notice ${i}`, text: "It rejected 62 of 104 shares in the last 10 minutes, and may not pay for them.", action: "See the reasons next to the pool, and check its settings on the Config page.", at_ms: Date.now(), dismissable: i > 0 }));
  for (const options of [{ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, {}]) {
    const page = await openPage(browser, home.dpmp.base, options);
    await page.route("**/api/v1/status", async (route) => route.fulfill({ json: { ...(await (await route.fetch()).json()), alerts: notices } }));
    await page.route("**/api/v1/alerts/seen", (route) => route.fulfill({ json: { ok: true } }));
    await page.goto(home.dpmp.base);
    const shown = () => page.locator(".alerts .notice:visible").count();
    const more = page.getByRole("button", { name: "4 more notices" });
    await more.waitFor();
    assert.equal(await shown(), 1);
    const { y, height } = await page.locator(".hero .huge-line").first().boundingBox();
    assert.ok(y + height < 780, `the hashrate ends at ${y + height}`);
    await scan(page, "folded notices");
    if (options.hasTouch) await more.tap();
    else {
      await more.focus();
      await page.keyboard.press("Enter");
    }
    assert.equal(await shown(), 5);
    const fewer = page.getByRole("button", { name: "Show only the first notice" });
    assert.equal(await fewer.getAttribute("aria-expanded"), "true");
    await scan(page, "all notices");
    // A dismissed one is gone at once.
    await page.getByRole("button", { name: "Dismiss" }).last().click();
    await until("it to go", async () => (await shown()) === 4);
    await fewer.click();
    await page.getByRole("button", { name: /^[34] more notices$/ }).waitFor();
    assert.equal(await shown(), 1);
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await closePage(page);
  }
  await home.end();
});

// What is shown outside the owner's browser tab: on a home screen, and at a pool.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closePage, fits, openPage, scan, startBrowser, startEmpty } from "./support.mjs";

const WALLET = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };

let browser;

before(async () => {
  browser = await startBrowser();
});

after(() => browser?.close());

/** A program whose pool B has pages for its users. No work is meant for B, so nobody connects there. */
const startKnown = (more = {}) =>
  startEmpty({
    pools: { A: { host: "127.0.0.1", port: 1, wallet: "me" }, B: { name: "Ocean", host: "mine.ocean.xyz", port: 3334, wallet: WALLET } },
    scheduler: { poolA_weight: 1, poolB_weight: 0 },
    ...more,
  });

test("a home screen gets a name and an icon", async () => {
  const program = await startKnown();
  const page = await openPage(browser, program.base);
  await page.goto(program.base);
  const link = (rel) => page.locator(`link[rel="${rel}"]`).getAttribute("href");
  const manifest = await page.evaluate(async (path) => (await fetch(path)).json(), await link("manifest"));
  assert.deepEqual([manifest.short_name, manifest.display], ["DPMP", "standalone"]);
  for (const { src } of [...manifest.icons, { src: await link("apple-touch-icon") }]) {
    const size = await page.evaluate(async (path) => {
      const image = Object.assign(new Image(), { src: path });
      await image.decode();
      return image.naturalWidth;
    }, src);
    assert.ok(src.endsWith(".svg") || size === 180, `${src}: ${size} px`);
  }
  await closePage(page);
  await program.stop();
});

test("a known pool has a link to the owner's page there, and no answer contains the address", async () => {
  const program = await startKnown();
  for (const size of [{}, PHONE]) {
    const page = await openPage(browser, program.base, size);
    await page.goto(program.base);
    const link = page.getByRole("link", { name: "My page at ocean.xyz" });
    await link.waitFor();
    assert.equal(await page.getByRole("link", { name: /My page at/ }).count(), 1);
    const answer = await fetch(new URL(await link.getAttribute("href"), program.base), { redirect: "manual" });
    assert.equal(answer.headers.get("location"), `https://ocean.xyz/stats/${WALLET}`);
    assert.ok(!JSON.stringify(await program.get("status")).includes(WALLET));
    // Screen readers and searches find hidden text, too.
    assert.doesNotMatch(await page.locator("main").textContent(), /null|undefined/);
    await fits(page, "Home");
    await scan(page, "Home with a link");
    await closePage(page);
  }
  await program.stop();
});

test("a right-to-left name does not reverse the text around it", async () => {
  const name = "בריכה 7";
  const program = await startKnown({ pools: { A: { name, host: "127.0.0.1", port: 1, wallet: "me" }, B: { host: "127.0.0.1", port: 2, wallet: WALLET } }, saved_pools: { [name]: { host: "127.0.0.1", port: 1, wallet: "me" } } });
  const page = await openPage(browser, program.base);
  // A program that accepts names which ours refuses.
  await page.route("**/api/v1/status", async (route) => {
    const answer = await (await route.fetch()).json();
    answer.pools.B.name = "a\u202eb";
    await route.fulfill({ json: answer });
  });
  for (const path of ["/", "/config", "/miners", "/timetable", "/logs", "/records"]) {
    await page.goto(program.base + path);
    await page.getByRole("heading", { level: 1 }).waitFor({ state: "attached" });
    if (["/", "/logs"].includes(path)) await page.locator("main bdi").first().waitFor({ state: "attached" });
    const loose = await page.evaluate(() => {
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const found = [];
      const turns = (text) => /[\u0590-\u08ff\u202e]/.test(text.replace(/\u2068[^\u2068\u2069\u202e]*\u2069/g, ""));
      while (texts.nextNode()) if (turns(texts.currentNode.data) && !texts.currentNode.parentElement.closest("bdi")) found.push(texts.currentNode.data);
      for (const it of document.querySelectorAll("[title]")) if (turns(it.title)) found.push(it.title);
      // There, elements for other directions do nothing.
      if (document.querySelector("svg bdi, option bdi")) found.push("bdi");
      return found;
    });
    assert.deepEqual(loose, [], path);
    await scan(page, `${path} with a name from right to left`);
  }
  const parts = await page.evaluate(async () => {
    const { h, setText, svg } = await import("/js/ui.js");
    const text = svg("text", {}, "to a\u202eb\u2069");
    const set = svg("text");
    setText(set, "\u05d1\u05e8");
    return [text.textContent, set.textContent, h("p", { title: "a \u05d1" }).title, h("option", { value: "x" }, "\u05d1").textContent, h("p", { title: "plain" }).title];
  });
  assert.deepEqual(parts, ["to a\u2068\u2069b\u2068\u2069", "\u2068בר\u2069", "a \u2068ב\u2069", "\u2068ב\u2069", "plain"]);
  await closePage(page);
  await program.stop();
});

const PASSWORD = "correct horse";

test("a wall display link shows the pages read-only until it is revoked", async () => {
  const program = await startKnown();
  const { token: pageToken } = await program.get("session");
  const headers = { "Content-Type": "application/json", "X-DPMP-Token": pageToken };
  const set = await fetch(`${program.base}/api/v1/password`, { method: "POST", headers, body: JSON.stringify({ current: null, new: PASSWORD }) });
  assert.equal(set.status, 200);
  const owner = await openPage(browser, program.base, { forgive: /401/ });
  await owner.goto(`${program.base}/config`);
  await owner.getByLabel("Password").fill(PASSWORD);
  await owner.getByLabel("Password").press("Enter");
  await owner.getByLabel("Program", { exact: true }).fill("hall");
  await owner.getByRole("textbox", { name: "Password of these pages" }).fill(PASSWORD);
  await owner.getByRole("button", { name: "Create a token" }).click();
  const link = await owner.locator(".copy-field").filter({ hasText: "Link" }).locator("code").innerText();
  assert.match(link, new RegExp(`^${program.base}/#view=dpmp_[0-9a-f]{64}$`));
  await scan(owner, "the link");
  await owner.getByRole("button", { name: "Done" }).click();

  for (const size of [{}, PHONE]) {
    for (const colorScheme of ["light", "dark"]) {
      const wall = await openPage(browser, program.base, { ...size, colorScheme });
      const asked = [];
      wall.on("request", (request) => asked.push(request));
      await wall.goto(link);
      await wall.getByRole("region", { name: "Ocean" }).waitFor();
      for (const [name, shows] of [["Miners", "Hashrate, 5 min"], ["Records", "Best shares"], ["Home", "Ocean"]]) {
        await wall.getByRole("link", { name, exact: true }).click();
        await wall.getByText(shows).first().waitFor();
        await fits(wall, name);
        await scan(wall, `${name} on a wall`);
        for (const control of [wall.getByRole("slider", { name: /Part of the work/ }), wall.getByRole("checkbox"), wall.getByRole("button", { name: /Swap|Undo|Dismiss|^Pause$|Add group|Set work/ }), wall.getByRole("link", { name: /CSV|My page|Config|Set up/ })]) {
          assert.equal(await control.count(), 0, `${name}: ${control}`);
        }
      }
      assert.equal(await wall.getByRole("navigation").getByRole("link").count(), 3);
      await wall.reload();
      await wall.getByRole("region", { name: "Ocean" }).waitFor();
      for (const request of asked) assert.ok(!request.url().replace(/#.*/, "").includes("dpmp_"), request.url());
      const seen = await wall.evaluate(async () => {
        const headers = { Authorization: `Bearer ${location.hash.slice(6)}`, "Content-Type": "application/json" };
        const ask = async (method, path, body) => {
          const answer = await fetch(`/api/v1/${path}`, { method, headers, body });
          return [answer.status, await answer.text()];
        };
        const read = [];
        for (const path of ["status", "miners", "steering", "records", "blocks", "ledger"]) read.push(await ask("GET", path));
        return read;
      });
      for (const [status, text] of seen) assert.ok(status === 200 && !text.includes(WALLET), text.slice(0, 200));
      await closePage(wall);
    }
  }
  const cut = await openPage(browser, program.base, { forgive: /Failed to load/ });
  let loads = 0;
  await cut.route("**/js/home.js", (route) => (loads++ ? route.continue() : route.abort()));
  await cut.goto(link);
  await cut.getByRole("region", { name: "Ocean" }).waitFor();
  assert.equal(loads, 2, "the page loads again what the network cut off");
  await closePage(cut);
  const token = link.split("=")[1];
  const ask = async (method, path) => (await fetch(`${program.base}/api/v1/${path}`, { method, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: method === "GET" ? undefined : "{}" })).status;
  for (const [method, path] of [["PUT", "weights"], ["PUT", "override"], ["PUT", "config"], ["PUT", "workers"], ["POST", "alerts/seen"], ["POST", "password"], ["GET", "config"], ["GET", "logs"], ["GET", "events"], ["GET", "pools/B/page"], ["GET", "tokens"]]) {
    assert.equal(await ask(method, path), 403, `${method} ${path}`);
  }

  const wall = await openPage(browser, program.base, { forgive: /401/ });
  await wall.goto(link);
  await wall.getByRole("region", { name: "Ocean" }).waitFor();
  await owner.getByRole("button", { name: "Revoke the token of hall" }).click();
  await owner.getByRole("dialog").getByLabel("Password of these pages").fill(PASSWORD);
  await owner.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await wall.getByText("This link is no longer valid.").waitFor();
  assert.equal(new URL(wall.url()).hash, "");
  await closePage(wall);
  await closePage(owner);
  await program.stop();
});

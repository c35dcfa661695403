// What is shown elsewhere than in a tab of its owner's: on a home screen, at a pool.
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

test("a known pool has a link to the owner's page there, and the address is in no answer", async () => {
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
    await fits(page, "Home");
    await scan(page, "Home with a link");
    await closePage(page);
  }
  await program.stop();
});

// A payout address is checked while it is typed, in Set-up and in Config.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closePage, openPage, startBrowser, startEmpty, until } from "./support.mjs";

const BCH = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";
const BTC = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const SHARED = "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu";
const SLIP = /^This address has a mistake: a character is wrong or missing\.$/;

let browser;
let dpmp;

before(async () => {
  [browser, dpmp] = [await startBrowser(), await startEmpty()];
});

after(async () => {
  await dpmp.stop();
  await browser.close();
});

/** The fields of pool A, and what is said of its wallet. */
async function fields(path) {
  const page = await openPage(browser, dpmp.base);
  await page.goto(dpmp.base + path);
  const [wallet, coin, note] = ["wallet", "chain", "wallet-error"].map((id) => page.locator(`#setting-pools-A-${id}`));
  await wallet.waitFor();
  const says = (pattern) => until(`the note ${pattern}`, async () => pattern.test(await note.textContent()));
  return { page, wallet, coin, says };
}

for (const path of ["/setup", "/config"]) {
  test(`a typed address is identified, sets the coin and shows a typo: ${path}`, async () => {
    const { page, wallet, coin, says } = await fields(path);
    assert.equal(await coin.inputValue(), "BTC");
    await wallet.fill(BCH);
    await says(/^A Bitcoin Cash address \(P2PKH\)$/);
    assert.equal(await coin.inputValue(), "BCH");
    // Several coins share this address: the chosen coin stays.
    await wallet.fill(SHARED);
    await says(/^A Bitcoin Cash address \(P2PKH\)$/);
    await wallet.fill(BTC);
    await says(/^A Bitcoin address \(P2WPKH\)$/);
    assert.equal(await coin.inputValue(), "BTC");
    await wallet.fill(`${BTC.slice(0, -1)}5`);
    await says(SLIP);
    assert.equal(await wallet.getAttribute("aria-invalid"), "true");
    // An account name gets an answer, too, but no remark.
    const [answer] = await Promise.all([page.waitForResponse(/config\/validate$/), wallet.fill("alice.rig")]);
    assert.deepEqual((await answer.json()).wallets, {});
    await says(/^$/);
    assert.equal(await wallet.getAttribute("aria-invalid"), null);
    await closePage(page);
  });
}

test("a chosen coin stays, and a remark says the address is for another one", async () => {
  const { page, wallet, coin, says } = await fields("/config");
  await coin.fill("BTC ");
  await coin.fill("BTC");
  await wallet.fill(BCH);
  await says(/^This is a Bitcoin Cash address, but the coin is BTC\.$/);
  assert.equal(await coin.inputValue(), "BTC");
  await closePage(page);
});

test("Set-up does not continue before a typo was pointed out", async () => {
  const { page, wallet, says } = await fields("/setup");
  await page.getByLabel("Host", { exact: true }).fill("127.0.0.1:1");
  // Fill it in at once, so that nothing was said while typing.
  await wallet.evaluate((input, slip) => {
    input.value = slip;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    document.querySelector(".setup-foot .primary").click();
  }, `${BTC.slice(0, -1)}5`);
  await says(SLIP);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("This pool does not work yet").waitFor();
  await page.getByRole("button", { name: "Use it anyway" }).click();
  await page.getByRole("heading", { name: /second pool/ }).waitFor();
  await closePage(page);
});

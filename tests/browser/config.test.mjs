// Config in a real browser: everyday settings first, search, linked sections, and the address book of pools.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { closePage, fits, openPage, scan, startBrowser, startEmpty, until } from "./support.mjs";

const BTC = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const POOLS = {
  A: { name: "Alpha", host: "127.0.0.1", port: 1, wallet: BTC, password: "of-alpha" },
  B: { name: "Beta", host: "stratum+ssl://127.0.0.1:2", port: 2, wallet: "bob" },
};
const SIZES = [{}, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }];

let browser;
let dpmp;

before(async () => {
  browser = await startBrowser();
});

beforeEach(async () => {
  dpmp = await startEmpty({ pools: POOLS, downstream_diff: { poolA_min: 5 } });
});

afterEach(() => dpmp.stop());
after(() => browser?.close());

async function configPage(options, hash = "") {
  const page = await openPage(browser, dpmp.base, options);
  await page.goto(`${dpmp.base}/config${hash}`);
  await page.locator("#setting-pools-A-host").waitFor();
  page.press1 = (name, within = page) => {
    const button = within.getByRole("button", { name, exact: true });
    return options?.hasTouch ? button.tap() : button.click();
  };
  return page;
}

const file = async () => (await dpmp.get("config")).config;

/** Saves what was changed; gives what the owner was shown before. */
async function save(page) {
  await page.press1("Review and save");
  const shown = await page.getByRole("dialog").innerText();
  await page.press1("Save", page.getByRole("dialog"));
  await page.getByText(/^Saved\./).first().waitFor();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.locator("#setting-pools-A-host").waitFor();
  return shown;
}

for (const options of SIZES) {
  const size = options.hasTouch ? "touch" : "mouse";

  test(`a pool is saved, renamed, chosen, made a backup and deleted: ${size}`, async () => {
    const page = await configPage(options);
    const book = page.getByRole("region", { name: "Saved pools" });
    await page.press1("Add pool A");
    await book.getByLabel("Name of Alpha").waitFor();
    await page.press1("Add pool B");
    await book.getByLabel("Name of Beta").waitFor();
    await book.getByLabel("Name of Alpha").fill("Home node");
    await book.getByLabel("Name of Alpha").press("Tab");
    await book.getByLabel("Name of Home node").waitFor();
    await scan(page, "saved pools");
    await fits(page, "saved pools");
    await save(page);
    assert.deepEqual(Object.keys((await file()).saved_pools), ["Home node", "Beta"]);
    const { secrets_set: secrets } = await dpmp.get("config");
    assert.ok(secrets.includes("saved_pools.Home node") && !secrets.includes("saved_pools.Beta"), secrets);
    // Nothing is in use before it is saved, and the owner sees that it moves money.
    const b = page.getByRole("region", { name: "Pool B", exact: true });
    await b.getByLabel("Choose a pool").selectOption("Home node");
    await until("the wallet", async () => (await page.locator("#setting-pools-B-wallet").inputValue()) === BTC);
    assert.equal((await file()).pools.B.wallet, "bob");
    const shown = await save(page);
    assert.match(shown, /decides where the money goes/);
    assert.match(shown, /Pool B: Password/);
    // This works even if so far only the address book has it.
    await page.getByRole("button", { name: "JSON" }).click();
    const json = page.locator("#json");
    const book2 = JSON.parse(await json.inputValue());
    book2.saved_pools.Beta.wallet = "mallory";
    await json.fill(JSON.stringify(book2));
    await page.press1("Review and save");
    await page.getByRole("dialog").getByText("decides where the money goes").waitFor();
    await page.getByRole("dialog").getByText("mallory@127.0.0.1:2").waitFor();
    await page.press1("Keep editing", page.getByRole("dialog"));
    await page.press1("Discard");
    await page.getByRole("button", { name: "Form" }).click();
    await page.locator("#setting-pools-A-host").waitFor();
    assert.equal((await file()).pools.B.name, "Home node");
    // The alert about a new payout address comes as after any other change.
    await until("the alert", async () => (await dpmp.get("status")).alerts.some((it) => it.id.startsWith("payout_changed:B")));
    await b.getByLabel("Choose a pool").selectOption("Beta");
    await until("the pool", async () => (await page.locator("#setting-pools-B-wallet").inputValue()) === "bob");
    assert.equal(await b.getByLabel("Choose a pool").inputValue(), "Beta");
    await b.getByLabel("Add a backup").selectOption("Home node");
    await until("the backup", async () => (await page.locator("#setting-pools-B-backups").inputValue()) === `stratum+tcp://${BTC}@127.0.0.1:1`);
    await page.press1("Delete Home node");
    await page.getByLabel("Name of Home node").waitFor({ state: "detached" });
    await page.press1("Delete Beta");
    await page.getByLabel("Name of Beta").waitFor({ state: "detached" });
    await save(page);
    const { pools, saved_pools: saved } = await file();
    assert.deepEqual([pools.B.host, saved], ["stratum+ssl://127.0.0.1:2", {}]);
    await closePage(page);
  });

  test(`the payout address of a saved pool is edited, with a review: ${size}`, async () => {
    const page = await configPage(options);
    await page.press1("Add pool A");
    const wallet = page.getByLabel("Payout address or account of Alpha");
    assert.equal(await wallet.inputValue(), BTC);
    await save(page);
    await page.getByText("Payout address and user name", { exact: true }).click();
    await wallet.fill("carol");
    await page.getByRole("region", { name: "Saved pools" }).getByText(/· carol$/).waitFor();
    await page.getByLabel("User name at the pool of Alpha").fill("{wallet}");
    await scan(page, "a saved pool that is edited");
    await fits(page, "a saved pool that is edited");
    const review = await save(page);
    assert.match(review, /decides where the money goes/);
    assert.match(review, /carol@/);
    const { Alpha } = (await file()).saved_pools;
    assert.deepEqual([Alpha.wallet, Alpha.user_name], ["carol", "{wallet}"]);
    assert.ok((await dpmp.get("config")).secrets_set.includes("saved_pools.Alpha"), "the password stays");
    await page.press1("Delete Alpha");
    await wallet.waitFor({ state: "detached" });
    await save(page);
    await closePage(page);
  });

  test(`A and B are swapped as a whole: ${size}`, async () => {
    const page = await configPage(options);
    const before = await file();
    await page.press1("Swap A and B");
    await until("the swap", async () => (await page.locator("#setting-pools-A-name").inputValue()) === "Beta");
    const review = await save(page);
    assert.match(review, /Pool A: Port/);
    assert.match(review, /A and B swap places\. The split/);
    const now = await file();
    assert.deepEqual([now.pools.A.host, now.pools.B.host], [before.pools.B.host, before.pools.A.host]);
    assert.deepEqual([now.downstream_diff.poolB_min, now.downstream_diff.poolA_min], [5, null]);
    const { secrets_set: secrets } = await dpmp.get("config");
    const secret = (slot) => secrets.includes(`pools.${slot}.password`);
    assert.notEqual(secret("A"), secret("B"), "the password has moved");
    await closePage(page);
  });

  test(`everyday settings come first, and the others can be found: ${size}`, async () => {
    const page = await configPage(options);
    const field = page.getByLabel("Length of a turn");
    assert.equal(await field.isVisible(), false);
    assert.equal(await page.locator("#setting-scheduler-poolA_weight").isVisible(), true);
    await page.getByLabel("Search settings").fill("turn");
    await field.waitFor();
    assert.equal(await page.locator("#setting-pools-A-host").isVisible(), false);
    await scan(page, "search");
    await fits(page, "search");
    for (const [text, heading] of [["saved pools", "Saved pools"], ["tokens", "Tokens for programs"], ["password", "Password of these pages"]]) {
      await page.getByLabel("Search settings").fill(text);
      await until("the other settings to disappear", async () => !(await field.isVisible()));
      assert.ok(await page.getByRole("heading", { name: heading, exact: true }).isVisible(), text);
      assert.equal(await page.getByRole("heading", { name: "Back-up", exact: true }).isVisible(), text === "password", text);
    }
    await page.getByLabel("Search settings").fill("no such thing");
    await page.getByText("No setting matches.").waitFor();
    await page.getByLabel("Search settings").fill("");
    await page.locator("#setting-pools-A-host").waitFor();
    await page.getByText("All settings", { exact: true }).first().click();
    await field.waitFor();
    await scan(page, "all settings");
    await fits(page, "all settings");
    await closePage(page);
  });

  test(`a link leads to its section: ${size}`, async () => {
    const inSight = (page, id) =>
      until(`${id} in sight`, () => page.locator(`#${id}`).evaluate((it) => it.checkVisibility() && it.getBoundingClientRect().top >= -1 && it.getBoundingClientRect().top < innerHeight));
    for (const id of ["section-logging", "setting-listen-port", "password-section", "section-saved_pools"]) {
      const page = await configPage(options, `#${id}`);
      await inSight(page, id);
      await closePage(page);
    }
    const page = await configPage(options);
    await page.locator("#setting-pools-A-name").fill("typed");
    // A link on the page itself.
    await page.evaluate(() => document.querySelector("h1").append(Object.assign(document.createElement("a"), { href: "#section-logging", textContent: "Log" })));
    await page.getByRole("link", { name: "Log", exact: true }).click();
    await inSight(page, "section-logging");
    assert.equal(await page.locator("#setting-pools-A-name").inputValue(), "typed");
    await closePage(page);
  });
}

for (const options of SIZES) {
  const size = options.hasTouch ? "touch" : "mouse";
  const press = (page, name) => {
    const button = page.getByRole("button", { name, exact: true });
    return options.hasTouch ? button.tap() : button.click();
  };

  test(`a known pool fills in the form and shows its source: ${size}`, async () => {
    const page = await configPage(options);
    const a = page.getByRole("region", { name: "Pool A", exact: true });
    const choice = a.getByLabel("Choose a pool");
    assert.equal(await choice.inputValue(), "", "none of these is in the form");
    await choice.selectOption("OCEAN");
    await a.getByText(/mine\.ocean\.xyz:3334, BTC\. User name: payout address and worker\. .*Looked up on \d{4}-\d\d-\d\d\./).waitFor();
    assert.match(await a.getByRole("link", { name: "Source" }).getAttribute("href"), /^https:/);
    await until("the host", async () => (await page.locator("#setting-pools-A-host").inputValue()) === "mine.ocean.xyz");
    assert.equal(await choice.inputValue(), "OCEAN");
    await until("the focus", () => choice.evaluate((it) => it === document.activeElement));
    assert.equal(await page.locator("#setting-pools-A-wallet").inputValue(), BTC, "an address that fits stays");
    await scan(page, "a known pool");
    await fits(page, "a known pool");
    // What is shown as chosen is what is in the form.
    await page.locator("#setting-pools-A-host").fill("other.example.org");
    assert.equal(await choice.inputValue(), "");
    await closePage(page);
  });

  test(`the set-up asks before it uses a pool that failed its test: ${size}`, async () => {
    const empty = await startEmpty({ saved_pools: { Dead: { host: "127.0.0.1", port: 1, wallet: "bob" } } });
    const page = await openPage(browser, empty.base, options);
    await page.goto(`${empty.base}/setup`);
    const known = page.getByLabel("Choose a pool");
    await known.waitFor();
    assert.ok((await known.locator("option").count()) > 12);
    await known.selectOption("Dead");
    await until("the wallet", async () => (await page.getByLabel("Wallet or account").inputValue()) === "bob");
    await scan(page, "set-up");
    await fits(page, "set-up");
    await press(page, "Next");
    await page.getByText("This pool does not work yet").waitFor();
    await page.getByRole("heading", { name: "Your first pool" }).waitFor();
    const anyway = page.getByRole("button", { name: "Use it anyway", exact: true });
    await anyway.waitFor();
    // Another pool is tested separately.
    await page.getByLabel("Port", { exact: true }).fill("2");
    await page.getByRole("button", { name: "Next", exact: true }).waitFor();
    await press(page, "Next");
    await anyway.waitFor();
    await scan(page, "a failed test");
    await press(page, "Use it anyway");
    await page.getByRole("heading", { name: "Your second pool" }).waitFor();
    await closePage(page);
    await empty.stop();
  });

  test(`the settings for the miner contain this machine's addresses: ${size}`, async () => {
    const page = await openPage(browser, dpmp.base, options);
    const two = ["192.168.1.10", "10.0.0.5"];
    await page.route("**/api/v1/connect", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ json: { ...(await answer.json()), addresses: two } });
    });
    await page.goto(`${dpmp.base}/connect`);
    await page.getByText(`stratum+tcp://${two[0]}:${dpmp.listen}`).waitFor();
    await page.getByLabel("Address", { exact: true }).selectOption(two[1]);
    await page.getByText(`stratum+tcp://${two[1]}:${dpmp.listen}`).waitFor();
    await scan(page, "connect");
    await fits(page, "connect");
    await closePage(page);
  });
}

// Makes the images for the app store's gallery: node gallery.mjs FOLDER [MINUTES]
// The demo runs for MINUTES first (10 by default), so that the charts have something to show. Compress the images
// before they go into umbrel/dpmp-proxy/gallery: pngquant --strip --quality 70-95
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { closePage, openPage, startBrowser, startDemo, until } from "./support.mjs";

const [folder, minutes = "10"] = process.argv.slice(2);
if (!folder) throw new Error("name the folder for the images");

/** The pages in the gallery's order, and what each shows when it is complete. */
const PAGES = [
  ["/", (page) => page.getByText("H/s").first().waitFor()],
  ["/miners", (page) => page.getByRole("button", { name: "bitaxe", exact: true }).waitFor()],
  ["/config", (page) => page.getByLabel("Weight of pool A").waitFor()],
  ["/logs", async (page) => {
    await page.getByRole("button", { name: "All", exact: true }).click();
    await page.locator(".log li").first().waitFor();
  }],
];

/** The simulated miners do some 480,000 hashes a second. The pictures show ten million times that, as of real miners. */
const SCALE = 1e7;

/** The same with every hashrate and difficulty of shares multiplied. */
function scaled(value, name = "") {
  if (Array.isArray(value)) return value.map((item) => scaled(item, name));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, scaled(item, key)]));
  }
  const isRate = /^(hashrate(_\w+)?|difficulty(_min|_max)?|best_share_ever)$/.test(name);
  return isRate && typeof value === "number" ? value * SCALE : value;
}

async function scaleAnswer(route) {
  const answer = await route.fetch();
  await route.fulfill({ response: answer, json: scaled(await answer.json()) });
}

const demo = await startDemo();
const browser = await startBrowser();
try {
  const oldEnough = async () => (await demo.get("status")).uptime_seconds >= 60 * Number(minutes);
  await until("the demo to run long enough", oldEnough, 60_000 * (Number(minutes) + 1));
  mkdirSync(folder, { recursive: true });
  const page = await openPage(browser, demo.base, { colorScheme: "dark", viewport: { width: 1440, height: 900 } });
  for (const path of ["status", "miners", "events?**"]) await page.route(`**/api/v1/${path}`, scaleAnswer);
  for (const [index, [path, complete]] of PAGES.entries()) {
    await page.goto(demo.base + path);
    await complete(page);
    await page.getByText(/^Mining, /).waitFor();
    // The warning that the pages have no password; umbrelOS asks for its own.
    const seen = page.getByRole("button", { name: "Dismiss" });
    if (await seen.isVisible()) {
      await seen.click();
      await seen.waitFor({ state: "hidden" });
    }
    await page.screenshot({ path: join(folder, `${index + 1}.png`) });
  }
  // The Logs page waits for events.
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await closePage(page);
} finally {
  await browser.close();
  await demo.stop();
}

// Makes the pictures of the app store's gallery: node gallery.mjs FOLDER [MINUTES]
// The demo runs for MINUTES first (10 if not said), so that the charts have something to show. Make them small before
// they go into umbrel/dpmp-proxy/gallery: pngquant --strip --quality 70-95
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { closePage, openPage, startBrowser, startDemo, until } from "./support.mjs";

const [folder, minutes = "10"] = process.argv.slice(2);
if (!folder) throw new Error("say into which folder the pictures go");

/** The pages in the gallery's order, and what each shows when it is complete. */
const PAGES = [
  ["/", (page) => page.getByText("H/s").first().waitFor()],
  ["/miners", (page) => page.getByRole("button", { name: "bitaxe", exact: true }).waitFor()],
  ["/config", (page) => page.getByLabel("Length of a turn").waitFor()],
  ["/logs", (page) => page.locator(".log li").first().waitFor()],
];

const demo = await startDemo();
const browser = await startBrowser();
try {
  const oldEnough = async () => (await demo.get("status")).uptime_seconds >= 60 * Number(minutes);
  await until("the demo's age", oldEnough, 60_000 * (Number(minutes) + 1));
  mkdirSync(folder, { recursive: true });
  const page = await openPage(browser, demo.base, { colorScheme: "dark", viewport: { width: 1440, height: 900 } });
  for (const [index, [path, complete]] of PAGES.entries()) {
    await page.goto(demo.base + path);
    await complete(page);
    // The warning that the pages have no password; umbrelOS asks for its own.
    const seen = page.getByRole("button", { name: "Dismiss" });
    if (await seen.isVisible()) {
      await seen.click();
      await seen.waitFor({ state: "hidden" });
    }
    await page.screenshot({ path: join(folder, `${index + 1}.png`) });
  }
  await closePage(page);
} finally {
  await browser.close();
  await demo.stop();
}

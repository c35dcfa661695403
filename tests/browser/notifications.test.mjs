// Notifications on a phone: a target is added, tested, changed and deleted, and its secrets are not on the page.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { closePage, fits, openPage, scan, startBrowser, startEmpty, until } from "./support.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const TOKEN = "tk_right-secret";
const TOPIC = "topic-nobody-guesses";

let browser;
let dpmp;

before(async () => {
  browser = await startBrowser();
  dpmp = await startEmpty();
});

after(async () => {
  await browser?.close();
  await dpmp?.stop();
});

/** A server as ntfy is one, which takes messages with the right token only. */
async function startNtfy() {
  const got = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      const right = request.headers.authorization === `Bearer ${TOKEN}`;
      if (right) got.push(JSON.parse(body));
      response.writeHead(right ? 200 : 401, { "Content-Type": "application/json" });
      response.end(right ? "{}" : '{"code":40101,"http":401,"error":"unauthorized"}');
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { got, base: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

test("a target is added, tested and changed by touch, and its secrets are never shown", async () => {
  const ntfy = await startNtfy();
  const page = await openPage(browser, dpmp.base, { ...PHONE, forgive: /422/ });
  const button = (name) => page.getByRole("button", { name, exact: true });
  await page.goto(`${dpmp.base}/config`);
  await page.getByRole("link", { name: "Notifications" }).first().tap();
  await page.waitForURL(/\/notifications$/);
  await page.getByText("None yet.").first().waitFor();
  await scan(page, "no targets");

  // Each service has its own fields and a line that says where to find them.
  await button("Add target").tap();
  for (const [kind, labels] of Object.entries({ telegram: ["Token", "Chat ID"], pushover: ["Token", "User key"], gotify: ["Address", "Token"], discord: ["Address"], webhook: ["Address", "JSON"], heartbeat: ["Address"], ntfy: ["Address", "Token"] })) {
    await page.getByLabel("Service").selectOption(kind);
    const found = await page.locator("dialog form, dialog .password-form .field label").allInnerTexts();
    assert.deepEqual(found.filter((it) => !["Name", "Quiet from", "Quiet to"].includes(it)), labels, kind);
    await scan(page, kind);
    await fits(page, kind);
  }
  await button("Save").tap();
  await page.getByText("Enter a name that no other target has.").waitFor();
  await page.getByLabel("Name").fill("phone");
  await page.getByLabel("Address").fill("ntfy.sh/without-a-scheme");
  await button("Save").tap();
  await page.getByText(/Enter an address that begins with https:/).waitFor();
  await page.getByLabel("Address").fill(`${ntfy.base}/${TOPIC}`);
  await page.getByLabel("Token").fill("tk_wrong-secret");
  await page.getByLabel("Quiet from").fill("23:00");
  await page.getByLabel("Quiet to").fill("07:00");
  await button("Save").tap();
  await page.getByText("quiet 23:00 to 07:00").waitFor();

  await button("Test phone").tap();
  await page.getByText("Not sent to phone: HTTP 401: unauthorized").waitFor();
  assert.equal(ntfy.got.length, 0);
  await button("Edit phone").tap();
  await page.getByLabel("Token").fill(TOKEN);
  await button("Save").tap();
  await page.getByText("phone is saved.").last().waitFor();
  await button("Test phone").tap();
  await page.getByText("Sent to phone. Check that it has arrived.").waitFor();
  assert.equal(ntfy.got[0].topic, TOPIC, "the address was kept while the token changed");

  // One setting changes without the secrets, and a reloaded page has none of them.
  await button("Edit phone").tap();
  await page.getByLabel("Send", { exact: true }).selectOption("error");
  await scan(page, "a target with secrets");
  await button("Save").tap();
  await page.getByText(/Errors · quiet/).waitFor();
  await page.reload();
  await button("Edit phone").tap();
  const [shown, values] = await page.evaluate(() => [document.documentElement.outerHTML, [...document.querySelectorAll("input")].map((it) => it.value).join(" ")]);
  for (const secret of [TOKEN, "tk_wrong-secret", TOPIC]) assert.ok(!`${shown} ${values}`.includes(secret), secret);
  // Another host does not get the saved token.
  await page.getByLabel("Address").fill("http://127.0.0.1:9/x");
  await button("Save").tap();
  await page.getByText(/Enter the whole text again: the saved one is only used for ntfy at/).waitFor();
  await page.keyboard.press("Escape");
  await button("Test phone").tap();
  await until("the message with the saved token", () => ntfy.got.length === 2);

  const send = page.getByRole("checkbox", { name: "Send to phone" });
  await send.tap();
  await page.getByText("phone is off.").waitFor();
  await until("it to be off", async () => (await dpmp.get("notify")).targets.phone.enabled === false);
  await scan(page, "a target that is off");
  await fits(page, "notifications");
  await button("Edit phone").tap();
  await button("Delete").tap();
  await page.getByText("phone is deleted.").waitFor();
  assert.deepEqual((await dpmp.get("notify")).targets, {});
  await closePage(page);
  ntfy.stop();
});

test("sent messages are listed with their result", async () => {
  const page = await openPage(browser, dpmp.base, PHONE);
  const record = (result, problem) => ({ at_ms: 1790000000000, target: "phone", id: "pool_down:A", title: `Pool A is down (${result}) <b>`, result, problem });
  const history = [record("waits", "HTTP 500"), record("sent", null), record("failed", "HTTP 401: unauthorized")];
  await page.route(/\/api\/v1\/notify$/, (route) => route.fulfill({ json: { targets: {}, history } }));
  await page.goto(`${dpmp.base}/notifications`);
  await page.getByText("Pool A is down (waits) <b>").waitFor();
  await page.getByText("waiting", { exact: true }).waitFor();
  await page.getByText("phone · HTTP 401: unauthorized").waitFor();
  await scan(page, "a history");
  await fits(page, "a history");
  await closePage(page);
});

// What the browser tests need: the real program with its demo, a program without pools, a browser, and waiting for
// conditions. This file knows nothing about what the pages look like.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** The program to test; `.ci/run` names the one that it has built. */
const PROGRAM = process.env.DPMP ?? new URL("../../target/release/dpmp", import.meta.url).pathname;

/** How long anything may take. It is long because nothing waits for it if all is well. */
export const SOON = 60_000;

const BROWSER_FLAGS =
  "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync --disable-quic";

const AXE = readFileSync(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** Waits until `probe` yields something true, and returns that. */
export async function until(what, probe, patience = SOON) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < deadline, `still waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A running program in a folder of its own. */
class Program {
  constructor(args, folder) {
    this.folder = folder;
    this.lines = [];
    this.child = spawn(PROGRAM, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.child.on("exit", resolve));
    createInterface({ input: this.child.stdout }).on("line", (line) => this.lines.push(line));
  }

  /** The first group of the first line that fits. */
  line(pattern) {
    return until(`a line like ${pattern}`, () => this.lines.map((line) => line.match(pattern)?.[1]).find(Boolean));
  }

  /** Asks the API. */
  async get(path) {
    const answer = await fetch(`${this.base}/api/v1/${path}`);
    assert.equal(answer.status, 200, path);
    return answer.json();
  }

  /** Changes something as another browser would. */
  async send(method, path, body) {
    const { token } = await this.get("session");
    const headers = { "Content-Type": "application/json", "X-DPMP-Token": token };
    const answer = await fetch(`${this.base}/api/v1/${path}`, { method, headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.text());
  }

  async stop() {
    this.child.kill("SIGTERM");
    const code = await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
    assert.equal(code, 0, "it stops cleanly");
  }
}

const folder = () => mkdtempSync(join(tmpdir(), "dpmp-browser-"));

/** The demo: two simulated pools, simulated miners, the proxy. */
export async function startDemo() {
  const program = new Program(["demo"], folder());
  program.base = (await program.line(/pages\s+(http:\S+)\//)).replace(/\/$/, "");
  program.pools = [await program.line(/pool A .*127\.0\.0\.1:(\d+)/), await program.line(/pool B .*127\.0\.0\.1:(\d+)/)];
  await until("shares at both pools", async () => {
    const { pools } = await program.get("status");
    return pools.A.accepted > 0 && pools.B.accepted > 0;
  });
  return program;
}

/** The program as it is started first: with ports of its own, and no pools unless `more` of the configuration has some. */
export async function startEmpty(more = {}) {
  const place = folder();
  const [listen, metrics, gui] = [await freePort(), await freePort(), await freePort()];
  const config = join(place, "config.json");
  const on = (port) => ({ host: "127.0.0.1", port });
  writeFileSync(config, JSON.stringify({ listen: on(listen), metrics: on(metrics), gui: on(gui), ...more }));
  const program = new Program(["--config", config], place);
  program.base = `http://127.0.0.1:${gui}`;
  program.listen = listen;
  await until("the pages", () => fetch(program.base).then((answer) => answer.ok, () => false));
  return program;
}

/** A miner that asks for work at a port; resolves with the first job. */
export function firstJob(port) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.setTimeout(SOON, () => reject(new Error("no job")));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed without a job")));
    createInterface({ input: socket }).on("line", (line) => {
      const message = JSON.parse(line);
      if (message.method === "mining.notify") resolve({ message, hangUp: () => socket.destroy() });
    });
    const requests = [
      { id: 1, method: "mining.subscribe", params: ["browser-test/1"] },
      { id: 2, method: "mining.authorize", params: ["test.rig", "x"] },
    ];
    socket.write(requests.map((request) => JSON.stringify(request) + "\n").join(""));
  });
}

export function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: BROWSER_FLAGS.split(" ") });
}

const CHANGED = "net::ERR_NETWORK_CHANGED";

/** Starts a browser and the demo before a file's tests and ends them after; `take(browser, demo)` is given both. */
export function useDemo(take) {
  let browser;
  let demo;
  before(async () => {
    browser = await startBrowser();
    demo = await startDemo();
    take(browser, demo);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });
}

/** A page that notes everything that a page must not do. `forgive`: texts of the console that a test provokes. */
export async function openPage(browser, base, { forgive = /$^/, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    timezoneId: "UTC",
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`error: ${error.stack}`));
  // When this machine's network changes, the browser cancels requests. That is not a fault of the page.
  let interrupted = false;
  page.on("requestfailed", (request) => (interrupted ||= request.failure()?.errorText === CHANGED));
  const go = page.goto.bind(page);
  page.goto = async (...args) => {
    for (let tries = 3; ; tries -= 1) {
      interrupted = false;
      // The browser does not load an open address again if only the part after "#" differs.
      const response = await (tries < 3 && page.url() === args[0] ? page.reload() : go(...args)).catch((error) => {
        if (!interrupted) throw error;
      });
      if (!interrupted || tries === 0) return response;
    }
  };
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !forgive.test(message.text()) && !message.text().includes(CHANGED)) {
      page.faults.push(`console: ${message.text()} ${message.location().url}`);
    }
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== base && protocol !== "data:" && protocol !== "blob:") page.faults.push(`asks elsewhere: ${request.url()}`);
  });
  return page;
}

/** Ends a page's context; nothing may have gone wrong on it. */
export async function closePage(page) {
  await page.context().close();
  assert.deepEqual(page.faults, []);
}

/** Has the accessibility of what is shown checked. */
export async function scan(page, name) {
  // Colors in transition are not findings.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((it) => it.effect?.getTiming().iterations !== Infinity).map((it) => it.finished.catch(() => {}))));
  const { violations } = await page.evaluate(`${AXE};axe.run(document, { resultTypes: ["violations"] })`);
  const found = violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" / ")}`);
  assert.deepEqual(found, [], name);
}

/** Nothing sticks out at the side. */
export async function fits(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${name} is ${over} px too wide`);
}

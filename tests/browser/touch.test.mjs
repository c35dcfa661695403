// Fingers that scroll a phone's page land anywhere, even on controls that move money. Real touches, at 360 px.
import assert from "node:assert/strict";
import { test } from "node:test";
import { closePage, openPage, scan, startEmpty, until, useDemo } from "./support.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
/** Touch events for each straight line: of a swipe, and of a flick. */
const STEPS = 12;
const FLICK = 3;

let browser;
let demo;
useDemo((...both) => ([browser, demo] = both));

const weights = async () => {
  const { pools } = await demo.get("status");
  return [pools.A.weight, pools.B.weight];
};
const weightsAre = (a, b) => until(`the weights ${a}:${b}`, async () => String(await weights()) === String([a, b]));

const setWeights = ([A, B]) => demo.send("PUT", "weights", { A, B });

/** Home on a phone, with hands for it. What is asked of the server to change is noted. */
async function phone() {
  const page = await openPage(browser, demo.base, PHONE);
  const changes = [];
  page.on("request", (request) => request.method() !== "GET" && !request.url().endsWith("/preview") && changes.push(request.url()));
  await page.goto(demo.base);
  const slider = page.getByRole("slider", { name: /Part of the work for pool A/ });
  await slider.waitFor();
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, ...points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x: Math.round(x), y: Math.round(y), id })) });
  const hands = {
    page,
    slider,
    changes,
    touch,
    /** Where the slider is on the screen: its thumb is at `x(percent)`. */
    async place() {
      await slider.scrollIntoViewIfNeeded();
      const { x, y, width, height } = await slider.boundingBox();
      return { x: (percent) => x + 18 + ((width - 36) * percent) / 100, y: y + height / 2 };
    },
    /** Puts a finger down, moves it through all the points in straight lines, and lifts it. */
    swipe: (start, ...points) => hands.move(STEPS, start, points),
    async move(steps, start, points) {
      await touch("touchStart", start);
      let [x, y] = start;
      for (const [toX, toY] of points) {
        for (let step = 1; step <= steps; step++) await touch("touchMove", [x + ((toX - x) * step) / steps, y + ((toY - y) * step) / steps]);
        [x, y] = [toX, toY];
      }
      await touch("touchEnd");
    },
    scrolled: () => page.evaluate(() => scrollY),
    top: () => page.evaluate(() => scrollTo(0, 0)),
    /** What the pages show is what is in force, also after a moment in which a late change would have been sent. */
    async unmoved(what, [a, b]) {
      const polls = [1, 2].map(() => page.waitForResponse(/status/));
      await Promise.all(polls);
      assert.deepEqual(changes, [], what);
      assert.deepEqual(await weights(), [a, b], what);
      assert.equal(Number(await slider.inputValue()), a, what);
      assert.equal(await page.getByText("Not applied yet").isVisible(), false, what);
    },
    async close() {
      await cdp.detach();
      await closePage(page);
    },
  };
  return hands;
}

test("a finger that scrolls over the slider leaves the split as it is", async () => {
  const before = await weights();
  const hands = await phone();
  for (const percent of [8, 35, before[0], 90]) {
    await hands.top();
    const at = await hands.place();
    const from = await hands.scrolled();
    await hands.swipe([at.x(percent), at.y], [at.x(percent) + 12, at.y - 250]);
    await until("the page to scroll", async () => (await hands.scrolled()) > from + 50);
    await hands.unmoved(`scrolled from ${percent}`, before);
  }
  // The browser's own gesture is closest to a real finger.
  await hands.top();
  const at = await hands.place();
  const cdp = await hands.page.context().newCDPSession(hands.page);
  await cdp.send("Input.synthesizeScrollGesture", { x: Math.round(at.x(20)), y: Math.round(at.y), yDistance: -300, gestureSourceType: "touch" });
  await hands.unmoved("a scroll gesture", before);
  await hands.close();
});

test("a flick that starts on the thumb and is not clearly sideways changes and proposes nothing", async () => {
  const before = await weights();
  // The moves of each gesture in order, in pixels to the right and down.
  const gestures = [
    ["up and left at 45 degrees", 60, [-104, -96]],
    ["40 px sideways and 20 px up, then up", 60, [40, -20], [0, -180]],
    ["16 px sideways, then up", 60, [16, 0], [0, -180]],
    ["right and up in a flat line", 70, [150, -90]],
    ["left and down in a flat line", 70, [-150, 90]],
    ["sideways, then down by more than the thumb's height", 60, [-90, 0], [0, 60]],
    ["a short way sideways, then a little up", 60, [14, 0], [0, -24]],
  ];
  const hands = await phone();
  for (const [what, percent, ...moves] of gestures) {
    await setWeights([percent, 100 - percent]);
    await until("the split on the page", async () => Number(await hands.slider.inputValue()) === percent);
    for (const steps of [STEPS, FLICK]) {
      await hands.top();
      const at = await hands.place();
      let point = [at.x(percent), at.y];
      const path = moves.map(([right, down]) => (point = [point[0] + right, point[1] + down]));
      await hands.move(steps, [at.x(percent), at.y], path);
      await hands.unmoved(`${what}, ${steps} steps`, [percent, 100 - percent]);
    }
  }
  await hands.close();
  await setWeights(before);
});

test("a canceled drag keeps the split that was proposed before it", async () => {
  const before = await weights();
  const hands = await phone();
  const at = await hands.place();
  const apply = (a) => hands.page.getByRole("button", { name: `Apply ${a}:${100 - a}`, exact: true });
  await hands.swipe([at.x(before[0]), at.y], [at.x(25), at.y]);
  const proposed = Number(await hands.slider.inputValue());
  await apply(proposed).waitFor();
  const { x, y } = await hands.place();
  await hands.swipe([x(proposed), y], [x(proposed) + 60, y], [x(proposed) + 60, y - 120]);
  await apply(proposed).waitFor();
  assert.equal(Number(await hands.slider.inputValue()), proposed);
  // With the mouse: Chromium takes a tap right after a flick as the end of its momentum.
  await hands.page.getByRole("button", { name: "Cancel" }).click();
  await hands.unmoved("after Cancel", before);
  await hands.close();
});

test("a tap on the slider's track, or next to the thumb, changes nothing", async () => {
  const before = await weights();
  const hands = await phone();
  const at = await hands.place();
  for (const percent of [5, before[0] - 25, before[0], 95]) {
    await hands.page.touchscreen.tap(at.x(percent), at.y);
    await hands.unmoved(`a tap at ${percent}`, before);
  }
  await hands.swipe([at.x(before[0]) - 90, at.y], [at.x(100), at.y]);
  await hands.unmoved("a swipe along the track", before);
  await hands.close();
});

test("a drag that the browser interrupts is undone", async () => {
  const before = await weights();
  const hands = await phone();
  const at = await hands.place();
  const thumb = [at.x(before[0]), at.y];
  await hands.touch("touchStart", thumb);
  for (let step = 1; step <= 8; step++) await hands.touch("touchMove", [thumb[0] - step * 10, thumb[1]]);
  await until("the thumb to follow", async () => Number(await hands.slider.inputValue()) < before[0] - 10);
  await hands.touch("touchCancel");
  await hands.unmoved("a cancelled drag", before);
  // A second finger: the owner wants to zoom.
  await hands.touch("touchStart", thumb);
  for (let step = 1; step <= 4; step++) await hands.touch("touchMove", [thumb[0] - step * 10, thumb[1]]);
  await hands.touch("touchStart", [thumb[0] - 40, thumb[1]], [thumb[0] - 80, thumb[1]]);
  await hands.touch("touchMove", [thumb[0] - 20, thumb[1]], [thumb[0] - 120, thumb[1]]);
  await hands.touch("touchEnd");
  await hands.unmoved("two fingers", before);
  await hands.close();
});

test("a finger that drags the thumb sideways proposes a split, and Apply sets it", async () => {
  const before = await weights();
  const hands = await phone();
  const at = await hands.place();
  // Back and forth, with the wobble of a real finger.
  await hands.swipe([at.x(before[0]), at.y], [at.x(before[0] - 40), at.y + 6], [at.x(before[0] - 30), at.y + 12]);
  await hands.page.getByText("Not applied yet").waitFor();
  await Promise.all([1, 2].map(() => hands.page.waitForResponse(/status/)));
  assert.deepEqual([hands.changes, await weights()], [[], before], "a drag only proposes");
  const dragged = Number(await hands.slider.inputValue());
  assert.ok(Math.abs(dragged - (before[0] - 30)) <= 1, `dragged to ${dragged}`);
  await scan(hands.page, "a proposed split");
  const apply = hands.page.getByRole("button", { name: `Apply ${dragged}:${100 - dragged}`, exact: true });
  await apply.tap();
  await weightsAre(dragged, 100 - dragged);
  await hands.page.getByText(`The split is now ${dragged}:${100 - dragged}.`).waitFor();
  await apply.waitFor({ state: "hidden" });
  // With a finger, undo and swap ask first, too.
  const set = await weights();
  const tap = (name) => hands.page.getByRole("button", { name, exact: true }).first().tap();
  const quiet = hands.changes.length;
  await tap("Swap");
  await hands.page.getByText("Not applied yet").waitFor();
  await Promise.all([1, 2].map(() => hands.page.waitForResponse(/status/)));
  assert.equal(hands.changes.length, quiet, "a tap on Swap only asks");
  assert.deepEqual(await weights(), set);
  await tap("Cancel");
  assert.equal(Number(await hands.slider.inputValue()), set[0]);
  await tap("Swap");
  await tap(`Apply ${set[1]}:${set[0]}`);
  await weightsAre(set[1], set[0]);
  for (const back of [set, before]) {
    await hands.page.locator(".split-tools").getByRole("button", { name: "Undo" }).tap();
    await tap(`Apply ${back[0]}:${back[1]}`);
    await weightsAre(...back);
  }
  await hands.close();
});

test("a number applies when it is confirmed, not when its field is left", async () => {
  const before = await weights();
  const hands = await phone();
  const field = hands.page.getByLabel("Percent for pool A");
  await field.tap();
  // 70 was meant.
  await field.fill("7");
  await hands.page.getByRole("heading", { name: "Target", exact: true }).tap();
  await field.evaluate((field) => field.blur());
  await Promise.all([1, 2].map(() => hands.page.waitForResponse(/status/)));
  assert.deepEqual([hands.changes, await weights()], [[], before]);
  await hands.page.getByRole("button", { name: "Cancel" }).tap();
  await hands.unmoved("after Cancel", before);
  await field.fill("7");
  await hands.page.getByRole("button", { name: "Apply 7:93" }).tap();
  await weightsAre(7, 93);
  await hands.page.getByText("The split is now 7:93.").waitFor();
  await field.fill(String(before[0]));
  await field.press("Enter");
  await weightsAre(...before);
  await hands.close();
});

test("scrolling with the wheel or the keys changes no setting that moves money", async () => {
  const before = await weights();
  const page = await openPage(browser, demo.base, { viewport: { width: 360, height: 740 } });
  const changes = [];
  page.on("request", (request) => request.method() !== "GET" && !request.url().endsWith("/preview") && changes.push(request.url()));
  await page.goto(demo.base);
  const slider = page.getByRole("slider", { name: /Part of the work for pool A/ });
  await slider.waitFor();
  await slider.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await slider.boundingBox();
  // After a click on the thumb it must not keep the focus, or the next Page Down would be a change.
  await page.mouse.click(x + 18 + ((width - 36) * before[0]) / 100, y + height / 2);
  for (const key of ["PageDown", "PageUp", "ArrowDown", "End", "Home", " "]) await page.keyboard.press(key);
  await slider.scrollIntoViewIfNeeded();
  for (const target of [slider, page.getByLabel("Percent for pool A"), page.getByLabel("Percent for pool B")]) {
    const box = await target.boundingBox();
    if (target !== slider) await target.focus();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    for (const way of [60, -60]) await page.mouse.wheel(0, way);
  }
  await Promise.all([1, 2].map(() => page.waitForResponse(/status/)));
  assert.deepEqual([changes, await weights()], [[], before]);
  await closePage(page);
});

test("the slider in Set-up is just as steady", async () => {
  const dpmp = await startEmpty();
  const page = await openPage(browser, dpmp.base, PHONE);
  await page.goto(`${dpmp.base}/setup`);
  // "Next" tests the pool first, so the next pool's fields can be filled in only once that step is shown.
  for (const [name, step] of [["A", "Your first pool"], ["B", "Your second pool"]]) {
    await page.getByRole("heading", { name: step }).waitFor();
    await page.getByLabel("Host", { exact: true }).fill("127.0.0.1");
    await page.getByLabel("Port", { exact: true }).fill("1");
    await page.getByLabel("Wallet or account").fill(`wallet${name}`);
    await page.locator(".setup-foot .primary").click();
    await page.getByRole("button", { name: "Use it anyway" }).click();
  }
  const slider = page.getByRole("slider", { name: /Part of the work for pool A/ });
  await slider.waitFor();
  const { x, y, width, height } = await slider.boundingBox();
  const at = (percent) => x + 18 + ((width - 36) * percent) / 100;
  await page.touchscreen.tap(at(10), y + height / 2);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Input.synthesizeScrollGesture", { x: Math.round(at(85)), y: Math.round(y + height / 2), yDistance: -150, gestureSourceType: "touch" });
  assert.equal(await slider.inputValue(), "50");
  const [box] = [await slider.boundingBox()];
  const drag = (type, points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  const middle = { x: Math.round(at(50)), y: Math.round(box.y + height / 2) };
  await drag("touchStart", [middle]);
  for (let step = 1; step <= 10; step++) await drag("touchMove", [{ x: Math.round(middle.x + (step * (at(80) - at(50))) / 10), y: middle.y }]);
  await drag("touchEnd", []);
  await until("the drag to take effect", async () => Math.abs(Number(await slider.inputValue()) - 80) <= 1);
  await closePage(page);
  await dpmp.stop();
});

// The split: what is set, and the control that sets it live. While the owner drags, types or waits
// for the answer, the control is his: what the server says meanwhile does not touch it.
import * as api from "./api.js";
import { ratio, trimmed } from "./format.js";
import { button, debounce, h, setText, toast } from "./ui.js";

/** Keys may be held down; the weights are sent when they rest. */
const KEY_REST_MS = 500;

export function splitControl() {
  const view = build();
  let server = null;
  let names = { A: "Pool A", B: "Pool B" };
  /** What the owner is setting: the percent of pool A, or null if he is not. */
  let draft = null;
  let sending = false;
  let before = [];

  const percentOf = (weights) => (100 * weights.A) / (weights.A + weights.B);
  const current = () => draft ?? (server ? percentOf(server) : null);

  function render() {
    const a = current();
    if (a === null) return;
    view.show(a, names, { typing: document.activeElement });
    view.undo.disabled = before.length === 0 || sending;
    view.undo.title = before.length ? `Back to ${ratio(percentOf(before.at(-1)) / 100)}` : "Nothing to undo";
    view.swap.disabled = sending;
  }

  function edit(a) {
    draft = a;
    setText(view.error, "");
    render();
  }

  async function commit() {
    rest.cancel();
    if (draft === null || sending) return;
    const a = draft;
    if (server && Math.abs(percentOf(server) - a) < 1e-9) return release();
    // Rounded so that 100 - 66.6 does not become 33.400000000000006.
    await send({ A: a, B: Number((100 - a).toFixed(6)) });
  }

  async function send(weights, { undoing = false } = {}) {
    sending = true;
    const sent = draft;
    view.root.setAttribute("aria-busy", "true");
    try {
      const answer = await api.weights(weights.A, weights.B);
      if (!undoing) before.push(answer.previous);
      server = { A: answer.A, B: answer.B };
      const back = undoing ? null : { label: "Undo", run: undo };
      toast(`The split is ${ratio(percentOf(server) / 100)} now. It takes effect with the miners' next turns.`, { action: back });
    } catch (error) {
      setText(view.error, `Not applied: ${error.message}`);
    }
    sending = false;
    view.root.removeAttribute("aria-busy");
    // Whoever went on dragging meanwhile keeps the control.
    if (draft === sent) release();
    else rest();
  }

  function release() {
    draft = null;
    render();
  }

  async function undo() {
    const weights = before.pop();
    if (!weights || sending) return;
    draft = percentOf(weights);
    render();
    await send(weights, { undoing: true });
  }

  const rest = debounce(commit, KEY_REST_MS);
  let byKey = false;
  view.slider.addEventListener("keydown", () => (byKey = true));
  view.slider.addEventListener("pointerdown", () => (byKey = false));
  view.slider.addEventListener("input", () => edit(Number(view.slider.value)));
  view.slider.addEventListener("change", () => (byKey ? rest() : commit()));
  view.slider.addEventListener("blur", commit);
  for (const pool of ["A", "B"]) {
    const field = view.fields[pool];
    field.addEventListener("input", () => typed(pool, field.value));
    field.addEventListener("keydown", (event) => onFieldKey(event));
    field.addEventListener("blur", () => (valid(field) ? commit() : abandon()));
  }
  view.swap.addEventListener("click", () => (edit(Number((100 - current()).toFixed(6))), commit()));
  view.undo.addEventListener("click", undo);

  function typed(pool, text) {
    const value = parsePercent(text);
    const field = view.fields[pool];
    field.setAttribute("aria-invalid", String(value === null));
    // What cannot be used stays in the field, and the control stays the owner's.
    if (value === null) {
      draft = current();
      setText(view.error, "Enter a number from 0 to 100.");
      return;
    }
    edit(pool === "A" ? value : Number((100 - value).toFixed(6)));
  }

  function onFieldKey(event) {
    if (event.key === "Enter" && valid(event.target)) commit();
    if (event.key === "Escape") abandon();
  }

  function abandon() {
    setText(view.error, "");
    draft = null;
    Object.values(view.fields).forEach((field) => field.removeAttribute("aria-invalid"));
    if (server) view.show(percentOf(server), names, { typing: null });
  }

  return {
    element: view.root,
    show(status) {
      names = { A: status.pools.A.name, B: status.pools.B.name };
      if (!sending) server = { A: status.pools.A.weight, B: status.pools.B.weight };
      if (draft === null && !view.fields.A.matches(":focus[aria-invalid=true]") && !view.fields.B.matches(":focus[aria-invalid=true]")) render();
    },
    leave: () => rest.cancel(),
  };
}

const valid = (field) => parsePercent(field.value) !== null;

/** A number from 0 to 100, with point or comma, or null. */
export function parsePercent(text) {
  const value = Number(text.trim().replace(",", ".").replace(/\s*%$/, ""));
  if (text.trim() === "" || !Number.isFinite(value) || value < 0 || value > 100) return null;
  return value;
}

function build() {
  const slider = h("input", { type: "range", min: "0", max: "100", step: "1", class: "split-slider", "aria-label": "Part of the work for pool A, in percent" });
  const fields = { A: percentField("A"), B: percentField("B") };
  const big = { A: h("span", { class: "huge text-a" }), B: h("span", { class: "huge text-b" }) };
  const labels = { A: h("span", { class: "ellipsis" }), B: h("span", { class: "ellipsis" }) };
  const hint = h("p", { class: "note" });
  const error = h("p", { class: "field-error", role: "alert" });
  const swap = button("Swap", null, { image: "swap" });
  const undo = button("Undo", null, { image: "undo" });
  const root = h(
    "div",
    { class: "split" },
    h("h2", { class: "eyebrow" }, "Split"),
    h("p", { class: "huge-line split-big" }, big.A, h("span", { class: "huge colon" }, ":"), big.B),
    hint,
    h(
      "div",
      { class: "split-control" },
      h("div", { class: "split-names" }, h("span", { class: "text-a" }, h("span", { class: "badge pool-a", "aria-hidden": "true" }, "A"), labels.A), h("span", { class: "text-b" }, labels.B, h("span", { class: "badge pool-b", "aria-hidden": "true" }, "B"))),
      slider,
      h("div", { class: "split-tools" }, h("label", {}, h("span", { class: "sr-only" }, "Percent for pool A"), fields.A, h("span", { class: "note" }, "% to A")), h("div", { class: "actions" }, swap, undo), h("label", {}, h("span", { class: "sr-only" }, "Percent for pool B"), fields.B, h("span", { class: "note" }, "% to B"))),
      error,
    ),
  );
  const show = (a, names, { typing }) => {
    const b = 100 - a;
    setText(big.A, trimmed(a, 1));
    setText(big.B, trimmed(b, 1));
    setText(labels.A, names.A);
    setText(labels.B, names.B);
    setText(hint, inWords(a, names));
    slider.value = a;
    slider.style.setProperty("--share", `${a}%`);
    slider.setAttribute("aria-valuetext", `${trimmed(a)} percent to ${names.A}, ${trimmed(b)} percent to ${names.B}`);
    for (const [pool, value] of [["A", a], ["B", b]]) {
      if (fields[pool] === typing) continue;
      fields[pool].value = trimmed(value);
      fields[pool].removeAttribute("aria-invalid");
    }
  };
  return { root, slider, fields, swap, undo, error, show };
}

function percentField(pool) {
  return h("input", { type: "text", inputmode: "decimal", class: `percent-field pool-${pool.toLowerCase()}-edge`, autocomplete: "off", size: "5", maxlength: "10" });
}

/** What a split means for a miner. */
export function inWords(a, names) {
  if (a >= 100) return `All work goes to ${names.A}. ${names.B} is not connected to.`;
  if (a <= 0) return `All work goes to ${names.B}. ${names.A} is not connected to.`;
  return `${trimmed(a, 1)} % of every miner's time goes to ${names.A}, in short turns`;
}

// The split: what is set, and the control that sets it live. While the owner drags, types or waits for the answer,
// updates from the server do not touch the control.
//
// A split moves money, so nothing is applied by accident: a typed number and, on a touch screen, the slider, Swap and
// Undo only propose a split until the owner presses Apply.
import * as api from "./api.js";
import { ratio, trimmed } from "./format.js";
import { percentSlider } from "./slider.js";
import { button, byTouch, debounce, h, setText, toast } from "./ui.js";

/** Keys may be held down; the weights are sent when they rest. */
const KEY_REST_MS = 500;

export function splitControl() {
  const view = build({
    ondrag: (a) => {
      held ??= { proposal, a: draft };
      edit(a);
    },
    ondrop: ({ byMouse }) => {
      held = null;
      if (byMouse) return commit();
      propose(draft);
      view.proposed.scrollIntoView({ block: "nearest" });
    },
    oncancel: () => {
      const earlier = held;
      held = null;
      if (earlier.proposal && !sending) propose(earlier.a, earlier.proposal.undoing);
      else release();
    },
  });
  let server = null;
  let names = { A: "Pool A", B: "Pool B" };
  /** What the owner is setting: the percent of pool A, or null. */
  let draft = null;
  /** Set while the draft waits for Apply; `undoing`: the weights to go back to, or null. */
  let proposal = null;
  /** While a pointer holds the thumb: what was proposed before, as { proposal, a }. Otherwise null. */
  let held = null;
  let sending = false;
  let before = [];

  const percentOf = ({ A, B }) => (A + B > 0 ? (100 * A) / (A + B) : 50);
  const current = () => draft ?? (server ? percentOf(server) : null);

  function render() {
    const a = current();
    if (a === null) return;
    view.show(a, names, { typing: document.activeElement });
    view.undo.disabled = before.length === 0 || sending;
    view.undo.title = before.length ? `Back to ${ratio(percentOf(before.at(-1)) / 100)}` : "Nothing to undo";
    view.swap.disabled = sending;
    view.propose(proposal && !sending ? a : null);
  }

  function edit(a) {
    draft = a;
    proposal = null;
    setText(view.error, "");
    render();
  }

  /** Shows a split that the owner has to confirm. */
  function propose(a, undoing = null) {
    rest.cancel();
    edit(a);
    if (server && undoing === null && same(percentOf(server), a)) return release();
    proposal = { undoing };
    render();
  }

  async function commit() {
    rest.cancel();
    if (draft === null || sending || held) return;
    const undoing = proposal?.undoing ?? null;
    if (undoing) return send(before.pop(), { undoing: true });
    if (server && same(percentOf(server), draft)) return release();
    // Rounded so that 100 - 66.6 does not become 33.400000000000006.
    await send({ A: draft, B: remainder(draft) });
  }

  async function send(weights, { undoing = false } = {}) {
    sending = true;
    const sent = draft;
    render();
    view.root.setAttribute("aria-busy", "true");
    try {
      const answer = await api.weights(weights.A, weights.B);
      if (!undoing) before.push(answer.previous);
      server = { A: answer.A, B: answer.B };
      const back = undoing ? null : { label: "Undo", run: pressedUndo };
      toast(`The split is now ${ratio(percentOf(server) / 100)}. It takes effect at each miner's next turn.`, { action: back });
    } catch (error) {
      if (undoing) before.push(weights);
      setText(view.error, `Not applied: ${error.message}`);
    }
    sending = false;
    view.root.removeAttribute("aria-busy");
    // If the owner has gone on dragging, the control stays with them.
    if (draft === sent && !held) release();
    else if (proposal === null) rest();
    else render();
  }

  function release() {
    draft = null;
    proposal = null;
    render();
  }

  function pressedUndo() {
    if (before.length === 0 || sending) return;
    propose(percentOf(before.at(-1)), before.at(-1));
    // From a message that outlived this page there is nothing to confirm on.
    if (!byTouch() || !view.root.isConnected) return commit();
    view.root.scrollIntoView({ block: "nearest" });
  }

  // What waits for Apply is never applied by a timer.
  const rest = debounce(() => proposal === null && commit(), KEY_REST_MS);
  // Only keys and screen readers reach the range input.
  view.slider.addEventListener("input", () => edit(Number(view.slider.value)));
  view.slider.addEventListener("change", rest);
  view.slider.addEventListener("blur", () => proposal === null && commit());
  for (const pool of ["A", "B"]) {
    const field = view.fields[pool];
    field.addEventListener("input", () => typed(pool, field.value));
    field.addEventListener("keydown", (event) => onFieldKey(event));
    field.addEventListener("blur", () => (valid(field) ? render() : abandon()));
  }
  view.swap.addEventListener("click", () => {
    propose(remainder(current()));
    if (!byTouch()) commit();
  });
  view.undo.addEventListener("click", pressedUndo);
  view.apply.addEventListener("click", commit);
  view.cancel.addEventListener("click", abandon);

  function typed(pool, text) {
    const value = parsePercent(text);
    const field = view.fields[pool];
    field.setAttribute("aria-invalid", String(value === null));
    // A number that cannot be used stays in the field until the owner leaves it.
    if (value === null) {
      draft = current();
      proposal = null;
      view.propose(null);
      setText(view.error, "Enter a number from 0 to 100.");
      return;
    }
    propose(pool === "A" ? value : remainder(value));
  }

  function onFieldKey(event) {
    if (event.key === "Enter" && valid(event.target)) commit();
    if (event.key === "Escape") abandon();
  }

  function abandon() {
    setText(view.error, "");
    draft = null;
    proposal = null;
    Object.values(view.fields).forEach((field) => field.removeAttribute("aria-invalid"));
    view.propose(null);
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

const same = (a, b) => Math.abs(a - b) < 1e-9;
const remainder = (a) => Number((100 - a).toFixed(6));

const valid = (field) => parsePercent(field.value) !== null;

/** A number from 0 to 100, with point or comma, or null. */
export function parsePercent(text) {
  const value = Number(text.trim().replace(",", ".").replace(/\s*%$/, ""));
  if (text.trim() === "" || !Number.isFinite(value) || value < 0 || value > 100) return null;
  return value;
}

function build(pointer) {
  const slider = percentSlider(pointer);
  const fields = { A: percentField("A"), B: percentField("B") };
  const big = { A: h("span", { class: "huge text-a" }), B: h("span", { class: "huge text-b" }) };
  const labels = { A: h("span", { class: "ellipsis" }), B: h("span", { class: "ellipsis" }) };
  const hint = h("p", { class: "note" });
  const error = h("p", { class: "field-error", role: "alert" });
  const swap = button("Swap", null, { image: "swap" });
  const undo = button("Undo", null, { image: "undo" });
  const apply = button("Apply", null, { kind: "primary" });
  const cancel = button("Cancel", null);
  const proposed = h("div", { class: "split-proposal", role: "status", hidden: true }, h("span", {}, "Not applied yet"), h("div", { class: "actions" }, apply, cancel));
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
      slider.element,
      h("div", { class: "split-tools" }, h("label", {}, h("span", { class: "sr-only" }, "Percent for pool A"), fields.A, h("span", { class: "note" }, "% to A")), h("div", { class: "actions" }, swap, undo), h("label", {}, h("span", { class: "sr-only" }, "Percent for pool B"), fields.B, h("span", { class: "note" }, "% to B"))),
      proposed,
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
    slider.show(a, `${trimmed(a)} percent to ${names.A}, ${trimmed(b)} percent to ${names.B}`);
    for (const [pool, value] of [["A", a], ["B", b]]) {
      if (fields[pool] === typing) continue;
      fields[pool].value = trimmed(value);
      fields[pool].removeAttribute("aria-invalid");
    }
  };
  const propose = (a) => {
    proposed.hidden = a === null;
    if (a !== null) setText(apply.querySelector("span"), `Apply ${trimmed(a)}:${trimmed(remainder(a))}`);
  };
  return { root, slider: slider.input, fields, swap, undo, apply, cancel, proposed, error, show, propose };
}

function percentField(pool) {
  return h("input", { type: "text", inputmode: "decimal", class: `percent-field pool-${pool.toLowerCase()}-edge`, autocomplete: "off", size: "5", maxlength: "10" });
}

/** What a split means for a miner. */
export function inWords(a, names) {
  if (a >= 100) return `All work goes to ${names.A}. DPMP is not connected to ${names.B}.`;
  if (a <= 0) return `All work goes to ${names.B}. DPMP is not connected to ${names.A}.`;
  return `${trimmed(a, 1)}% of every miner's time goes to ${names.A}, in short turns`;
}

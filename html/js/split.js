// The usual split: what is set, and the control that sets it live. While the owner drags, types or waits for the
// answer, updates from the server do not touch the control.
//
// A split moves money, so a typed number, Swap and, on a touch screen, the slider and Undo only propose a split until
// the owner presses Apply. The large figures show what is in force. During a temporary change or an entry of the
// timetable, the owner chooses whether to use the new split now or save it as the usual one.
import * as api from "./api.js";
import { setTemporary } from "./commands.js";
import { clock, ratio, trimmed, upcoming } from "./format.js";
import { steeringChanged } from "./live.js";
import { inForce } from "./now.js";
import { percentSlider } from "./slider.js";
import { forcedSplit, measuredWords } from "./state.js";
import { button, byTouch, debounce, h, openDialog, setText, toast } from "./ui.js";
import { counted, orderWords, parsePercent, percentA, remainder, sameWork, sourceWords, splitWords } from "./work.js";

const KEY_REST_MS = 500;

export function splitControl() {
	const view = build({
		ondrag: (a) => {
			held ??= { proposal, a: draft };
			edit(a);
		},
		ondrop: ({ byMouse }) => {
			held = null;
			if (byMouse && !force) return commit();
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
	/** Pool A's percent as the owner sets it, or null. */
	let draft = null;
	/** The usual split at the draft's beginning. */
	let seen = null;
	/** Set while the draft waits for Apply. `undoing`: the weights to go back to, or null. */
	let proposal = null;
	/** While a pointer holds the thumb: the earlier { proposal, a }. */
	let held = null;
	let sending = false;
	let before = [];
	/** Pool A's percent by all settings, or null. */
	let meant = null;
	let steering = null;
	/** What is in force instead of the usual split, or null. */
	let force = null;
	/** What is mined while a pool is down, or null. */
	let forced = null;
	let measured = "";

	const percentOf = ({ A, B }) => (A + B > 0 ? (100 * A) / (A + B) : 50);
	const current = () => draft ?? (server ? percentOf(server) : null);

	function render() {
		const a = current();
		if (!server) return;
		view.show(a, names, document.activeElement);
		const set = percentOf(server);
		view.showBig(set, usualWords(set));
		view.force(force && forceWords());
		view.fact(forced, measured);
		const earlier = previous();
		view.undo.disabled = earlier === null || sending;
		view.undo.title = earlier ? `Back to ${splitWords(earlier)}` : "Nothing to undo";
		view.earlier.hidden = (steering?.undo.length ?? 0) === 0;
		view.swap.disabled = sending;
		view.propose(proposal && !sending ? a : null, proposal?.note, force && { useNow: !proposal?.undoing, until: force.untilMs === null ? "now" : `until ${upcoming(force.untilMs, steering.clock.now_ms)}` });
	}

	const previous = () => before.at(-1) ?? steering?.undo[0] ?? null;

	/** Whether only some miners do this, and how many: ", for 1 of 3 workers". */
	function followers(follows) {
		const here = steering.workers.filter((it) => it.connected > 0);
		const count = here.filter(follows).length;
		return count < here.length ? [true, `, for ${count} of ${counted(here.length, "worker")}`] : [false, ""];
	}

	function usualWords(a) {
		const [some, whom] = steering ? followers((it) => it.source === "usual" || it.source === "balance") : [false, ""];
		return some ? `The usual split${whom}` : inWords(a, names);
	}

	function forceWords() {
		const now = steering.clock.now_ms;
		const until = force.untilMs === null ? "" : ` until ${upcoming(force.untilMs, now)}`;
		const again = force.againMs === null ? "" : `, again from ${upcoming(force.againMs, now)}`;
		const a = percentA(force.work);
		const [some, whom] = followers((it) => it.source === force.source && sameWork(it.work, force.work));
		const what = a > 0 && a < 100 ? capital(sourceWords(force.source)) : orderWords(force.work, names, "Paused");
		return { a: some && a !== null && meant !== null ? meant : a, order: `${what}${until}${a === null ? "" : whom}`, usual: `Usual split ${splitWords(server)}${again}` };
	}

	function edit(a) {
		if (draft === null) seen = server;
		draft = a;
		proposal = null;
		setText(view.error, "");
		render();
	}

	function propose(a, undoing = null, note = "") {
		rest.cancel();
		edit(a);
		if (server && undoing === null && same(percentOf(server), a)) return release();
		proposal = { undoing, note };
		render();
	}

	async function commit() {
		rest.cancel();
		if (draft === null || sending || held) return;
		const undoing = proposal?.undoing ?? null;
		if (undoing) {
			if (undoing === before.at(-1)) before.pop();
			return send({ A: undoing.A, B: undoing.B }, { undoing: true });
		}
		if (server && same(percentOf(server), draft)) return release();
		await send({ A: draft, B: remainder(draft) });
	}

	async function send(weights, { undoing = false } = {}) {
		sending = true;
		const sent = draft;
		let failed = "";
		render();
		view.root.setAttribute("aria-busy", "true");
		try {
			const answer = await api.weights(weights.A, weights.B, seen ?? server);
			if (!undoing) before.push(answer.previous);
			seen = server = { A: answer.A, B: answer.B };
			const back = undoing ? null : { label: "Undo", run: pressedUndo };
			toast(`${force ? "The usual split" : "The split"} is now ${ratio(percentOf(server) / 100)}. ${force ? savedWords() : "It takes effect at each miner's next turn."}`, { action: back });
			steeringChanged();
		} catch (error) {
			if (undoing) before.push(weights);
			failed = `Not applied: ${error.message}`;
		}
		sending = false;
		view.root.removeAttribute("aria-busy");
		if (failed && draft === sent && !held) {
			// The owner now knows what is in force.
			seen = null;
			propose(sent, undoing ? weights : null);
			return setText(view.error, failed);
		}
		// The owner may still be dragging.
		if (draft === sent && !held) release();
		else if (proposal === null) rest();
		else render();
	}

	const savedWords = () => (force.againMs === null ? "It is not in force yet." : `It takes effect at ${upcoming(force.againMs, steering.clock.now_ms)}.`);

	/** Uses the split until the usual one is next in force. */
	async function useNow() {
		rest.cancel();
		if (draft === null || !force || sending) return;
		sending = true;
		render();
		const done = await setTemporary({ work: { A: draft, B: remainder(draft) }, workers: ["*"], end: { until_ms: force.untilMs } }, steering, names);
		sending = false;
		if (done) release();
		else render();
	}

	function release() {
		draft = null;
		proposal = null;
		setText(view.error, "");
		render();
	}

	function pressedUndo() {
		if (previous() === null || sending) return;
		goBackTo(previous());
	}

	function goBackTo(weights) {
		propose(percentOf(weights), weights);
		// A message may outlive the page.
		if (!byTouch() || !view.root.isConnected) return commit();
		view.root.scrollIntoView({ block: "nearest" });
	}

	function showEarlier() {
		const items = steering.undo.map((weights) => {
			const pick = () => {
				close();
				goBackTo(weights);
			};
			return h("li", {}, h("span", { class: "label" }, splitWords(weights)), h("span", { class: "note" }, `until ${clock(weights.at_ms)}${weights.by ? `, changed by ${weights.by}` : ""}`), button(`Use ${splitWords(weights)}`, pick, { kind: "small" }));
		});
		const close = openDialog("Earlier splits", h("ol", { class: "rows" }, ...items));
	}

	// No timer applies what waits for Apply.
	const rest = debounce(() => proposal === null && settle(), KEY_REST_MS);
	const settle = () => (force && draft !== null && !sending ? propose(draft) : commit());
	view.slider.addEventListener("input", () => edit(Number(view.slider.value)));
	view.slider.addEventListener("change", rest);
	view.slider.addEventListener("blur", () => proposal === null && settle());
	for (const pool of ["A", "B"]) {
		const field = view.fields[pool];
		field.addEventListener("input", () => typed(pool, field.value));
		field.addEventListener("keydown", (event) => onFieldKey(event));
		field.addEventListener("blur", () => (valid(field) ? render() : abandon()));
	}
	view.swap.addEventListener("click", () => propose(remainder(current()), null, ". This swaps the percentages; the pools keep their places."));
	view.undo.addEventListener("click", pressedUndo);
	view.earlier.addEventListener("click", showEarlier);
	view.use.addEventListener("click", useNow);
	view.apply.addEventListener("click", commit);
	view.cancel.addEventListener("click", abandon);

	function typed(pool, text) {
		const value = parsePercent(text);
		const field = view.fields[pool];
		field.setAttribute("aria-invalid", String(value === null));
		if (value === null) {
			edit(current());
			return setText(view.error, "Enter a number from 0 to 100.");
		}
		propose(pool === "A" ? value : remainder(value));
	}

	function onFieldKey(event) {
		if (event.key === "Enter" && valid(event.target)) {
			// The key must not press the next button, too.
			event.preventDefault();
			if (force) view.use.focus();
			else commit();
		}
		if (event.key === "Escape") abandon();
	}

	function abandon() {
		release();
		view.show(percentOf(server), names, null);
		Object.values(view.fields).forEach((field) => field.removeAttribute("aria-invalid"));
	}

	return {
		element: view.root,
		show(status) {
			names = { A: status.pools.A.name, B: status.pools.B.name };
			meant = status.split.meant_share_a === null ? null : 100 * status.split.meant_share_a;
			forced = forcedSplit(status);
			measured = status.miners_working > 0 ? measuredWords(status) : "";
			if (!sending) server = { A: status.pools.A.weight, B: status.pools.B.weight };
			render();
		},
		steer(now, spans) {
			steering = now;
			const earlier = force;
			force = inForce(now, spans);
			// Then the proposal means something else.
			if (proposal && (earlier === null) !== (force === null)) release();
			else if (!held) render();
		},
		leave: () => rest.cancel(),
	};
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

const same = (a, b) => Math.abs(a - b) < 1e-9;

const valid = (field) => parsePercent(field.value) !== null;

function build(pointer) {
	const slider = percentSlider(pointer);
	const fields = { A: percentField("A"), B: percentField("B") };
	const big = { A: h("span", { class: "huge text-a" }), B: h("span", { class: "huge text-b" }) };
	const labels = { A: h("span", { class: "ellipsis" }), B: h("span", { class: "ellipsis" }) };
	const colon = h("span", { class: "huge colon" }, ":");
	const paused = h("span", { class: "huge", hidden: true }, "Paused");
	const title = h("h2", { class: "eyebrow" }, "Split");
	const usual = h("p", { class: "usual-split", hidden: true });
	const hint = h("p", {});
	const proof = h("p", {});
	const error = h("p", { class: "field-error", role: "alert" });
	const swap = button("Swap", null, { image: "swap" });
	const undo = button("Undo", null, { image: "undo" });
	const earlier = button("Earlier", null, { image: "timetable", "aria-label": "Earlier splits" });
	const use = button("Use now", null, { kind: "primary", hidden: true });
	const apply = button("Apply", null, { kind: "primary" });
	const cancel = button("Cancel", null);
	const waits = h("span", {});
	const proposed = h("div", { class: "split-proposal", role: "status", hidden: true }, waits, h("div", { class: "actions" }, use, apply, cancel));
	const root = h(
		"div",
		{ class: "split" },
		title,
		h("p", { class: "huge-line split-big" }, big.A, colon, big.B, paused),
		h("div", { class: "note" }, hint, proof),
		h(
			"div",
			{ class: "split-control" },
			usual,
			h("div", { class: "split-names" }, h("span", { class: "text-a" }, h("span", { class: "badge pool-a", "aria-hidden": "true" }, "A"), labels.A), h("span", { class: "text-b" }, labels.B, h("span", { class: "badge pool-b", "aria-hidden": "true" }, "B"))),
			slider.element,
			h("div", { class: "split-tools" }, h("label", {}, h("span", { class: "sr-only" }, "Percent for pool A"), fields.A, h("span", { class: "note" }, "% to A")), h("div", { class: "actions" }, swap, undo, earlier), h("label", {}, h("span", { class: "sr-only" }, "Percent for pool B"), fields.B, h("span", { class: "note" }, "% to B"))),
			proposed,
			error,
		),
	);
	const show = (a, names, typing) => {
		const b = 100 - a;
		setText(labels.A, names.A);
		setText(labels.B, names.B);
		slider.show(a, `${trimmed(a)} percent to ${names.A}, ${trimmed(b)} percent to ${names.B}`);
		for (const [pool, value] of [["A", a], ["B", b]]) {
			if (fields[pool] === typing) continue;
			fields[pool].value = trimmed(value);
			fields[pool].removeAttribute("aria-invalid");
		}
	};
	/** `a`: null for a pause. */
	const showBig = (a, words) => {
		[big.A, colon, big.B].forEach((part) => (part.hidden = a === null));
		paused.hidden = a !== null;
		setText(big.A, a === null ? "" : trimmed(a, 1));
		setText(big.B, a === null ? "" : trimmed(100 - a, 1));
		setText(hint, words);
	};
	const force = (now) => {
		usual.hidden = now === null;
		setText(title, now ? "Now" : "Target");
		setText(usual, now?.usual ?? "");
		if (now) showBig(now.a, now.order);
	};
	const fact = (forced, measured) => {
		setText(proof, measured);
		if (!forced) return;
		if (!("a" in forced)) return usual.hidden && setText(hint, forced.why);
		const wanted = `${big.A.textContent}:${big.B.textContent}`;
		showBig(forced.a, `${forced.why}. Target ${wanted}`);
		setText(title, "Now");
	};
	const propose = (a, note = "", inForce = null) => {
		proposed.hidden = a === null;
		setText(waits, `Not applied yet${note}`);
		use.hidden = !inForce?.useNow;
		apply.className = use.hidden ? "primary" : "";
		if (a === null) return;
		const split = `${trimmed(a)}:${trimmed(remainder(a))}`;
		setText(use.querySelector("span"), inForce ? `Use ${split} ${inForce.until}` : "");
		setText(apply.querySelector("span"), inForce ? `Save ${split} as usual split` : `Apply ${split}`);
	};
	return { root, slider: slider.input, fields, swap, undo, earlier, use, apply, cancel, proposed, error, show, showBig, force, propose, fact };
}

function percentField(pool) {
	return h("input", { type: "text", inputmode: "decimal", class: `percent-field pool-${pool.toLowerCase()}-edge`, autocomplete: "off", size: "5", maxlength: "10" });
}

export function inWords(a, names) {
	if (a >= 100) return `All work goes to ${names.A}. DPMP is not connected to ${names.B}.`;
	if (a <= 0) return `All work goes to ${names.B}. DPMP is not connected to ${names.A}.`;
	return `${trimmed(a, 1)}% of the time for ${names.A}, in short turns`;
}

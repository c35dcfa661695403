import * as api from "./api.js";
import { milliseconds } from "./format.js";
import { button, h, icon, notice, setText } from "./ui.js";

/** A button with its result. `pool()` gives what to test: { slot, host, port, wallet, password }. */
export function poolTest(pool) {
	const result = h("div", { class: "pool-test-result", role: "status" });
	const start = button("Test this pool", run, { image: "play" });
	const now = () => JSON.stringify(pool());
	let tested = null;
	let ok = false;
	/** Removes a result for other settings. */
	const forget = () => {
		if (tested === null || tested === now()) return;
		tested = null;
		ok = false;
		result.replaceChildren();
		setText(start.lastChild, "Test this pool");
	};
	async function run() {
		start.disabled = true;
		setText(start.lastChild, "Testing…");
		result.replaceChildren(h("p", { class: "note" }, "Talking to the pool; this takes up to 20 seconds."));
		const mine = (tested = now());
		ok = false;
		const answer = await api.testPool(JSON.parse(mine)).catch((error) => error);
		start.disabled = false;
		setText(start.lastChild, "Test again");
		if (tested === mine) forget();
		if (tested !== mine) return setText(start.lastChild, "Test this pool");
		ok = answer.ok === true;
		result.replaceChildren(answer instanceof Error ? notice("error", "The test failed", answer.message) : report(answer));
	}
	return {
		element: h("div", { class: "pool-test" }, start, result),
		forget,
		/** Tests the pool unless that is done already. */
		async passes() {
			if (tested !== now()) await run();
			return ok;
		},
	};
}

function report({ ok, steps, problem }) {
	const list = h("ol", { class: "steps" }, ...steps.map(step));
	return h("div", {}, list, ok ? notice("good", "This pool works", "It gave out work for this wallet.") : notice("error", "This pool does not work yet", problem));
}

function step({ title, ok, ms, text }) {
	return h("li", { class: ok ? "good" : "error" }, icon(ok ? "check" : "cross"), h("span", { class: "step-name" }, title), h("span", { class: "step-text mono" }, text ?? ""), h("span", { class: "note number" }, milliseconds(ms) ?? ""));
}

// Tests a pool before it is saved: address, connection, handshake, authorization, first job.
import * as api from "./api.js";
import { milliseconds } from "./format.js";
import { button, h, icon, notice, setText } from "./ui.js";

const STEPS = { resolve: "Address found", connect: "Connected", encrypt: "Encrypted", configure: "Abilities agreed", subscribe: "Subscribed", authorize: "Wallet accepted", "first job": "First job received" };
const FAILED = { resolve: "Address not found", connect: "No connection", encrypt: "Not encrypted", configure: "Abilities not agreed", subscribe: "Not subscribed", authorize: "Wallet refused", "first job": "No job came" };

/** A button with its result. `pool()` gives what to test: { slot, host, port, wallet, password }. */
export function poolTest(pool) {
	const result = h("div", { class: "pool-test-result", role: "status" });
	const start = button("Test this pool", run, { image: "play" });
	async function run() {
		start.disabled = true;
		setText(start.lastChild, "Testing…");
		result.replaceChildren(h("p", { class: "note" }, "Talking to the pool; this takes up to 20 seconds."));
		try {
			const answer = await api.testPool(pool());
			result.replaceChildren(report(answer));
		} catch (error) {
			result.replaceChildren(notice("error", "The test could not be made", error.message));
		}
		start.disabled = false;
		setText(start.lastChild, "Test again");
	}
	return h("div", { class: "pool-test" }, start, result);
}

function report({ ok, steps, problem }) {
	const list = h("ol", { class: "steps" }, ...steps.map(step));
	return h("div", {}, list, ok ? notice("good", "This pool works", "It gave out work for this wallet.") : notice("error", "This pool does not work yet", problem));
}

function step({ name, ok, ms, text }) {
	return h("li", { class: ok ? "good" : "error" }, icon(ok ? "check" : "cross"), h("span", { class: "step-name" }, (ok ? STEPS : FAILED)[name] ?? name), h("span", { class: "step-text mono" }, text ?? ""), h("span", { class: "note number" }, milliseconds(ms) ?? ""));
}

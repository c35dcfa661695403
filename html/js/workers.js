// What workers do: the dialog that sets it for one or several of them, and what the Miners page says about all.
import * as api from "./api.js";
import { setTemporary, setWorkers } from "./commands.js";
import { ratio, upcoming } from "./format.js";
import { forecastStrip } from "./strip.js";
import { button, h, notice, openDialog, setText } from "./ui.js";
import { counted, listWords, nextTime, reasonWords, shownName, sourceWords, SPANS, workChoice, workWords } from "./work.js";

const FAILOVER = [
	["", "As set in Config"],
	["true", "Yes"],
	["false", "No, it stops mining"],
];

/** What a worker does now and next: "Only CKPool (own setting). Next: paused (timetable) at 22:00." */
function nowWords(worker, names, nowMs) {
	const now = `${workWords(worker.work, names)} (${reasonWords(worker, nowMs)}).`;
	if (!worker.next) return now;
	return `${now} Next: ${workWords(worker.next.work, names)} (${sourceWords(worker.next.source)}) at ${upcoming(worker.next.at_ms, nowMs)}.`;
}

/** Sets what workers do, for good or for a while. `chosen`: workers of GET /steering. */
export function workDialog(chosen, steering, names, done = () => {}) {
	const now = steering.clock.now_ms;
	const one = chosen.length === 1 ? chosen[0] : null;
	const workers = chosen.map((it) => it.worker);
	const owns = [...new Set(chosen.map((it) => JSON.stringify(it.own)))];
	const error = h("p", { class: "field-error", role: "alert" });
	const choice = workChoice({ label: "Work", names, chosen: owns.length === 1 ? JSON.parse(owns[0]) : undefined, free: ["Usual split", "Follows temporary changes, its group and the timetable"], onchange: refresh });
	const time = h("input", { type: "time", value: "07:00", "aria-label": "Until", hidden: true });
	const span = h("select", { id: "work-span", onchange: refresh }, ...[["always", "Always (own setting)"], ...SPANS.map(([seconds, text]) => [String(seconds), `For ${text}`]), ["time", "Until a time"], ["open", "Until I change it"]].map(([value, text]) => h("option", { value }, text)));
	const hint = h("p", { class: "note" });
	const name = one && h("input", { type: "text", id: "worker-name", value: one.name, maxlength: "64", placeholder: one.worker, autocomplete: "off" });
	const turns = one && h("input", { type: "checkbox", class: "switch", id: "worker-turns", checked: one.turns !== "never" });
	const failover = one && h("select", { id: "worker-failover" }, ...FAILOVER.map(([value, text]) => h("option", { value }, text)));
	if (failover) failover.value = one.failover === null ? "" : String(one.failover);
	const apply = button("Apply", run, { kind: "primary" });
	const strip = one && forecastStrip("The next 48 hours");

	/** A temporary change needs own settings out of the way, but a pause holds whatever else is set. */
	const cleared = (work) => (work === "pause" ? [] : chosen.filter((it) => it.own !== null));

	function refresh() {
		time.hidden = span.value !== "time";
		const clears = span.value === "always" ? [] : cleared(choice.value());
		setText(hint, clears.length ? `${clears.length === 1 ? "Its own setting goes" : "Own settings go"} first, so ${clears.length === 1 && one ? "it is" : "they are"} removed.` : "");
		setText(error, "");
	}

	async function run() {
		const work = choice.value();
		if (work === undefined) {
			if (!choice.chosen()) setText(error, "Choose the work first.");
			return choice.focus();
		}
		apply.disabled = true;
		const ok = span.value === "always" ? await runAlways(work) : await runForAWhile(work);
		apply.disabled = false;
		if (ok) {
			close();
			done();
		}
	}

	/** What else is set for a single worker. */
	const details = () => (one ? { name: name.value.trim() || null, turns: turns.checked ? null : "never", failover: failover.value === "" ? null : failover.value === "true" } : {});
	const detailsBefore = JSON.stringify(details());

	function runAlways(work) {
		const settings = { work, ...details() };
		const what = work === null ? "usual split" : workWords(work, names);
		return setWorkers(Object.fromEntries(workers.map((worker) => [worker, settings])), steering, `${listWords(chosen.map(shownName))}: ${what}.`);
	}

	async function runForAWhile(work) {
		const end = span.value === "open" ? { until_ms: null } : span.value === "time" ? { until_ms: nextTime(time.value, now) } : { for_seconds: Number(span.value) };
		if (end.until_ms === null && span.value === "time") {
			setText(error, "Enter a time, such as 07:00.");
			return false;
		}
		if (JSON.stringify(details()) !== detailsBefore && !(await setWorkers({ [one.worker]: details() }, steering, null))) return false;
		const clear = cleared(work).map((it) => it.worker);
		return setTemporary({ work: work ?? steering.usual, workers, end, clear }, steering, names);
	}

	refresh();
	const shared = one && one.connected > 1 ? notice("info", `${counted(one.connected, "miner")} use this name and share its settings`, "") : null;
	const close = openDialog(
		one ? shownName(one) : `Set the work of ${counted(chosen.length, "worker")}`,
		[
			one ? h("p", { class: "note" }, one.name ? `${one.worker} · ` : "", nowWords(one, names, now)) : h("p", { class: "note" }, listWords(chosen.map(shownName), 8)),
			shared,
			choice.element,
			h("div", { class: "end-time" }, h("label", { for: "work-span", class: "label" }, "How long"), span, time),
			hint,
			strip?.element,
			one && h("details", {}, h("summary", {}, "Name and special cases"), h("div", { class: "stack" }, h("div", {}, h("label", { for: "worker-name", class: "field-label" }, "Display name"), name), h("div", { class: "check-line" }, turns, h("label", { for: "worker-turns" }, "May take turns on both pools in fleet mode")), h("div", {}, h("label", { for: "worker-failover", class: "field-label" }, "Work for the other pool while its own is down"), failover))),
			error,
		].filter(Boolean),
		{ actions: [button("Cancel", () => close(), { kind: "ghost" }), apply] },
	);
	if (strip) api.preview({ worker: one.worker }).then(({ spans }) => strip.show(spans, names, now), () => strip.element.remove());
}

/** What the own settings leave of the usual split, if they make it impossible. */
export function reachNotice() {
	const element = h("div", { class: "notices" });
	let shown = "";
	return {
		element,
		show({ reach }) {
			const key = JSON.stringify(reach);
			if (key === shown) return;
			shown = key;
			if (!reach) return element.replaceChildren();
			const range = reach.low_a === reach.high_a ? ratio(reach.low_a) : `between ${ratio(reach.low_a)} and ${ratio(reach.high_a)}`;
			element.replaceChildren(notice("warning", `The usual split ${ratio(reach.wanted_a)} cannot be reached`, `With own settings in force, all miners together can only reach ${range}. ${reach.low_a === reach.high_a ? "No worker is left without one." : "The others come as close as they can."}`));
		},
	};
}

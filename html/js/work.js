// What a worker does, in words, and the controls to choose work and a time.
import { count, trimmed, typedNumber, upcoming } from "./format.js";
import { h, setText } from "./ui.js";

/** null for a pause. */
export function percentA(work) {
	if (work === "pause") return null;
	if (work === "A" || work === "B") return work === "A" ? 100 : 0;
	return (100 * work.A) / (work.A + work.B);
}

export const sameWork = (x, y) => percentA(x) === percentA(y);

/** "70:30", for any work but a pause. */
export function splitWords(work) {
	const a = percentA(work);
	return `${trimmed(a, 1)}:${trimmed(100 - a, 1)}`;
}

/** What a worker does: "Only CKPool", "70:30", "Paused". */
export function workWords(work, names) {
	return inWords(work, { A: `Only ${names.A}`, B: `Only ${names.B}`, pause: "Paused" });
}

/** What all are told to do: "All to CKPool", "60:40", "Pause". `pause`: what a pause is called that is in force. */
export function orderWords(work, names, pause = "Pause") {
	return inWords(work, { A: `All to ${names.A}`, B: `All to ${names.B}`, pause });
}

function inWords(work, words) {
	const a = percentA(work);
	if (a === null) return words.pause;
	return a === 100 ? words.A : a === 0 ? words.B : splitWords(work);
}

const SOURCES = { worker: "own setting", group: "group", override: "temporary change", timetable: "timetable", balance: "balance", usual: "usual split" };

/** Why a worker does what it does, and until when: "timetable until 06:00". `worker`: of GET /steering. */
export function reasonWords(worker, nowMs) {
	const source = worker.source === "group" ? `group ${worker.group}` : (SOURCES[worker.source] ?? worker.source);
	return worker.until_ms === null ? source : `${source} until ${upcoming(worker.until_ms, nowMs)}`;
}

export const sourceWords = (source) => SOURCES[source] ?? source;

/** "bitaxe-1, bitaxe-2 and 3 more". */
export function listWords(names, most = 3) {
	const rest = names.length - most;
	if (rest > 1) return `${names.slice(0, most).join(", ")} and ${count(rest)} more`;
	return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? "");
}

export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export const shownName = (worker) => worker.name || worker.worker;

export const SPANS = [
	[3600, "1 hour"],
	[3 * 3600, "3 hours"],
	[8 * 3600, "8 hours"],
];

/** The next moment at which the browser's clock shows a time such as "07:00"; null if it is not a time. */
export function nextTime(text, nowMs) {
	const [, hours, minutes] = text.match(/^(\d\d):(\d\d)/) ?? [];
	if (hours === undefined) return null;
	const at = new Date(nowMs);
	at.setHours(Number(hours), Number(minutes), 0, 0);
	if (at.getTime() <= nowMs) at.setDate(at.getDate() + 1);
	return at.getTime();
}

/** A number from 0 to 100, or null. */
export function parsePercent(text) {
	const value = typedNumber(text.replace(/\s*%\s*$/, ""));
	if (text.trim() === "" || !Number.isFinite(value) || value < 0 || value > 100) return null;
	return value;
}

/** Rounded, because 100 - 66.6 is 33.400000000000006. */
export const remainder = (a) => Number((100 - a).toFixed(6));

let groups = 0;

/**
 * Radio buttons for work. `free`: the label of the choice without work of its own, or the label and a remark.
 * `value()`: the work, null for the free choice, undefined if the percent cannot be used or nothing is chosen.
 */
export function workChoice({ label, names, chosen, free, onchange = () => {} }) {
	const group = `work-${(groups += 1)}`;
	const a = chosen ? percentA(chosen) : null;
	const key = chosen === undefined ? null : chosen === null ? "free" : a === null ? "pause" : a === 100 ? "A" : a === 0 ? "B" : "split";
	const error = h("p", { class: "field-error", role: "alert" });
	const percent = h("input", { type: "text", inputmode: "decimal", class: "percent-field pool-a-edge", autocomplete: "off", maxlength: "10", "aria-label": `Percent for ${names.A}`, value: key === "split" ? trimmed(a) : "50" });
	const other = h("span", { class: "note" });
	const options = [["free", ...[free].flat()], ["A", `Only ${names.A}`], ["B", `Only ${names.B}`], ["split", "Its own split"], ["pause", "Pause"]];
	const radios = options.map(([value, text, note]) => {
		const input = h("input", { type: "radio", name: group, value, checked: value === key, onchange: changed });
		return { input, element: h("label", { class: "choice" }, input, h("span", {}, text, note && h("span", { class: "note block" }, note))) };
	});
	const split = h("div", { class: "choice-split" }, percent, h("span", {}, `% to ${names.A}`), other);
	const at = () => radios.find(({ input }) => input.checked)?.input.value ?? null;

	function changed() {
		split.hidden = at() !== "split";
		const value = parsePercent(percent.value);
		percent.setAttribute("aria-invalid", String(value === null));
		setText(error, at() === "split" && value === null ? "Enter a number from 0 to 100." : "");
		setText(other, value === null ? "" : `${trimmed(remainder(value))}% to ${names.B}`);
		onchange();
	}

	percent.addEventListener("input", changed);
	const element = h("fieldset", { class: "choices" }, h("legend", {}, label), ...radios.flatMap(({ input, element: row }) => (input.value === "split" ? [row, split] : [row])), error);
	split.hidden = key !== "split";
	setText(other, `${trimmed(remainder(parsePercent(percent.value)))}% to ${names.B}`);
	return {
		element,
		value() {
			const chosenNow = at();
			if (chosenNow === null) return undefined;
			if (chosenNow === "free") return null;
			if (chosenNow !== "split") return chosenNow;
			const part = parsePercent(percent.value);
			return part === null ? undefined : { A: part, B: remainder(part) };
		},
		chosen: () => at() !== null,
		focus: () => (radios.find(({ input }) => input.checked) ?? radios[0]).input.focus(),
	};
}

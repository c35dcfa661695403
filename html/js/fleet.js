// The fleet mode: which miners take turns or stay, and how well the fleet meets the split.
import { count, duration, large } from "./format.js";
import { card, h, poolBadge, setText } from "./ui.js";
import { counted, listWords, shownName } from "./work.js";

const MOST = 12;

export function fleetCard() {
	const rows = { turns: row("Take turns on both pools"), A: row("Stay on one pool", "A"), B: row("Stay on one pool", "B"), fixed: row("Have their own settings") };
	const facts = { moves: fact("Moves in the last 24 hours"), error: fact("Error in expected work, last 24 hours"), bound: fact("Allowed error, last 24 hours") };
	const body = h("div", {}, h("dl", { class: "facts fleet-facts" }, ...Object.values(facts).map((it) => it.element)), h("ul", { class: "rows" }, ...Object.values(rows).map((it) => it.element)));
	const off = h("p", { class: "note" }, "Every miner splits its own time. In fleet mode most miners stay on one pool and only a few take turns, which means fewer switches. ", h("a", { href: "/config" }, "Change the mode in Config"), ".");
	const element = card("Fleet", { id: "fleet" }, off, body);
	return {
		element,
		show({ fleet, workers }, names) {
			off.hidden = fleet !== null;
			body.hidden = fleet === null;
			if (fleet === null) return;
			const named = (list) => list.map((worker) => shownName(workers.find((it) => it.worker === worker) ?? { worker }));
			const on = (pool) => named(Object.keys(fleet.assigned).filter((worker) => fleet.assigned[worker] === pool));
			rows.turns.show(named(fleet.turn_takers));
			for (const pool of ["A", "B"]) rows[pool].show(on(pool), `Stay on ${names[pool]}`);
			rows.fixed.show(named(fleet.fixed));
			facts.moves.show(count(fleet.moves_24h));
			facts.error.show(errorWords(fleet, names), fleet.error_work === null ? "" : `of all miners' work: difficulty ${large(Math.abs(fleet.error_work))}`);
			facts.bound.show(fleet.bound_work === null ? null : `difficulty ${large(fleet.bound_work)}`, usedWords(fleet));
		},
	};
}

function errorWords({ error_seconds: seconds }, names) {
	if (seconds === null) return null;
	if (Math.abs(seconds) < 0.5) return "none";
	return `${seconds > 0 ? names.A : names.B} is ${duration(Math.abs(seconds))} ahead`;
}

function usedWords({ error_work: error, bound_work: bound }) {
	return error === null || !bound ? "" : `${Math.round((100 * Math.abs(error)) / bound)}% of it used`;
}

function row(label, pool = null) {
	const title = h("span", { class: "label" }, label);
	const text = h("span", { class: "note" });
	return {
		element: h("li", {}, pool && poolBadge(pool), title, text),
		show(list, words = label) {
			setText(title, words);
			setText(text, list.length ? `${counted(list.length, "worker")}: ${listWords(list, MOST)}` : "none");
		},
	};
}

function fact(label) {
	const value = h("span", { class: "fact-value" });
	const remark = h("span", { class: "fact-remark" });
	return {
		element: h("div", {}, h("dt", {}, label), h("dd", {}, value, remark)),
		show(text, more = "") {
			setText(value, text ?? "not known yet");
			setText(remark, more);
		},
	};
}

// The past as charts: hashrate of both pools and the split, of all miners or of one worker.
import * as api from "./api.js";
import { areaChart } from "./chart.js";
import { clock, hashrate, percent, ratio } from "./format.js";
import { poll } from "./live.js";
import { card, failure, h, segmented, setFigure, setText } from "./ui.js";

/** Points are put together so that luck does not hide the line; how many, and in words. */
const RANGES = {
	"1h": { label: "1 h", together: 2, words: "2 minutes" },
	"24h": { label: "24 h", together: 15, words: "15 minutes" },
	"7d": { label: "7 days", together: 4, words: "1 hour" },
};
const TABLE_ROWS = 12;

export function historyCard({ title, worker = null, level = 2, range: first = "1h" }) {
	let range = first;
	let names = { A: "Pool A", B: "Pool B" };
	let points = null;
	let stop = null;

	const rate = areaChart({ label: "Hashrate of both pools", height: 190, tick: (v) => hashrate(v).replace(/\.0+ /, " "), say: sayRate });
	const split = areaChart({ label: "Split by time", height: 92, top: 1, tick: (v) => percent(v), say: saySplit });
	const about = h("p", { class: "note" });
	const problem = h("div", {});
	const past = h("div", { hidden: true }, rate.element, h(`h${level + 1}`, { class: "chart-title" }, "Split by time"), split.element);
	const table = h("details", { class: "as-table" }, h("summary", {}, "Show as a table"));
	table.addEventListener("toggle", fillTable);
	const choose = segmented("Time shown", Object.entries(RANGES).map(([key, r]) => [key, r.label]), range, (value) => ((range = value), load()));
	const element = card(title, { id: `history-${worker ? "miner" : "all"}`, actions: [choose], level, className: "history" }, legend(), problem, past, about, table);

	function load() {
		stop?.();
		stop = poll(() => api.history(range, worker), range === "1h" ? 15_000 : 60_000, take, fail);
	}

	function fail(error) {
		// A new worker has no past yet; that is no fault.
		problem.replaceChildren(error.code === "not_found" ? h("p", { class: "note" }, "Nothing is known yet.") : failure(error));
	}

	function take(answer) {
		problem.replaceChildren();
		points = gather(answer, RANGES[answer.range].together);
		const known = points.times.length > 0;
		past.hidden = !known;
		setText(about, !known ? "The first minute is not over yet." : `Each point is the mean of ${RANGES[answer.range].words}. A gap means that DPMP did not run, or that nothing is known.`);
		render();
		fillTable();
	}

	function render() {
		if (!points?.times.length) return;
		const { times, a, b, time, meant } = points;
		rate.show({ times, series: [{ name: "a", values: a }, { name: "b", values: b }] });
		split.show({ times, series: [{ name: "a", values: time }, { name: "b", values: time.map((t) => (t === null ? null : 1 - t)) }], lines: [{ name: "target", values: meant }] });
	}

	function sayRate(i) {
		const [a, b] = [points.a[i], points.b[i]];
		if (a === null && b === null) return `${clock(points.times[i])}: not known`;
		return `${clock(points.times[i])}: ${hashrate((a ?? 0) + (b ?? 0))}, of it ${names.A} ${hashrate(a) ?? "not known"}, ${names.B} ${hashrate(b) ?? "not known"}`;
	}

	function saySplit(i) {
		const time = points.time[i];
		if (time === null) return `${clock(points.times[i])}: not known`;
		const meant = points.meant[i] === null ? "" : `, target ${ratio(points.meant[i])}`;
		return `${clock(points.times[i])}: ${names.A} ${percent(time)}, ${names.B} ${percent(1 - time)}${meant}`;
	}

	/** The same in figures, for whoever cannot or does not want to read the picture. */
	function fillTable() {
		if (!table.open || !points) return;
		const every = Math.max(1, Math.floor(points.times.length / TABLE_ROWS));
		const rows = points.times.map((_, i) => i).filter((i) => i % every === 0).reverse();
		const cell = (text) => {
			const td = h("td", {});
			setFigure(td, text);
			return td;
		};
		const head = h("tr", {}, ...["Time", names.A, names.B, "Time to A"].map((text) => h("th", { scope: "col" }, text)));
		const body = rows.map((i) => h("tr", {}, h("th", { scope: "row" }, clock(points.times[i])), cell(hashrate(points.a[i])), cell(hashrate(points.b[i])), cell(percent(points.time[i]))));
		table.querySelector("table")?.remove();
		table.append(h("table", { class: "plain" }, h("thead", {}, head), h("tbody", {}, ...body)));
	}

	function legend() {
		return h("p", { class: "legend" }, ...["a", "b"].map((pool) => h("span", {}, h("span", { class: `key ${pool}` }), h("span", { class: `name-${pool} ellipsis` }))));
	}

	load();
	return {
		element,
		/** Takes the pools' names from the status. */
		show(status) {
			names = { A: status.pools.A.name, B: status.pools.B.name };
			setText(element.querySelector(".name-a"), names.A);
			setText(element.querySelector(".name-b"), names.B);
		},
		leave() {
			stop?.();
			rate.leave();
			split.leave();
		},
	};
}

/**
 * Puts `size` points each together to their mean; a mean of nothing is not known. Begins with the first that is known: a
 * program that has run for ten minutes has no past of a day.
 */
function gather({ start_ms: start, step_seconds: step, hashrate: rates, time_share_a: shares, meant_share_a: meant }, size) {
	const points = { times: [], a: [], b: [], time: [], meant: [] };
	const first = rates.A.findIndex((rate, i) => rate !== null || rates.B[i] !== null);
	for (let from = first < 0 ? shares.length : first; from < shares.length; from += size) {
		points.times.push(start + from * step * 1000);
		points.a.push(mean(rates.A, from, size));
		points.b.push(mean(rates.B, from, size));
		points.time.push(mean(shares, from, size));
		points.meant.push(mean(meant, from, size));
	}
	return points;
}

function mean(values, from, size) {
	const known = values.slice(from, from + size).filter((v) => v !== null);
	return known.length ? known.reduce((sum, v) => sum + v, 0) / known.length : null;
}

// Charts of the hashrate and the split, of all miners or of one worker.
import * as api from "./api.js";
import { areaChart } from "./chart.js";
import { clock, count, hashrate, nameAt, namesAt, percent, ratio, timeOnly } from "./format.js";
import { poll } from "./live.js";
import { card, failure, h, segmented, setFigure, setText } from "./ui.js";
import { orderWords } from "./work.js";

/** How many points make one, so that luck does not hide the line. */
const RANGES = {
	"1h": { label: "1 h", together: 2, words: "2 minutes" },
	"24h": { label: "24 h", together: 15, words: "15 minutes" },
	"7d": { label: "7 days", together: 4, words: "1 hour" },
};
const TABLE_ROWS = 12;

export function historyCard({ title, worker = null, level = 2, range: first = "1h" }) {
	let range = first;
	let pools = { A: { name: "Pool A", former: [] }, B: { name: "Pool B", former: [] } };
	let points = null;
	let blocks = [];
	let stop = null;

	const rate = areaChart({ label: "Hashrate of both pools", height: 190, tick: (v) => hashrate(v).replace(/\.0+ /, " "), say: sayRate });
	const splitTitle = worker ? "Split by work" : "Split by time";
	const split = areaChart({ label: splitTitle, height: 92, top: 1, tick: (v) => percent(v), say: saySplit });
	const lost = areaChart({ label: "Shares not accepted", height: 76, least: 0.01, tick: (v) => percent(v), say: sayShares });
	const about = h("p", { class: "note" });
	const problem = h("div", {});
	const heading = (text) => h(`h${level + 1}`, { class: "chart-title" }, text);
	const past = h("div", { hidden: true }, rate.element, heading(splitTitle), split.element, ...(worker ? [] : [heading("Shares not accepted"), lost.element]));
	const table = h("details", { class: "as-table" }, h("summary", {}, "Show as a table"));
	table.addEventListener("toggle", fillTable);
	const choose = segmented("Time shown", Object.entries(RANGES).map(([key, r]) => [key, r.label]), range, (value) => ((range = value), load()));
	const element = card(title, { id: `history-${worker ? "miner" : "all"}`, actions: [choose], level, className: "history" }, legend(), problem, past, about, table);

	function load() {
		stop?.();
		if (!worker) api.blocks().then((answer) => ((blocks = answer.blocks), render()), () => {});
		stop = poll(() => api.history(range, worker), range === "1h" ? 15_000 : 60_000, take, fail);
	}

	function fail(error) {
		// A new worker has no past yet.
		problem.replaceChildren(error.code === "not_found" ? h("p", { class: "note" }, "Nothing is known yet.") : failure(error));
	}

	function take(answer) {
		problem.replaceChildren();
		points = gather(answer, RANGES[answer.range].together);
		if (worker) points.time = points.a.map((a, i) => (a + points.b[i] > 0 ? a / (a + points.b[i]) : null));
		const known = points.a.length > 0;
		past.hidden = !known;
		setText(about, !known ? "No work is known yet." : `Each point is the mean of ${RANGES[answer.range].words}. A gap: DPMP did not run, or nothing is known.${worker ? "" : " Red: a pool was down. Vertical line: the split or a pool was changed. ★: a block was found. Gray: shares that DPMP blocked."}`);
		render();
		fillTable();
	}

	function render() {
		for (const slot of ["A", "B"]) setText(element.querySelector(`.name-${slot.toLowerCase()}`), placeName(slot));
		if (!points?.a.length) return;
		const { times, down, a, b, time, meant } = points;
		const cuts = changes();
		const marks = blocks.map((block) => ({ at_ms: block.found_ms, text: "★" }));
		rate.show({ times, down, cuts, marks, series: [{ name: "a", values: a }, { name: "b", values: b }] });
		if (points.not) lost.show({ times, down, cuts, series: ["a", "b", "c"].map((name, i) => ({ name, values: points.not.map((not, at) => (points.all[at] > 0 ? not[i] / points.all[at] : null)) })) });
		split.show({ times, down, cuts, series: [{ name: "a", values: time }, { name: "b", values: time.map((t) => (t === null ? null : 1 - t)) }], lines: [{ name: "target", values: meant }] });
	}

	function placeName(slot) {
		const { name } = pools[slot];
		const first = nameAt(pools[slot], points?.times[0] ?? Infinity);
		return first === name ? name : `${first}, now ${name}`;
	}

	function changes() {
		const moves = Object.values(pools).flatMap((pool) => pool.former.filter((it) => it.name !== nameAt(pool, it.until_ms)).map((it) => it.until_ms));
		return [...moves, ...points.courses.map((it) => it.from_ms)];
	}

	const when = (i) => `${clock(points.times[i])} to ${timeOnly(points.times[i + 1])}`;
	const namesOf = (i) => namesAt(pools, points.times[i]);

	function events(i) {
		const [from, to] = [points.times[i], points.a.length > i + 1 ? points.times[i + 1] : Infinity];
		const [names, later] = [namesOf(i), namesAt(pools, to)];
		const moved = ["A", "B"].filter((slot) => later[slot] !== names[slot]).map((slot) => `; ${later[slot]} took the place of ${names[slot]}`);
		const [course, ...more] = points.courses.filter((it) => it.from_ms >= from && it.from_ms < to);
		const changed = course ? `; new split: ${orderWords(course.work, later, "paused")}${more.length ? ` (${more.length + 1} changes)` : ""}` : "";
		const down = ["A", "B"].filter((slot) => points.was[slot][i] > 0).map((slot) => `; ${names[slot]} was down`);
		const found = blocks.filter((block) => block.found_ms >= from && block.found_ms < to).map((block) => `; ${block.worker} found a block`);
		return [...down, ...moved, changed, ...found].join("");
	}

	function sayRate(i) {
		const [a, b, names] = [points.a[i], points.b[i], namesOf(i)];
		const rates = a === null && b === null ? "not known" : `${hashrate((a ?? 0) + (b ?? 0))}, of it ${names.A} ${hashrate(a) ?? "not known"}, ${names.B} ${hashrate(b) ?? "not known"}`;
		return `${when(i)}: ${rates}${events(i)}`;
	}

	function sayShares(i) {
		if (!points.not || !points.all[i]) return `${when(i)}: no shares`;
		const [a, b, here] = points.not[i].map(count);
		const names = namesOf(i);
		return `${when(i)}: ${count(points.all[i])} shares; not accepted by ${names.A} ${a}, by ${names.B} ${b}, by DPMP ${here}`;
	}

	function saySplit(i) {
		const time = points.time[i];
		if (time === null) return `${when(i)}: not known`;
		const names = namesOf(i);
		const meant = points.meant[i] === null ? "" : `, target ${ratio(points.meant[i])}`;
		return `${when(i)}: ${names.A} ${percent(time)}, ${names.B} ${percent(1 - time)}${meant}${events(i)}`;
	}

	function fillTable() {
		if (!table.open || !points) return;
		const every = Math.max(1, Math.floor(points.a.length / TABLE_ROWS));
		const rows = points.a.map((_, i) => i).filter((i) => i % every === 0).reverse();
		const cell = (text) => {
			const td = h("td", {});
			setFigure(td, text);
			return td;
		};
		const head = h("tr", {}, ...["Time", placeName("A"), placeName("B"), "Time to A"].map((text) => h("th", { scope: "col" }, text)));
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
		show(status) {
			const names = ({ A, B }) => JSON.stringify([A.name, A.former, B.name, B.former]);
			const same = names(pools) === names(status.pools);
			pools = status.pools;
			if (!same) render();
		},
		leave() {
			stop?.();
			rate.leave();
			split.leave();
			lost.leave();
		},
	};
}

/**
 * Puts `size` points each together to their mean; a mean of nothing is not known. Begins with the first work: a program
 * that has run for ten minutes has no past of a day.
 */
function gather({ start_ms: start, step_seconds: step, hashrate: rates, time_share_a: shares, meant_share_a: meant, accepted, rejected, refused, down, courses }, size) {
	const points = { courses: courses ?? [], times: [], a: [], b: [], time: [], meant: [], was: { A: [], B: [] }, down: [], ...(accepted && { all: [], not: [] }) };
	const at = (i) => start + i * step * 1000;
	const first = rates.A.findIndex((rate, i) => rate || rates.B[i]);
	for (let from = first < 0 ? shares.length : first; from < shares.length; from += size) {
		points.times.push(at(from));
		points.a.push(mean(rates.A, from, size));
		points.b.push(mean(rates.B, from, size));
		points.time.push(mean(shares, from, size));
		points.meant.push(mean(meant, from, size));
		if (!accepted) continue;
		const [good, ...not] = [[accepted.A, accepted.B], [rejected.A], [rejected.B], [refused]].map((lists) => lists.reduce((sum, list) => sum + list.slice(from, from + size).reduce((a, b) => a + b, 0), 0));
		points.not.push(not);
		points.all.push(not.reduce((a, b) => a + b, good));
		for (const slot of ["A", "B"]) points.was[slot].push(mean(down[slot], from, size));
	}
	points.times.push(at(shares.length));
	for (const slot of ["A", "B"]) points.down.push(...outages(down?.[slot] ?? [], first).map((it) => it.map(at)));
	return points;
}

/** When a pool was down: from the end of the first step to the beginning of the last, or in the middle of a single one. */
function outages(parts, first) {
	const found = [];
	parts.forEach((part, i) => {
		if (!part || i < first) return;
		const from = parts[i - 1] ? i : i + (1 - part) / (parts[i + 1] ? 1 : 2);
		if (from - found.at(-1)?.[1] < 1e-6) found.at(-1)[1] = from + part;
		else found.push([from, from + part]);
	});
	return found;
}

function mean(values, from, size) {
	const known = values.slice(from, from + size).filter((v) => v !== null);
	return known.length ? known.reduce((sum, v) => sum + v, 0) / known.length : null;
}

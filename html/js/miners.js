import * as api from "./api.js";
import { changeForAll } from "./commands.js";
import { fleetCard } from "./fleet.js";
import { count, hashrate, large, trimmed } from "./format.js";
import { groupsCard } from "./groups.js";
import { poll, watchStatus, watchSteering } from "./live.js";
import { openMiner } from "./miner.js";
import { pausedWords } from "./now.js";
import { COLUMNS, minerTable } from "./minertable.js";
import { button, failure, h, icon, loading, notice, pageHead, segmented, select, setFigure, setText, unknown } from "./ui.js";
import { counted } from "./work.js";
import { reachNotice, workDialog } from "./workers.js";

export const miners = { title: "Miners", mount };

function mount(host) {
	let answer = null;
	let status = null;
	const filter = { text: "", show: "all", pool: "" };
	let steering = null;
	const names = () => ({ A: status?.pools.A.name ?? "Pool A", B: status?.pools.B.name ?? "Pool B" });
	const setWork = (workers) => {
		const chosen = steering?.workers.filter((it) => workers.has(it.worker)) ?? [];
		if (chosen.length) workDialog(chosen, steering, names(), () => table.clearSelection());
	};
	const steer = (miner) => setWork(new Set([miner.worker]));
	const bar = selectionBar({ set: setWork, all: () => table.selectAll(), clear: () => table.clearSelection() });
	const table = minerTable({ open: (miner) => (miner.id < 0 ? steer(miner) : openMiner(miner, status, () => steer(miner))), steer, sorted: sortChanged, selected: bar.show });
	const [reach, groups, fleet] = [reachNotice(), api.viewing() ? null : groupsCard(), fleetCard()];
	const hints = h("div", { class: "notices" });
	let hinted = "";
	const totals = totalLine();
	const paused = h("p", { class: "note" });
	const forAll = () => {
		const change = changeForAll(steering);
		if (change) return { work: change.work, source: "override", untilMs: change.until_ms };
		return { work: steering.timetable.work, source: "timetable", untilMs: steering.timetable.next_ms };
	};
	const found = h("p", { class: "note", role: "status" });
	const problem = h("div", {});
	const waiting = loading();
	const search = h("input", { type: "search", placeholder: "Worker, address or software", "aria-label": "Find miners", oninput: () => ((filter.text = search.value.trim().toLowerCase()), refresh()) });
	const sortBox = select("Sort by", COLUMNS.map((c) => [c.key, c.title]), table.sort.key, (key) => table.sortBy(key, null));
	const csv = h("a", { class: "button", href: api.downloads.minersCsv, download: "" }, icon("download"), "CSV");
	const tools = h(
		"div",
		{ class: "toolbar" },
		h("div", { class: "search" }, icon("search"), search),
		segmented("Which miners", [["all", "All"], ["here", "Connected"], ["paused", "Paused"], ["left", "Left"]], "all", (value) => ((filter.show = value), refresh())),
		select("Pool now", [["", "any"], ["A", "A"], ["B", "B"]], "", (value) => ((filter.pool = value), refresh())),
		sortBox,
	);
	host.append(pageHead("Miners", "Every miner's connection, and what its worker is set to do.", csv), totals.element, paused, reach.element, hints, tools, problem, waiting, table.element, bar.element, found, groups?.element ?? "", fleet.element);

	function sortChanged({ key }) {
		sortBox.querySelector("select").value = key;
	}

	function refresh({ keepOrder = false } = {}) {
		if (!answer) return;
		const all = withSteering(answer, steering);
		const shown = all.filter((miner) => fits(miner, filter));
		table.show(shown, answer, keepOrder, names());
		totals.show(answer);
		setText(found, all.length === 0 ? "No miner has connected yet. Enter this machine's address in your miner; Config and Set-up show the exact line." : shown.length === all.length ? `${count(all.length)} in the table` : `${count(shown.length)} of ${count(all.length)} fit`);
	}

	const showCards = () => {
		if (!status || !steering) return;
		setText(paused, pausedWords(steering, forAll()) ?? "");
		reach.show(steering);
		groups?.show(steering, names());
		fleet.show(steering, names());
	};
	const stopStatus = watchStatus((now) => {
		status = now;
		showCards();
	});
	const stopSteering = watchSteering((now) => {
		steering = now;
		showCards();
		refresh({ keepOrder: true });
	});
	const stop = poll(
		api.miners,
		2000,
		(now) => {
			answer = now;
			waiting.remove();
			problem.replaceChildren();
			if (hinted !== JSON.stringify(now.hints)) {
				hinted = JSON.stringify(now.hints);
				hints.replaceChildren(...now.hints.map(({ title, text }) => notice("info", title, text)));
			}
			refresh({ keepOrder: true });
		},
		(error) => error.code !== "no_answer" && problem.replaceChildren(failure(error)),
	);
	return () => {
		stop();
		stopStatus();
		stopSteering();
		table.leave();
	};
}

/**
 * The rows of the table: connected miners, miners that left, and workers that have settings but no row of their own.
 * A paused worker that left is paused, not missing.
 */
function withSteering({ miners: here, left }, steering) {
	const by = new Map(steering?.workers.map((it) => [it.worker, it]));
	const seen = new Set(here.map((miner) => miner.worker));
	const rows = here.map((miner) => ({ ...miner, steering: by.get(miner.worker) ?? null, paused: by.get(miner.worker)?.work === "pause" }));
	for (const miner of left) {
		const paused = !seen.has(miner.worker) && by.get(miner.worker)?.work === "pause";
		// A paused worker is shown with its last connection.
		if (paused) seen.add(miner.worker);
		rows.push({ ...miner, steering: by.get(miner.worker) ?? null, paused });
	}
	left.forEach((miner) => seen.add(miner.worker));
	const others = [...by.values()].filter((it) => !seen.has(it.worker));
	return [...rows, ...others.map((it, i) => ({ ...NOT_HERE, id: -1 - i, worker: it.worker, steering: it, paused: it.work === "pause" }))];
}

const NOT_HERE = { address: "", connected_ms: null, left_ms: null, accepted: { A: 0, B: 0 }, rejected: 0 };

function selectionBar({ set, all, clear }) {
	let workers = new Set();
	const text = h("p", { role: "status" });
	const element = h("div", { class: "save-bar", hidden: true }, text, h("div", { class: "actions" }, button("Clear", clear, { kind: "ghost" }), button("Select all", all, { kind: "ghost" }), button("Set work", () => set(workers), { kind: "primary" })));
	return {
		element,
		show(selection) {
			workers = selection;
			element.hidden = selection.size === 0;
			setText(text, `${counted(selection.size, "worker")} selected`);
		},
	};
}

function fits(miner, { text, show, pool }) {
	const state = miner.paused ? "paused" : miner.left_ms !== null || miner.connected_ms === null ? "left" : "here";
	if (show !== "all" && state !== show) return false;
	if (pool && miner.pool !== pool) return false;
	if (!text) return true;
	return [miner.worker, miner.steering?.name, miner.address, miner.software].some((part) => part?.toLowerCase().includes(text));
}

/** Sums; unknown if all values are. */
function totalLine() {
	const entries = [
		["Connected", (list) => count(list.length)],
		["Hashrate, 5 min", (list) => hashrate(sum(list, (m) => m.hashrate_5m))],
		["Shares a minute", (list) => rate(sum(list, (m) => m.shares_per_minute))],
		["Accepted", (list) => list.length && count(list.reduce((n, m) => n + m.accepted.A + m.accepted.B, 0))],
		["Rejected", (list) => list.length && count(list.reduce((n, m) => n + m.rejected, 0))],
		["Best share", (list) => large(list.reduce((best, m) => Math.max(best, m.best_share?.difficulty ?? 0), 0) || null)],
	].map(([label, make]) => ({ value: h("dd", {}, unknown()), label, make }));
	return {
		element: h("dl", { class: "totals card" }, ...entries.map((e) => h("div", {}, h("dt", {}, e.label), e.value))),
		show: ({ miners: list }) => entries.forEach((e) => setFigure(e.value, e.make(list) || null)),
	};
}

function sum(list, read) {
	const known = list.map(read).filter((v) => v !== null);
	return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

function rate(value) {
	return value === null || value >= 10 ? count(value) : trimmed(value, 1);
}

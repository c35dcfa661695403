import * as api from "./api.js";
import { ago, clock, count, duration, hashrate, large, milliseconds, ratio, words } from "./format.js";
import { historyCard } from "./history.js";
import { poll } from "./live.js";
import { button, card, failure, h, loading, marked, openDialog, poolBadge, setFigure, setText, unknown } from "./ui.js";
import { sourceWords, workWords } from "./work.js";

const OUTCOMES = {
	accepted: ["good", "accepted"],
	below_pool: ["quiet", "below the pool's difficulty"],
	rejected: ["bad", "rejected by the pool"],
	refused: ["bad", "blocked by DPMP"],
	lost: ["bad", "lost"],
};

const FACTS = [
	["Hashrate, 5 min", (m) => hashrate(m.hashrate_5m)],
	["Hashrate, 1 h", (m) => hashrate(m.hashrate_1h)],
	["Hashrate, 24 h", (m) => hashrate(m.hashrate_24h)],
	["Split by work", (m) => ratio(m.share_a)],
	["Split by time", (m) => ratio(m.time_share_a)],
	["Difficulty", (m) => large(m.difficulty)],
	["Accepted", (m) => `${count(m.accepted.A)} by A, ${count(m.accepted.B)} by B`],
	["Rejected", (m) => count(m.rejected)],
	["Lost", (m) => count(m.lost)],
	["Best share", (m, now) => (m.best_share ? `${large(m.best_share.difficulty)} for ${m.best_share.pool}, ${ago(m.best_share.at_ms, now)}` : null)],
	["Best share ever", (m) => large(m.best_share_ever)],
	["Connected", (m, now) => `for ${duration(((m.left_ms ?? now) - m.connected_ms) / 1000)}`],
	["Connections", (m) => Object.entries(m.connections).map(([pool, state]) => `${pool} ${words(state)}`).join(", ") || null],
];

export function openMiner({ id, worker, steering }, status, steer) {
	const body = h("div", { class: "miner-sheet" }, loading());
	let view = null;
	const stop = poll(
		() => api.miner(id),
		2000,
		(answer) => {
			view ??= build(body, answer.miner, status, steer);
			view.show(answer);
		},
		(error) => !view && body.replaceChildren(failure(error)),
	);
	openDialog(steering?.name ? `${steering.name} (${worker})` : worker, body, {
		className: "sheet",
		onclose: () => {
			stop();
			view?.leave();
		},
	});
}

function build(body, miner, status, steer) {
	const names = { A: status?.pools.A.name ?? "Pool A", B: status?.pools.B.name ?? "Pool B" };
	const work = h("p", { class: "label" });
	const facts = FACTS.map(([label, make]) => ({ label, make, value: h("dd", {}, unknown()) }));
	const history = historyCard({ title: "Over time", worker: miner.worker, level: 3 });
	const why = h("ul", { class: "rows" });
	const rejects = card("Rejected shares", { level: 3 }, why);
	const rows = h("tbody", {});
	const head = h("tr", {}, ...["When", "Pool", "Outcome", "Difficulty", "True difficulty", "Latency"].map((text) => h("th", { scope: "col" }, text)));
	if (status) history.show(status);
	body.replaceChildren(
		h("p", { class: "note" }, [miner.software ?? "software not known", miner.address].join(" · ")),
		h("div", { class: "sheet-work" }, work, button("Set work", steer, { kind: "small" })),
		h("dl", { class: "facts" }, ...facts.map((f) => h("div", {}, h("dt", {}, f.label), f.value))),
		rejects,
		history.element,
		card("Recent shares", { level: 3 }, h("div", { class: "scroll-x", role: "region", tabindex: "0", "aria-label": "Table of recent shares" }, h("table", { class: "plain" }, h("thead", {}, head), rows))),
	);
	return {
		show({ miner: now, rejects: reasons, recent }) {
			rejects.hidden = reasons.length === 0;
			why.replaceChildren(...reasons.map((it) => h("li", {}, h("div", {}, h("p", { class: "label" }, `${count(it.count)} ${words(it.reason)}`), h("p", { class: "note" }, ...marked(it.meaning)), it.said && h("p", { class: "note" }, `The pool said: “${it.said}”`)))));
			setText(work, `${workWords(now.work, names)} (${sourceWords(now.source)})`);
			facts.forEach((f) => setFigure(f.value, f.make(now, Date.now())));
			rows.replaceChildren(...(recent.length ? recent.map(shareRow) : [h("tr", {}, h("td", { colspan: "6" }, "No share yet."))]));
		},
		leave: history.leave,
	};
}

function shareRow(share) {
	const [kind, text] = OUTCOMES[share.outcome] ?? ["quiet", words(share.outcome)];
	const cell = (value, className = "") => {
		const td = h("td", { class: className });
		setFigure(td, value);
		return td;
	};
	return h(
		"tr",
		{},
		cell(clock(share.at_ms, { seconds: true })),
		h("td", {}, poolBadge(share.pool)),
		h("td", { class: `verdict ${kind}` }, share.block ? "a block! " : "", share.reason ? `${text}: ${words(share.reason)}` : text),
		cell(large(share.difficulty), "number"),
		cell(large(share.true_difficulty), "number"),
		cell(milliseconds(share.latency_ms), "number"),
	);
}

import { ago, clock, count, duration, hashrateParts, large, milliseconds, percent, reasons } from "./format.js";
import { stateOf } from "./state.js";
import { h, poolBadge, setFigure, setText, unknown } from "./ui.js";

const STATES = {
	up: ["good", "Works"],
	down: ["error", "Down"],
	unknown: ["quiet", "Not tried yet"],
	off: ["quiet", "Not used"],
	not_set_up: ["warning", "Not set up"],
};

/** Labels and functions that return a text, perhaps with a remark. */
const FACTS = [
	["Accepted", (p) => [count(p.accepted)]],
	["Rejected", (p) => [rejected(p), reasons(p.rejected_by)]],
	["Share latency", (p) => [milliseconds(p.share_latency_ms)]],
	["Difficulty", (p) => [large(p.difficulty), span(p)]],
	["Job age", (p) => [duration(p.job_age_seconds)]],
	["Miners on it now", (p) => [count(p.miners_active), p.miners_connected > p.connections_ready ? `${count(p.connections_ready)} connections carry ${count(p.miners_connected)} miners${{ true: " by name", false: " under one name" }[p.several_names] ?? ""}` : `${count(p.connections_ready)} connected`]],
	["Blocks found", (p) => [count(p.blocks)]],
	["Best share", (p, now) => [large(p.best_share?.difficulty ?? null), p.best_share ? bestShare(p.best_share, now) : ""]],
	["Lost", (p) => [count(p.lost), p.lost > 0 ? "sent, never answered" : ""]],
];

const TECHNICAL = [
	["Version mask", (p) => [p.version_mask]],
	["Extranonce 2", (p) => [p.extranonce2_size === null ? null : `${p.extranonce2_size} bytes`]],
	["Network difficulty", (p) => [large(p.network_difficulty)]],
];

export function poolCard(slot) {
	const name = h("h2", { id: `pool-${slot}`, class: "ellipsis" }, `Pool ${slot}`);
	const coin = h("span", { class: "chip" });
	const state = h("span", { class: "state" });
	const reason = h("p", { class: "state-reason" });
	const address = h("span", { class: "mono ellipsis" });
	const wallet = h("span", { class: "mono" });
	const page = h("a", { href: `/api/v1/pools/${slot}/page`, target: "_blank", rel: "noreferrer" });
	const number = h("span", { class: "large" }, unknown());
	const unit = h("span", { class: "unit" });
	const part = h("span", { class: "note" });
	const insight = h("p", { class: "note pool-insight" });
	const facts = FACTS.map(fact);
	const technical = TECHNICAL.map(fact);
	const element = h(
		"section",
		{ class: `card pool pool-${slot.toLowerCase()}-edge`, "aria-labelledby": `pool-${slot}` },
		h("header", { class: "pool-head" }, poolBadge(slot), h("div", { class: "pool-name" }, name, coin), state, h("p", { class: "note pool-address" }, address, wallet, page)),
		reason,
		h("p", { class: "pool-rate" }, number, " ", unit, part),
		insight,
		h("dl", { class: "facts" }, ...facts.map((f) => f.element)),
		h("details", {}, h("summary", {}, "Technical"), h("dl", { class: "facts" }, ...technical.map((f) => f.element))),
	);
	return {
		element,
		/** `paused`: why nobody mines, or null. */
		show(status, paused) {
			const pool = status.pools[slot];
			const rejects = status.alerts.some((it) => [`pool_rejects_all:${slot}`, `pool_rejecting:${slot}`].includes(it.id));
			const [kind, words] = rejects ? ["error", "Rejects shares"] : (STATES[pool.state] ?? STATES.unknown);
			setText(name, pool.name);
			setText(coin, pool.chain);
			coin.hidden = !pool.chain;
			setText(address, pool.configured ? pool.address : "no address yet");
			setText(wallet, pool.configured ? pool.wallet_short : "");
			page.hidden = !pool.page;
			setText(page, pool.page ? `My page at ${pool.page}` : "");
			state.className = `state ${kind}`;
			setText(state, paused && pool.state === "unknown" ? "Paused" : rejects && pool.state === "up" ? words : stateWords(pool, words));
			setText(reason, explanation(pool));
			const parts = hashrateParts(stateOf(status).kind === "error" ? 0 : pool.hashrate);
			setFigure(number, parts?.[0] ?? null);
			setText(unit, parts?.[1] ?? "");
			setText(part, `${pool.state === "down" && pool.hashrate ? "mean of 5 minutes, " : ""}target ${percent(targetOf(slot, status))}`);
			setText(insight, jobWords(pool, status.now_ms));
			[...facts, ...technical].forEach((f) => f.show(pool, status.now_ms));
		},
	};
}

function targetOf(slot, { pools, split }) {
	const meant = split.meant_share_a ?? null;
	if (meant === null) return pools[slot].target_share;
	return slot === "A" ? meant : 1 - meant;
}

function fact([label, make]) {
	const value = h("span", { class: "fact-value" }, unknown());
	const remark = h("span", { class: "fact-remark" });
	return {
		element: h("div", {}, h("dt", {}, label), h("dd", {}, value, remark)),
		show(pool, now) {
			const [text, more] = make(pool, now);
			setFigure(value, text);
			setText(remark, more ?? "");
		},
	};
}

function stateWords(pool, words) {
	const since = clock(pool.state_since_ms);
	return since && (pool.state === "up" || pool.state === "down") ? `${words} since ${since}` : words;
}

function explanation(pool) {
	if (pool.state === "down") return pool.state_reason ?? "It does not answer.";
	if (pool.state === "off") return "No miner is meant to work for this pool, so DPMP is not connected to it.";
	if (pool.state === "not_set_up") return "It has no address or no wallet yet.";
	return "";
}

function jobWords({ insight: it }, now) {
	if (!it) return "";
	const age = ago(it.block_since_ms, now)?.replace("ago", "old");
	const block = it.height === null ? "" : ` Block ${[count(it.height), age].filter(Boolean).join(", ")}.`;
	return it.payout.text + block;
}

function rejected(pool) {
	const all = pool.accepted + pool.rejected;
	return all > 0 && pool.rejected > 0 ? `${count(pool.rejected)} (${percent(pool.rejected / all, 2)})` : count(pool.rejected);
}

function span({ difficulty_min: min, difficulty_max: max }) {
	return min === null || max === null || min === max ? "" : `${large(min)} to ${large(max)}`;
}

function bestShare({ worker, at_ms: at }, now) {
	return [worker, ago(at, now)].filter(Boolean).join(", ");
}

import { alertList } from "./alerts.js";
import { count, hashrateParts, reasons } from "./format.js";
import { historyCard } from "./history.js";
import { watchStatus, watchSteering } from "./live.js";
import { measuredCard } from "./measured.js";
import { forecast, inForce, nowStrip, pausedWords, temporaryButtons } from "./now.js";
import { poolCard } from "./pools.js";
import { splitControl } from "./split.js";
import { stateOf } from "./state.js";
import { h, loading, setFigure, setText, unknown } from "./ui.js";

export const home = { title: "Home", mount };

function mount(host) {
	let page = null;
	host.append(h("h1", { class: "sr-only", tabindex: "-1" }, "Home"), loading());
	const stop = watchStatus((status) => {
		page ??= build(host);
		page.show(status);
	});
	return () => {
		stop();
		page?.leave();
	};
}

function build(host) {
	const alerts = alertList();
	const total = totalHashrate();
	const split = splitControl();
	const strip = nowStrip();
	const temporary = temporaryButtons();
	const pools = { A: poolCard("A"), B: poolCard("B") };
	const measured = measuredCard();
	const history = historyCard({ title: "Over time" });
	const refused = h("p", { class: "note refused" });
	host.querySelector(".empty").replaceWith(
		alerts.element,
		strip.element,
		h("section", { class: "card hero", "aria-label": "Hashrate and split" }, total.element, split.element, temporary.element),
		h("div", { class: "pair" }, pools.A.element, pools.B.element),
		refused,
		h("div", { class: "past" }, history.element, measured.element),
	);
	let names = null;
	let steering = null;
	let spans = null;
	const steer = () => {
		if (!names || !steering || !spans) return;
		strip.show(steering, spans, names);
		temporary.show(steering, names);
		split.steer(steering, spans);
	};
	const ahead = forecast((found) => (spans = found));
	const stopSteering = watchSteering(async (now) => {
		await ahead.look(now);
		steering = now;
		steer();
	});
	return {
		show(status) {
			names = { A: status.pools.A.name, B: status.pools.B.name };
			steer();
			const paused = steering && spans && status.miners_connected === 0 ? pausedWords(steering, inForce(steering, spans)) : null;
			[alerts, total, split, pools.A, pools.B, measured, history].forEach((part) => part.show(status, paused));
			const why = reasons(status.refused_here);
			setText(refused, why ? `Blocked by DPMP: ${why}.` : "");
		},
		leave() {
			split.leave();
			stopSteering();
			ahead.leave();
			history.leave();
		},
	};
}

function totalHashrate() {
	const number = h("span", { class: "huge" }, unknown());
	const unit = h("span", { class: "unit" });
	const miners = h("p", { class: "note" }, "…");
	const state = h("h2", { class: "eyebrow" }, "…");
	return {
		element: h("div", { class: "total" }, state, h("p", { class: "huge-line" }, number, " ", unit), miners),
		show(status, paused) {
			const { kind, words } = stateOf(status);
			// The mean of 5 minutes outlasts the work.
			const parts = hashrateParts(kind === "error" ? 0 : status.hashrate);
			setFigure(number, parts?.[0] ?? null);
			setText(unit, parts?.[1] ?? "");
			setText(state, words);
			setText(miners, paused ?? minersInWords(status));
		},
	};
}

function minersInWords({ miners_connected: connected, miners_working: working, hashrate }) {
	if (connected === 0) return "No miner is connected";
	const noun = connected === 1 ? "miner" : "miners";
	const now = connected === working ? `${count(connected)} ${noun} working` : `${count(working)} of ${count(connected)} ${noun} working`;
	return `${now}. ${hashrate === null ? "The hashrate follows with the first shares." : "Mean of 5 minutes."}`;
}

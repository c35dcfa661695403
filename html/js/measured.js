// Target against measured. Shares arrive at random, so a band shows what luck alone would explain.
import { duration, ratio } from "./format.js";
import { card, h, setFigure, setText, svg } from "./ui.js";

const LABELS = { 600: "10 minutes", 3600: "1 hour", 86400: "24 hours" };
/** Two standard deviations: 95% of cases. */
const BAND = 2;

export function measuredCard() {
	const rows = [0, 1, 2].map(windowRow);
	const time = h("p", { class: "note" });
	const target = h("p", { class: "note" });
	const element = card(
		"Target and measured",
		{ note: "By work: the difficulty of all shares. Band: what luck alone explains." },
		h("ol", { class: "windows" }, ...rows.map((row) => row.element)),
		target,
		time,
	);
	return {
		element,
		show({ split }) {
			const span = commonSpan(split);
			split.windows.forEach((window, i) => rows[i]?.show(window, targetOf(window, split), span));
			const { meant_share_a: meant = null, target: usual } = split;
			const apart = meant !== null && Math.abs(meant - usual.A) > 0.0005;
			setText(target, apart ? `Target ${ratio(meant)} for all miners together. The usual split is ${ratio(usual.A)}.` : "");
			const exact = ratio(split.time.now);
			const { by, share_a: share, seconds } = split.measured ?? {};
			if (by === "work" && exact) setText(time, `By work: ${ratio(share)} in the last ${LABELS[seconds] ?? duration(seconds)}. By time: ${exact} since the start. Luck does not explain this.`);
			else setText(time, exact ? `By time, exactly: ${exact} since the start.` : "");
		},
	};
}

/** One scale for all rows shows how the band narrows with time. */
function commonSpan(split) {
	const needs = split.windows.flatMap((w) => {
		const target = targetOf(w, split);
		return [Math.abs(reference(w, target) - target) + (BAND + 0.5) * (w.expected_error ?? 0), Math.abs((w.share_a ?? target) - target) * 1.1];
	});
	return Math.min(1, Math.max(0.02, ...needs));
}

const targetOf = (window, split) => window.meant_share_a ?? split.target.A;

function reference(window, target) {
	return window.time_share_a ?? target;
}

/** Four minutes must not pass for a day. */
function soFar({ seconds, known_seconds: known }) {
	if (known === undefined || known > 0.95 * seconds) return "";
	return ` (${duration(known)} known)`;
}

function windowRow() {
	const label = h("span", { class: "window-label" });
	const value = h("span", { class: "window-value" });
	const verdict = h("span", { class: "verdict" });
	const detail = h("p", { class: "note" });
	const band = svg("rect", { class: "luck-band", y: "5", height: "14", rx: "3" });
	const target = svg("line", { class: "luck-target", y1: "1", y2: "23", x1: "50%", x2: "50%" });
	const dot = svg("circle", { class: "luck-dot", cy: "12", r: "5" });
	const picture = svg("svg", { class: "luck", height: "24", width: "100%", "aria-hidden": "true" }, svg("line", { class: "luck-axis", x1: "0", x2: "100%", y1: "12", y2: "12" }), band, target, dot);
	return {
		element: h("li", {}, h("div", { class: "window-head" }, label, value), picture, h("div", { class: "window-foot" }, verdict, detail)),
		show(window, targetShare, span) {
			const x = (share) => `${Math.min(100, Math.max(0, 50 + (50 * (share - targetShare)) / span))}%`;
			const middle = reference(window, targetShare);
			const sigma = window.expected_error;
			setText(label, (LABELS[window.seconds] ?? window.label) + soFar(window));
			setFigure(value, ratio(window.share_a));
			band.toggleAttribute("hidden", sigma === null);
			dot.toggleAttribute("hidden", window.share_a === null);
			if (sigma !== null) {
				band.setAttribute("x", x(middle - BAND * sigma));
				band.setAttribute("width", `${Math.min(100, (50 * 2 * BAND * sigma) / span)}%`);
			}
			if (window.share_a !== null) dot.setAttribute("cx", x(window.share_a));
			const { kind, text, why } = window.verdict;
			verdict.className = `verdict ${kind}`;
			setText(verdict, text);
			setText(detail, why);
		},
	};
}

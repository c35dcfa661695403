// Home's notices.
import * as api from "./api.js";
import { clock } from "./format.js";
import { button, h, icon, toast } from "./ui.js";
import { counted } from "./work.js";

/** Where to deal with an alert, by its id; the first match counts. */
const PLACES = [
	[/^not_set_up/, "/setup", "Set up"],
	[/^no_miner/, "/connect", "Connect a miner"],
	[/^no_password/, "/config#password-section", "Set a password"],
	[/^(payout_changed|coinbase_pays|nothing_mined|pool_down|pool_setting)/, "/config", "Open Config"],
	[/^miner_hangs/, "/miners", "Open Miners"],
	[/^block_/, "/records", "Open Records"],
	[/^(pool_|shares_lost|on_backup)/, "/logs", "Open Logs"],
];

export function alertList() {
	const list = h("ul", { class: "alerts", "aria-label": "What needs your attention", "aria-live": "polite" });
	const more = h("button", { type: "button", onclick: () => fold(!open) });
	let shown = "";
	let open = false;
	/** The most serious one comes first, and the others must not push the hashrate off a phone's screen. */
	function fold(all) {
		open = all;
		const [first, ...rest] = list.children;
		if (first) first.hidden = false;
		rest.forEach((row) => (row.hidden = !open));
		more.hidden = rest.length === 0;
		more.className = `notice more ${rest[0]?.dataset.level}`;
		more.setAttribute("aria-expanded", open);
		more.replaceChildren(icon(open ? "up" : "down"), open ? "Show only the first notice" : counted(rest.length, "more notice"));
	}
	fold(false);
	return {
		element: h("div", { class: "alert-box" }, list, more),
		show({ alerts }) {
			// Rebuilt only after changes, so that it is read out once and the focus stays.
			const now = JSON.stringify(alerts);
			if (now === shown) return;
			shown = now;
			list.replaceChildren(...alerts.map((alert) => item(alert, () => fold(open))));
			fold(open);
		},
	};
}

function item(alert, removed) {
	const place = PLACES.find(([id]) => id.test(alert.id));
	const row = h(
		"li",
		{ class: `notice ${alert.level}`, "data-level": alert.level },
		icon(alert.level),
		h("div", { class: "notice-body" }, h("p", { class: "notice-title" }, alert.title, " ", h("time", {}, clock(alert.at_ms))), ...textOf(alert)),
		h("div", { class: "actions" }, place && h("a", { href: place[1], class: "button small" }, place[2]), alert.dismissable && button("Dismiss", () => dismiss(alert, row, removed), { kind: "ghost small" })),
	);
	return row;
}

function textOf({ text, action }) {
	const lines = text.split("\n");
	return lines.length > 1 ? [h("ul", {}, ...lines.map((line) => h("li", {}, line))), h("p", {}, action)] : [h("p", {}, text, " ", action)];
}

async function dismiss(alert, row, removed) {
	try {
		await api.alertSeen(alert.id);
		row.remove();
		removed();
	} catch (error) {
		toast(error.message, { level: "error" });
	}
}

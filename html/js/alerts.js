// What needs the owner's eye, in plain sentences with what to do.
import * as api from "./api.js";
import { clock } from "./format.js";
import { button, h, icon, toast } from "./ui.js";

/** Where an alert is dealt with, by the beginning of its id; the first that fits. */
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
	const list = h("ul", { class: "alerts", "aria-label": "What needs your eye", "aria-live": "polite" });
	let shown = "";
	return {
		element: list,
		show({ alerts }) {
			// Rebuilt only when something changed, so that it is read out once and the focus stays.
			const now = JSON.stringify(alerts);
			if (now === shown) return;
			shown = now;
			list.replaceChildren(...alerts.map(item));
		},
	};
}

function item(alert) {
	const place = PLACES.find(([id]) => id.test(alert.id));
	const row = h(
		"li",
		{ class: `notice ${alert.level}` },
		icon(alert.level),
		h("div", { class: "notice-body" }, h("p", { class: "notice-title" }, alert.title, " ", h("time", {}, clock(alert.at_ms))), ...textOf(alert)),
		h("div", { class: "actions" }, place && h("a", { href: place[1], class: "button small" }, place[2]), alert.dismissable && button("Dismiss", () => dismiss(alert, row), { kind: "ghost small" })),
	);
	return row;
}

/** Several troubles are a list. */
function textOf({ text, action }) {
	const lines = text.split("\n");
	return lines.length > 1 ? [h("ul", {}, ...lines.map((line) => h("li", {}, line))), h("p", {}, action)] : [h("p", {}, text, " ", action)];
}

async function dismiss(alert, row) {
	try {
		await api.alertSeen(alert.id);
		row.remove();
	} catch (error) {
		toast(error.message, { level: "error" });
	}
}

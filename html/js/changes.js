// What a change of the configuration does, shown before it is saved and after.
import { titles } from "./draft.js";
import { setting } from "./format.js";
import { h } from "./ui.js";

const SECTIONS = { "pools.A": "Pool A", "pools.B": "Pool B", scheduler: "Split", workers: "Workers", groups: "Groups", timetable: "Timetable", balance: "Balance", downstream_diff: "Share difficulty", listen: "Miners", metrics: "Metrics", gui: "Web pages", logging: "Log", notify: "Notifications" };

export function sectionOf(path) {
	return path.startsWith("pools.") ? path.split(".").slice(0, 2).join(".") : path.split(".")[0];
}

export function sectionTitle(section) {
	return SECTIONS[section] ?? section;
}

export function settingTitle(path) {
	return `${sectionTitle(sectionOf(path))}: ${titles.get(path) ?? path}`;
}

/** A list of changes with the values before and after. */
export function changeList(changes) {
	return h("ul", { class: "changes" }, ...changes.map(changeItem));
}

function changeItem({ path, old, new: next, needs_restart: restart }) {
	const payout = /^pools\.[AB]\.(wallet|host|port|user_name)$/.test(path);
	return h(
		"li",
		{},
		h("p", { class: "change-name" }, settingTitle(path), restart && h("span", { class: "chip warning" }, "needs a restart"), payout && h("span", { class: "chip warning" }, "decides where the money goes")),
		h("p", { class: "change-values mono" }, h("del", {}, setting(old)), h("span", { class: "note" }, " becomes "), h("ins", {}, setting(next))),
	);
}

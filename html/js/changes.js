// What a change of the configuration does, shown before it is saved and after.
import { titleOf } from "./draft.js";
import { setting } from "./format.js";
import { h } from "./ui.js";

/** A list of changes with the values before and after. */
export function changeList(changes) {
	return h("ul", { class: "changes" }, ...changes.map(changeItem));
}

function changeItem({ path, old, new: next, needs_restart: restart, moves_money: payout }) {
	return h(
		"li",
		{},
		h("p", { class: "change-name" }, titleOf(path), restart && h("span", { class: "chip warning" }, "needs a restart"), payout && h("span", { class: "chip warning" }, "decides where the money goes")),
		h("p", { class: "change-values mono" }, h("del", {}, setting(old)), h("span", { class: "note" }, " becomes "), h("ins", {}, setting(next))),
	);
}

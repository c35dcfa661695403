// What a change of the configuration does, shown before it is saved and after.
import { titleOf } from "./draft.js";
import { setting } from "./format.js";
import { h } from "./ui.js";

const SWAPPED = "A and B swap places. The split, temporary changes and own settings stay with A and B, so they now apply to the other pool.";

/** A list of changes with the values before and after. */
export function changeList(changes) {
	const at = new Map(changes.map((change) => [change.path, change]));
	const swapped = ["wallet", "host", "port"].some((key) => {
		const [a, b] = [at.get(`pools.A.${key}`), at.get(`pools.B.${key}`)];
		return a && b && a.new === b.old && b.new === a.old;
	});
	return h("ul", { class: "changes" }, swapped && h("li", { class: "warning" }, SWAPPED), ...changes.map(changeItem));
}

function changeItem({ path, old, new: next, needs_restart: restart, moves_money: payout }) {
	return h(
		"li",
		{},
		h("p", { class: "change-name" }, titleOf(path), restart && h("span", { class: "chip warning" }, "needs a restart"), payout && h("span", { class: "chip warning" }, "decides where the money goes")),
		h("p", { class: "change-values mono" }, h("del", {}, setting(old)), h("span", { class: "note" }, " becomes "), h("ins", {}, setting(next))),
	);
}

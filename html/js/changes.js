// Reviewing changes of the configuration before they are saved.
import * as api from "./api.js";
import { titleOf } from "./draft.js";
import { setting } from "./format.js";
import { button, h, notice, openDialog, toast } from "./ui.js";

const SWAPPED = "A and B swap places. The split, temporary changes and own settings stay with A and B, so they now apply to the other pool.";

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

/** Shows what saving a draft changes. `save()` returns whether that is settled, and `same()` is called for no change. */
export async function reviewChanges(draft, { save, refused, conflict, same = () => toast("Nothing has changed.", { level: "info" }) }) {
	const answer = await api.validate(draft.etag, draft.wanted);
	if (answer.conflict) return conflict();
	if (!answer.valid) return refused(answer.faults);
	if (answer.changes.length === 0) return same();
	confirmChanges(answer, save);
}

function confirmChanges({ changes, warnings }, save) {
	const go = button("Save", async () => {
		go.disabled = true;
		if (await save()) close();
		go.disabled = false;
	}, { kind: "primary" });
	const restart = changes.some((change) => change.needs_restart);
	const body = [changeList(changes), h("p", { class: "note" }, restart ? "Settings marked “needs a restart” take effect after one. The rest applies immediately." : "This applies immediately. No miner is disconnected."), ...warnings.map((text) => notice("warning", "Check this", text))];
	const close = openDialog(changes.length === 1 ? "Save this change?" : `Save these ${changes.length} changes?`, body, { actions: [button("Keep editing", () => close(), { kind: "ghost" }), go] });
}

// Back-up and restore of the configuration file.
import * as api from "./api.js";
import { changeList } from "./changes.js";
import { button, card, h, icon, notice, openDialog, toast } from "./ui.js";

export function backupCard(saved) {
	const result = h("div", { role: "status" });
	const file = h("input", { type: "file", id: "restore-file", accept: ".json,application/json", class: "sr-only", tabindex: "-1", "aria-label": "File to restore" });
	file.addEventListener("change", async () => {
		const [chosen] = file.files;
		file.value = "";
		if (chosen) await offer(await chosen.text());
	});

	async function offer(text) {
		result.replaceChildren();
		try {
			const answer = await api.validateRestore(JSON.parse(text));
			if (!answer.valid) return refuse(answer.faults);
			if (answer.changes.length === 0) return toast("The file says what is set already.", { level: "info" });
			confirm(text, answer.changes);
		} catch (error) {
			result.replaceChildren(notice("error", "This file cannot be restored", error instanceof SyntaxError ? `It is not JSON: ${error.message}` : error.message));
		}
	}

	function refuse(faults) {
		result.replaceChildren(notice("error", "This file cannot be restored", "", h("ul", {}, ...faults.map((f) => h("li", {}, h("code", {}, f.field), ` is ${f.found}. Allowed: ${f.allowed}.`)))));
	}

	function confirm(text, changes) {
		const go = button("Restore", async () => {
			close();
			try {
				await saved(await api.restore(text));
			} catch (error) {
				if (error.details?.length) refuse(error.details);
				else toast(`Not restored: ${error.message}`, { level: "error" });
			}
		}, { kind: "primary" });
		const close = openDialog("Restore this file?", [changeList(changes), h("p", { class: "note" }, "The present file is kept as config.json.bak.")], { actions: [button("Cancel", () => close(), { kind: "ghost" }), go] });
	}

	return card(
		"Back-up",
		{ id: "backup-section", note: "The whole file but its passwords: a restored one keeps those that are set." },
		h("div", { class: "actions" }, h("a", { class: "button", href: api.downloads.backup, download: "" }, icon("download"), "Download"), button("Restore from a file", () => file.click(), { image: "upload" })),
		file,
		result,
	);
}

// Config: every setting as a form or as JSON. It is read only once, so that nothing changes while you type.
// Unsaved changes survive a visit to another page.
import * as api from "./api.js";
import { backupCard } from "./backup.js";
import { changeList, reviewChanges } from "./changes.js";
import { configForm } from "./configform.js";
import { Draft, titleOf } from "./draft.js";
import { passwordCard } from "./password.js";
import { reveal } from "./router.js";
import { tokensCard } from "./tokens.js";
import { counted } from "./work.js";
import { button, copyText, debounce, failure, h, loading, notice, openDialog, pageHead, segmented, setText, toast } from "./ui.js";

const CHECK_AFTER_MS = 400;

let draft = null;
let mode = "form";

addEventListener("beforeunload", (event) => {
	if (draft?.dirty()) event.preventDefault();
});

export const config = { title: "Config", mount };

function mount(host) {
	const body = h("div", { class: "config" }, loading());
	const page = { left: false };
	host.append(pageHead("Config", "Every setting. Most changes apply immediately, without losing a miner.", h("a", { class: "button", href: "/notifications" }, "Notifications")), body);

	/** `fresh`: drops unsaved changes. */
	async function open(fresh) {
		try {
			const answer = await api.config();
			if (page.left) return;
			if (fresh || !draft?.dirty()) draft = new Draft(answer);
			show(body, page, reload);
		} catch (error) {
			body.replaceChildren(failure(error), button("Try again", () => open(fresh)));
		}
	}

	const reload = () => open(true);
	open();

	return () => {
		page.left = true;
		page.leave?.();
	};
}

function show(body, page, reload) {
	const notices = h("div", { class: "notices" });
	const editor = h("div", {});
	const bar = saveBar({ review, discard });
	const cards = [passwordCard(), backupCard(saved), tokensCard()];
	let view = null;
	let checking = null;

	const check = debounce(async () => {
		checking?.abort();
		checking = new AbortController();
		const { signal } = checking;
		const asked = JSON.stringify(draft.wanted);
		try {
			const answer = await api.validate(draft.etag, draft.wanted, signal);
			// The answer is about an older draft.
			if (signal.aborted || asked !== JSON.stringify(draft.wanted)) return;
			view.faults(answer.faults ?? []);
			bar.checked(answer);
			view.wallets?.(answer);
		} catch (error) {
			if (!signal.aborted) bar.failed(error);
		}
	}, CHECK_AFTER_MS);

	function changed() {
		bar.typing(draft);
		if (!draft.dirty()) view.faults([]);
		else if (!draft.unusable.size) check();
	}

	function showMode(next) {
		if (next === "form" && view?.text && draft.unusable.has("JSON")) {
			toast("Correct the JSON first.", { level: "warning" });
			return false;
		}
		mode = next;
		if (next === "json") draft.unusable.clear();
		view = next === "form" ? configForm(draft, changed, () => showMode("form"), cards) : jsonEditor(draft, changed);
		editor.replaceChildren(view.element);
		changed();
		return true;
	}

	const choose = segmented("How to edit", [["form", "Form"], ["json", "JSON"]], mode, (next) => {
		if (!showMode(next)) choose.querySelectorAll("button").forEach((b, i) => b.setAttribute("aria-pressed", String(i === 1)));
	});

	function showNotices() {
		const pending = draft.pendingRestart;
		notices.replaceChildren(
			...draft.warnings.map((text) => notice("warning", "Check the configuration", text)),
			pending.length ? notice("info", "Waits for a restart", "These settings are saved. They take effect after a restart:", changeList(pending)) : "",
		);
	}

	async function review() {
		if (draft.unusable.size) return jump([...draft.unusable.keys()][0]);
		try {
			await reviewChanges(draft, { save, refused, conflict });
		} catch (error) {
			toast(error.message, { level: "error" });
		}
	}

	function refused(faults) {
		view.faults(faults);
		jump(faults[0].field);
	}

	/** Leads to a wrong setting, or to the notice about one without a field. */
	function jump(path) {
		view.showAll?.();
		reveal(document.getElementById(`setting-${path.replaceAll(".", "-")}`) ?? editor.querySelector(".sections > div > .error, [aria-invalid=true]"));
	}

	async function save() {
		try {
			const answer = await api.saveConfig(draft.etag, draft.wanted);
			await saved(answer);
			return true;
		} catch (error) {
			if (error.code === "conflict") conflict();
			else if (error.details.length) setTimeout(refused, 0, error.details);
			else toast(`Not saved: ${error.message}`, { level: "error" });
			return error.code === "conflict" || error.details.length > 0;
		}
	}

	async function saved(answer) {
		const restart = answer.restart_needed.map(titleOf);
		toast(restart.length ? `Saved. After a restart these apply, too: ${restart.join(", ")}.` : `Saved. ${counted(answer.changes.length, "change")} in force.`, { level: restart.length ? "warning" : "good" });
		answer.warnings.forEach((text) => toast(text, { level: "warning" }));
		await reload();
	}

	function conflict() {
		const keep = async () => {
			close();
			try {
				const both = draft.rebase(await api.config());
				toast(both.length ? `Both sides changed ${both.map(titleOf).join(", ")}. The form shows your values. Check them, then save again.` : "The form has both changes. Save again.", { level: "warning" });
				show(body, page, reload);
			} catch (error) {
				toast(error.message, { level: "error" });
			}
		};
		const close = openDialog("The file has changed since you opened it", h("p", {}, "Another tab, program or editor saved it. Your changes are still here."), {
			actions: [button("Drop my changes", () => (close(), reload()), { kind: "danger" }), button("Keep my changes", keep, { kind: "primary" })],
		});
	}

	function discard() {
		reload();
	}

	page.leave?.();
	page.leave = () => {
		check.cancel();
		checking?.abort();
	};
	body.replaceChildren(h("div", { class: "config-tools" }, choose, h("p", { class: "note" }, "File: ", h("code", {}, draft.path))), notices, editor, bar.element, h("div", { class: "pair" }, ...cards));
	showNotices();
	showMode(mode);
	reveal();
}

function saveBar({ review, discard }) {
	const text = h("p", { role: "status" });
	const save = button("Review and save", review, { kind: "primary" });
	const drop = button("Discard", discard, { kind: "ghost" });
	const element = h("div", { class: "save-bar", hidden: true }, text, h("div", { class: "actions" }, drop, save));
	const count = (n) => `${counted(n, "change")} not saved yet`;
	const wrong = "Some settings cannot be used yet";
	let number = 0;
	return {
		element,
		typing(draft) {
			number = draft.changed().length;
			element.hidden = !draft.dirty();
			setText(text, draft.unusable.size > 0 ? wrong : count(number));
		},
		checked({ valid, conflict, changes = [] }) {
			if (conflict) changes = [];
			const restart = changes.filter((change) => change.needs_restart).length;
			setText(text, valid ? `${count(changes.length || number)}${restart ? `, ${restart} of them ${restart === 1 ? "needs" : "need"} a restart` : ""}` : wrong);
		},
		failed: (error) => setText(text, `${count(number)}. They could not be checked: ${error.message}`),
	};
}

function jsonEditor(draft, changed) {
	const error = h("p", { class: "field-error", id: "json-error", "aria-live": "polite" });
	const list = h("ul", { class: "field-error-list" });
	const area = h("textarea", { class: "json mono", id: "json", spellcheck: "false", rows: "30", "aria-describedby": "json-error json-help", value: JSON.stringify(draft.wanted, null, 2) });
	area.addEventListener("input", () => {
		try {
			const parsed = JSON.parse(area.value);
			if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new Error("it must be an object, such as {}.");
			draft.wanted = parsed;
			draft.unusable.delete("JSON");
			setText(error, "");
		} catch (problem) {
			draft.unusable.set("JSON", area.value);
			setText(error, `This is not valid JSON: ${problem.message}`);
		}
		area.setAttribute("aria-invalid", String(draft.unusable.has("JSON")));
		changed();
	});
	const copy = button("Copy", async () => toast((await copyText(area.value)) ? "Copied." : "Copying is not possible here."), { image: "copy", kind: "small" });
	return {
		text: true,
		element: h("section", { class: "card" }, h("header", { class: "card-head" }, h("label", { for: "json", class: "label" }, "Configuration as JSON"), h("div", { class: "actions" }, copy)), error, list, area, h("p", { class: "note", id: "json-help" }, "Passwords of pools are not shown. If you leave one out, it stays. \"\" removes it.")),
		faults(faults) {
			list.replaceChildren(...faults.map((f) => h("li", {}, h("code", {}, f.field), ` is ${f.found}. Allowed: ${f.allowed}.`)));
			if (faults.length) area.setAttribute("aria-invalid", "true");
			else if (!draft.unusable.has("JSON")) area.removeAttribute("aria-invalid");
		},
	};
}

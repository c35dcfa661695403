// Config: every setting as a form or as JSON. The page reads the configuration once and never again by
// itself, so that nothing reverts while one types; what is typed survives a visit to another page.
import * as api from "./api.js";
import { backupCard } from "./backup.js";
import { changeList } from "./changes.js";
import { configForm } from "./configform.js";
import { Draft, titleOf } from "./draft.js";
import { passwordCard } from "./password.js";
import { reveal } from "./router.js";
import { tokensCard } from "./tokens.js";
import { button, copyText, debounce, failure, h, loading, notice, openDialog, pageHead, segmented, setText, toast } from "./ui.js";

const CHECK_AFTER_MS = 400;

/** The draft outlives the page; null if there is nothing to keep. */
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

	/** `fresh`: with what the server has, whatever was typed. */
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
	let view = null;
	let checking = null;

	const check = debounce(async () => {
		checking?.abort();
		checking = new AbortController();
		const { signal } = checking;
		const asked = JSON.stringify(draft.wanted);
		try {
			const answer = await api.validate(draft.etag, draft.wanted, signal);
			// An answer to what was wanted before says nothing about what is wanted now.
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
			toast("The text is not valid JSON yet; correct it first.", { level: "warning" });
			return false;
		}
		mode = next;
		if (next === "json") draft.unusable.clear();
		view = next === "form" ? configForm(draft, changed, () => showMode("form")) : jsonEditor(draft, changed);
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
			...draft.warnings.map((text) => notice("warning", "The configuration has a flaw", text)),
			pending.length ? notice("info", "Waits for a restart", "These settings are saved and take effect when DPMP restarts:", changeList(pending)) : "",
		);
	}

	async function review() {
		try {
			const answer = await api.validate(draft.etag, draft.wanted);
			if (!answer.valid) return view.faults(answer.faults, { focus: true });
			if (answer.changes.length === 0) return toast("Nothing has changed.", { level: "info" });
			confirmChanges(answer, save);
		} catch (error) {
			toast(error.message, { level: "error" });
		}
	}

	async function save() {
		try {
			const answer = await api.saveConfig(draft.etag, draft.wanted);
			await saved(answer);
			return true;
		} catch (error) {
			if (error.code === "conflict") conflict();
			else if (error.details.length) view.faults(error.details, { focus: true });
			else toast(`Not saved: ${error.message}`, { level: "error" });
			return error.code === "conflict" || error.details.length > 0;
		}
	}

	async function saved(answer) {
		const restart = answer.restart_needed.map(titleOf);
		const count = answer.changes.length === 1 ? "1 change is" : `${answer.changes.length} changes are`;
		toast(restart.length ? `Saved. ${count} taken over; after a restart also: ${restart.join(", ")}.` : `Saved. ${count} in force.`, { level: restart.length ? "warning" : "good" });
		answer.warnings.forEach((text) => toast(text, { level: "warning" }));
		await reload();
	}

	/** The file has changed since you opened it: nothing typed is lost, whatever the owner decides. */
	function conflict() {
		const keep = async () => {
			close();
			try {
				const both = draft.rebase(await api.config());
				toast(both.length ? `Your changes are on top of the new file. Changed on both sides: ${both.map(titleOf).join(", ")}. Yours stand here; check them and save again.` : "Your changes are on top of the new file now. Save again.", { level: "warning" });
				show(body, page, reload);
			} catch (error) {
				toast(error.message, { level: "error" });
			}
		};
		const close = openDialog("The file has changed since you opened it", h("p", {}, "Somebody, or an editor, has saved the configuration since this page read it. What you typed is still here."), {
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
	body.replaceChildren(h("div", { class: "config-tools" }, choose, h("p", { class: "note" }, "File: ", h("code", {}, draft.path))), notices, editor, bar.element, h("div", { class: "pair" }, passwordCard(), backupCard(saved)), h("div", { class: "pair" }, tokensCard()));
	showNotices();
	showMode(mode);
	reveal();
}

/** The bar at the foot: whether there is something to save, and whether it can be. */
function saveBar({ review, discard }) {
	const text = h("p", { role: "status" });
	const save = button("Review and save", review, { kind: "primary" });
	const drop = button("Discard", discard, { kind: "ghost" });
	const element = h("div", { class: "save-bar", hidden: true }, text, h("div", { class: "actions" }, drop, save));
	const count = (n) => (n === 1 ? "1 change" : `${n} changes`);
	let number = 0;
	return {
		element,
		typing(draft) {
			number = draft.changed().length;
			element.hidden = !draft.dirty();
			save.disabled = draft.unusable.size > 0;
			setText(text, draft.unusable.size > 0 ? "Something cannot be used yet; see the message at its field." : `${count(number)} not saved yet`);
		},
		checked({ valid, changes = [] }) {
			save.disabled = !valid;
			const restart = changes.filter((change) => change.needs_restart).length;
			if (!valid) setText(text, "Something cannot be used yet; see the message at its field.");
			else setText(text, `${count(changes.length || number)} not saved yet${restart ? `, ${restart} of them ${restart === 1 ? "needs" : "need"} a restart` : ""}`);
		},
		failed: (error) => setText(text, `${count(number)} not saved yet; they could not be checked: ${error.message}`),
	};
}

function confirmChanges({ changes, warnings }, save) {
	const go = button("Save", async () => {
		go.disabled = true;
		if (await save()) close();
		go.disabled = false;
	}, { kind: "primary" });
	const restart = changes.some((change) => change.needs_restart);
	const body = [changeList(changes), h("p", { class: "note" }, restart ? "What needs a restart is saved now and waits for it. Everything else applies immediately." : "Everything applies immediately. No miner is dropped."), ...warnings.map((text) => notice("warning", "Mind", text))];
	const close = openDialog(changes.length === 1 ? "Save this change?" : `Save these ${changes.length} changes?`, body, { actions: [button("Keep editing", () => close(), { kind: "ghost" }), go] });
}

/** The configuration as text, for whoever prefers that. */
function jsonEditor(draft, changed) {
	const error = h("p", { class: "field-error", id: "json-error", "aria-live": "polite" });
	const list = h("ul", { class: "field-error-list" });
	const area = h("textarea", { class: "json mono", id: "json", spellcheck: "false", rows: "30", "aria-describedby": "json-error json-help", value: JSON.stringify(draft.wanted, null, 2) });
	area.addEventListener("input", () => {
		try {
			const parsed = JSON.parse(area.value);
			if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new Error("it must be an object: { … }");
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
		element: h("section", { class: "card" }, h("header", { class: "card-head" }, h("label", { for: "json", class: "label" }, "Configuration as JSON"), h("div", { class: "actions" }, copy)), error, list, area, h("p", { class: "note", id: "json-help" }, "Passwords of pools are not shown. One that is left out stays as it is; \"\" removes it.")),
		faults(faults, { focus = false } = {}) {
			list.replaceChildren(...faults.map((f) => h("li", {}, h("code", {}, f.field), ` is ${f.found}. Allowed: ${f.allowed}.`)));
			if (faults.length) area.setAttribute("aria-invalid", "true");
			else if (!draft.unusable.has("JSON")) area.removeAttribute("aria-invalid");
			if (focus) area.focus();
		},
	};
}

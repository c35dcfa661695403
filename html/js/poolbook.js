// Saved and known pools to choose from. The server edits the draft, which the owner then saves.
import * as api from "./api.js";
import { button, card, h, icon, setText, toast } from "./ui.js";

const saved = (draft) => Object.entries(draft.wanted.saved_pools ?? {});
const about = (pool, ...more) => [pool.host, pool.port, pool.chain, ...more].filter(Boolean).join(" · ");

const editor = (draft, changed) => async (edit) => {
	if (draft.unusable.size) return toast("Correct the marked settings first.", { level: "warning" });
	try {
		const answer = await api.editPools(draft.wanted, edit);
		draft.wanted = answer.config;
		draft.secretsSet = new Set(answer.secrets_set);
	} catch (error) {
		toast(error.message, { level: "warning" });
	}
	changed();
};

/** Pools to put in the place of A or B, or to have as a backup. `sync()`: the form has other values. */
export function poolChoice(slot, draft, changed, withBackup) {
	const edit = editor(draft, changed);
	const group = (label, names) => names.length > 0 && h("optgroup", { label }, ...names.map((value) => h("option", { value }, value)));
	const chooser = (action, label, none) => {
		const id = `${action}-pool-${slot}`;
		const box = h("select", { id }, h("option", { value: "" }, none), group("Saved pools", saved(draft).map(([name]) => name)), group("Known pools", draft.knownPools.map(({ name }) => name)));
		// With the arrow keys, every pool on the way would be taken: they only look until Enter, or until one leaves.
		let looking = false;
		const take = async (stays = true) => {
			looking = false;
			if (box.value && box.value !== box.dataset.at) await edit({ action, slot, name: box.value });
			sync();
			// The form is new.
			if (stays) document.getElementById(id)?.focus({ preventScroll: true });
		};
		box.addEventListener("keydown", ({ key }) => {
			if (key === "Enter" && looking) take();
			else looking ||= key.startsWith("Arrow") || key.length === 1;
		});
		box.addEventListener("pointerdown", () => (looking = false));
		box.addEventListener("change", () => looking || take());
		box.addEventListener("blur", () => looking && take(false));
		return [h("div", { class: "field-label" }, h("label", { for: id }, label)), box];
	};
	const use = chooser("use", "Choose a pool", "None of these");
	const text = h("span");
	const source = h("a", { target: "_blank", rel: "noopener" }, "Source");
	const backup = withBackup ? chooser("backup", "Add a backup", "Choose a pool") : [];
	function sync() {
		const pool = draft.wanted.pools?.[slot] ?? {};
		const { name, host } = pool;
		const own = draft.wanted.saved_pools?.[name];
		const known = !own && draft.knownPools.find((it) => it.name === name);
		// A saved pool that pays another address is not this one.
		const same = (key) => String(own[key] ?? "") === String(pool[key] ?? "");
		const chosen = host && (own || known)?.host === host && (known || ["port", "wallet", "user_name"].every(same));
		use[1].dataset.at = use[1].value = chosen ? name : "";
		if (withBackup) backup[1].value = "";
		setText(text, !chosen ? "" : own ? about(own, own.wallet) : `${known.about} `);
		source.hidden = !chosen || !known;
		source.href = known?.source ?? "";
	}
	sync();
	return Object.assign(h("div", { class: "field pool-choice" }, ...use, h("p", { class: "note" }, text, source), ...backup), { sync });
}

/** `typed()`: a setting has changed; `changed()`: the form has to be made again. */
export function savedCard(draft, typed, changed) {
	const edit = editor(draft, changed);
	const action = (label, change) => button(label, () => edit(change), { kind: "small" });
	const row = ([name, pool]) => {
		const field = h("input", { type: "text", value: name, maxlength: "64", autocomplete: "off", "aria-label": `Name of ${name}`, onchange: () => edit({ action: "rename", name, to: field.value }) });
		const words = h("p", { class: "note ellipsis" }, about(pool, pool.wallet));
		const setting = (key, label) => {
			const input = h("input", { type: "text", value: pool[key] ?? "", autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-label": `${label} of ${name}`, oninput: () => {
				if (input.value.trim() || key === "wallet") pool[key] = input.value.trim();
				else delete pool[key];
				setText(words, about(pool, pool.wallet));
				typed();
			} });
			return h("div", {}, h("span", { class: "note", "aria-hidden": "true" }, label), input);
		};
		return h("li", {}, h("div", { class: "group-text" }, field, words, h("details", {}, h("summary", {}, "Payout address and user name"), setting("wallet", "Payout address or account"), setting("user_name", "User name at the pool"))), h("button", { type: "button", class: "ghost icon-only", "aria-label": `Delete ${name}`, title: "Delete", onclick: () => edit({ action: "delete", name }) }, icon("trash")));
	};
	return card("Saved pools", { id: "section-saved_pools", note: "An address book: DPMP mines for none of them until you choose it.", actions: [action("Add pool A", { action: "save", slot: "A" }), action("Add pool B", { action: "save", slot: "B" }), action("Swap A and B", { action: "swap" })] }, h("ol", { class: "rows" }, ...saved(draft).map(row)));
}

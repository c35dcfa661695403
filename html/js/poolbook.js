// Pools to choose from: saved ones and known ones. The server changes the draft, and nothing holds before that is saved.
import * as api from "./api.js";
import { button, card, h, icon, setText, toast } from "./ui.js";

const saved = (draft) => Object.entries(draft.wanted.saved_pools ?? {});
const about = ([, pool]) => [pool.host, pool.port, pool.chain, pool.wallet].filter(Boolean).join(" · ");

/** A function that has pools of the draft changed; `changed()` is called when it has other values than the form. */
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

/** Pools to put in the place of A or B, or to have as a backup. */
export function poolChoice(slot, draft, changed, withBackup) {
	const edit = editor(draft, changed);
	const id = `choose-pool-${slot}`;
	const group = (label, names) => names.length > 0 && h("optgroup", { label }, ...names.map((name) => h("option", {}, name)));
	const box = h("select", { id }, group("Saved pools", saved(draft).map(([name]) => name)), group("Known pools", draft.knownPools.map(({ name }) => name)));
	box.value = draft.wanted.pools?.[slot]?.name;
	if (box.selectedIndex < 0) box.selectedIndex = 0;
	const text = h("span");
	const source = h("a", { target: "_blank", rel: "noopener" }, "Source");
	const show = () => {
		const own = saved(draft).find(([name]) => name === box.value);
		const known = draft.knownPools.find(({ name }) => name === box.value);
		setText(text, own ? about(own) : `${known.about} `);
		source.hidden = !!own;
		source.href = known?.source ?? "";
	};
	box.addEventListener("change", show);
	show();
	const action = (label, name) => button(label, () => edit({ action: name, slot, name: box.value }));
	return h("div", { class: "field pool-choice" }, h("div", { class: "field-label" }, h("label", { for: id }, "Choose a pool")), h("div", { class: "actions" }, box, action("Use", "use"), withBackup && action("Add as backup", "backup")), h("p", { class: "note" }, text, source));
}

/** The card of the saved pools. */
export function savedCard(draft, changed) {
	const edit = editor(draft, changed);
	const action = (label, change) => button(label, () => edit(change), { kind: "small" });
	const row = (entry) => {
		const [name] = entry;
		const field = h("input", { type: "text", value: name, maxlength: "64", autocomplete: "off", "aria-label": `Name of ${name}`, onchange: () => edit({ action: "rename", name, to: field.value }) });
		return h("li", {}, h("div", { class: "group-text" }, field, h("p", { class: "note ellipsis" }, about(entry))), h("button", { type: "button", class: "ghost icon-only", "aria-label": `Delete ${name}`, title: "Delete", onclick: () => edit({ action: "delete", name }) }, icon("trash")));
	};
	return card("Saved pools", { id: "section-saved_pools", note: "An address book: DPMP mines for none of them until you choose it.", actions: [action("Add pool A", { action: "save", slot: "A" }), action("Add pool B", { action: "save", slot: "B" }), action("Swap A and B", { action: "swap" })] }, h("ol", { class: "rows" }, ...saved(draft).map(row)));
}

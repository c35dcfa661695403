// The form of all settings, made from the server's schema: sections, fields, pool tests.
import { fromHost, settingField, walletNote } from "./fields.js";
import { poolChoice, savedCard } from "./poolbook.js";
import { poolTest } from "./pooltest.js";
import { card, h, notice, poolBadge, setText } from "./ui.js";

/**
 * The form of a draft. `changed()` is called when something was typed, `rebuild()` when pools came from elsewhere.
 * `cards`: what the search finds besides.
 */
export function configForm(draft, changed, rebuild, cards) {
	const fields = draft.schema.filter((key) => key.everyday !== null).map((key) => settingField(key, draft, changed));
	const byPath = new Map(fields.map((field) => [field.key.path, field]));
	const others = h("div", {});
	const notes = ["A", "B"].map((slot) => walletNote(fields.filter(({ key }) => key.section === `pools.${slot}`), draft));
	const part = (everyday) =>
		draft.sections.flatMap((section) => {
			if (section.path === "saved_pools") return everyday ? [{ fields: [], element: savedCard(draft, typed, rebuild) }] : [];
			const own = fields.filter(({ key }) => key.section === section.path && key.everyday === everyday);
			const more = !everyday && fields.some(({ key }) => key.section === section.path && key.everyday);
			return own.length ? [sectionCard(section, own, draft, rebuild, more)] : [];
		});
	function typed() {
		changed();
		first.forEach((it) => it.sync?.());
	}
	const [first, rest] = [part(true), part(false)];
	const all = h("details", { id: "all-settings" }, h("summary", {}, "All settings"), h("div", { class: "sections" }, ...rest.map((it) => it.element)));
	const found = h("p", { class: "note", role: "status" });
	const search = h("input", { type: "search", placeholder: "Search settings", "aria-label": "Search settings" });
	function find(text) {
		let some = false;
		for (const { fields: own, element } of [...first, ...rest, ...cards.map((card) => ({ fields: [], element: card }))]) {
			const whole = element.firstElementChild.textContent.toLowerCase().includes(text);
			const here = own.filter((field) => !(field.element.hidden = !whole && !field.text.includes(text)));
			element.hidden = !whole && !here.length;
			some ||= !element.hidden;
		}
		all.open = text !== "";
		setText(found, some ? "" : "No setting matches.");
	}
	search.addEventListener("input", () => find(search.value.trim().toLowerCase()));
	return {
		element: h("div", { class: "sections" }, search, found, others, ...first.map((it) => it.element), all),
		wallets: (answer) => notes.forEach((note) => note(answer)),
		showAll() {
			if (search.value) find((search.value = ""));
		},
		faults(faults) {
			fields.forEach((field) => {
				field.mark();
				if (!draft.unusable.has(field.key.path)) field.say("");
			});
			const homeless = faults.filter((fault) => !byPath.has(fault.field));
			faults.filter((fault) => byPath.has(fault.field)).forEach((fault) => byPath.get(fault.field).say(`This cannot be ${fault.found}. Allowed: ${fault.allowed}.`));
			others.replaceChildren(...homeless.map((fault) => notice("error", fault.field, `It is ${fault.found}. Allowed: ${fault.allowed}.`)));
		},
	};
}

/** `more`: the everyday settings have their own card. */
function sectionCard(section, fields, draft, rebuild, more) {
	const slot = section.path.startsWith("pools.") && !more ? section.path.at(-1) : null;
	const title = more ? `${section.title}: more` : section.title;
	if (slot) fromHost(fields);
	const id = `section-${section.path.replace(".", "-").toLowerCase()}${more ? "-more" : ""}`;
	const test = slot && poolTest(() => poolOf(slot, draft));
	const choice = slot && poolChoice(slot, draft, rebuild, true);
	const element = card(title, { id, note: !more && section.note, actions: slot ? [poolBadge(slot)] : [], className: slot ? `pool-${slot.toLowerCase()}-edge` : "" }, choice, h("div", { class: "fields" }, ...fields.map((field) => field.element)), test?.element);
	element.addEventListener("input", (event) => {
		test?.forget();
		if (choice && !choice.contains(event.target)) choice.sync();
	});
	return { fields, element, sync: choice?.sync };
}

/** A pool as in the form. A password that was not typed is the saved one. */
export function poolOf(slot, draft) {
	const value = (name) => {
		const key = draft.schema.find((k) => k.path === `pools.${slot}.${name}`);
		return draft.unusable.get(key.path) ?? draft.value(key);
	};
	const password = draft.wanted.pools?.[slot]?.password ?? null;
	return { slot, host: value("host"), port: value("port"), tls: value("tls"), tls_fingerprint: value("tls_fingerprint"), tls_insecure: value("tls_insecure"), wallet: value("wallet"), user_name: value("user_name"), password };
}

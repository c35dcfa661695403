// The form of all settings, made from the server's schema: sections, fields, pool tests.
import { sectionOf, sectionTitle } from "./changes.js";
import { fromHost, settingField, walletNote } from "./fields.js";
import { poolTest } from "./pooltest.js";
import { card, h, notice, poolBadge } from "./ui.js";

const ORDER = ["pools.A", "pools.B", "scheduler", "workers", "groups", "timetable", "balance", "downstream_diff", "listen", "logging", "gui", "metrics"];
const NOTES = {
	"pools.A": "Where the first part of the work goes.",
	"pools.B": "Where the second part of the work goes.",
	scheduler: "70 and 30 give the same split as 7 and 3.",
	workers: "What single miners do, by their worker name.",
	groups: "What miners do whose worker names match a pattern.",
	timetable: "What all other miners do at certain times of the week.",
	balance: "Shifts the split toward the pool where a hash earns more.",
	downstream_diff: "Pools set the difficulty themselves. Leave this empty unless you know that you need it.",
	listen: "Where miners connect, and what a mistake or a stranger may use up.",
	logging: "What is written down, and where.",
	gui: "These pages. The password is set further below.",
	metrics: "Metrics for Prometheus.",
};
/** Settings with a place of their own. */
const ELSEWHERE = new Set(["gui.password_hash", "gui.tokens", "notify.targets"]);

/** The form of a draft. `changed()` is called when something was typed. */
export function configForm(draft, changed) {
	const fields = draft.schema.filter((key) => !ELSEWHERE.has(key.path)).map((key) => settingField(key, draft, changed));
	const byPath = new Map(fields.map((field) => [field.key.path, field]));
	const sections = inOrder([...new Set(fields.map((field) => sectionOf(field.key.path)))]);
	const others = h("div", {});
	const notes = ["A", "B"].map((slot) => walletNote(fields.filter(({ key }) => sectionOf(key.path) === `pools.${slot}`), draft));
	const links = sections.map((section) => h("a", { href: `#${anchor(section)}` }, sectionTitle(section)));
	const cards = sections.map((section) => sectionCard(section, fields.filter((field) => sectionOf(field.key.path) === section), draft));
	const stopFollowing = followScroll(cards, links);
	return {
		element: h("div", { class: "config-form" }, h("nav", { class: "section-nav", "aria-label": "Sections" }, ...links, h("a", { href: "#password-section" }, "Password"), h("a", { href: "#backup-section" }, "Back-up"), h("a", { href: "#tokens-section" }, "Programs")), h("div", { class: "sections" }, others, ...cards)),
		wallets: (answer) => notes.forEach((note) => note(answer)),
		/** Shows the server's messages at their fields; those without a field at the top. */
		faults(faults, { focus = false } = {}) {
			fields.forEach((field) => {
				field.mark();
				if (!draft.unusable.has(field.key.path)) field.say("");
			});
			const fieldOf = (fault) => byPath.get(fault.field) ?? fields.find(({ key }) => key.kind === "table" && fault.field.startsWith(`${key.path}.`));
			const homeless = faults.filter((fault) => !byPath.has(fault.field));
			faults.filter((fault) => byPath.has(fault.field)).forEach((fault) => byPath.get(fault.field).say(`This cannot be ${fault.found}. Allowed: ${fault.allowed}.`));
			others.replaceChildren(...homeless.map((fault) => notice("error", fault.field, `It is ${fault.found}. Allowed: ${fault.allowed}.`)));
			if (focus && faults.length) fieldOf(faults[0])?.input.focus();
		},
		leave: stopFollowing,
	};
}

function inOrder(sections) {
	const place = (section) => (ORDER.includes(section) ? ORDER.indexOf(section) : ORDER.length);
	return sections.sort((x, y) => place(x) - place(y));
}

const anchor = (section) => `section-${section.replace(".", "-").toLowerCase()}`;

function sectionCard(section, fields, draft) {
	const slot = section.startsWith("pools.") ? section.at(-1) : null;
	const actions = slot ? [poolBadge(slot)] : [];
	if (slot) fromHost(fields);
	const test = slot && poolTest(() => poolOf(slot, draft));
	return card(sectionTitle(section), { id: anchor(section), note: NOTES[section], actions, className: slot ? `pool-${slot.toLowerCase()}-edge` : "" }, h("div", { class: "fields" }, ...fields.map((field) => field.element)), test);
}

/** What is in the form of a pool now, saved or not. A password that was not typed is the stored one. */
export function poolOf(slot, draft) {
	const value = (name) => {
		const key = draft.schema.find((k) => k.path === `pools.${slot}.${name}`);
		return draft.unusable.get(key.path) ?? draft.value(key);
	};
	const password = draft.wanted.pools?.[slot]?.password ?? null;
	return { slot, host: value("host"), port: value("port"), tls: value("tls"), tls_fingerprint: value("tls_fingerprint"), tls_insecure: value("tls_insecure"), wallet: value("wallet"), user_name: value("user_name"), password };
}

/** Marks the section that is in sight: the last one that begins in the upper part of the window. */
function followScroll(cards, links) {
	const mark = () => {
		const begun = cards.filter((element) => element.getBoundingClientRect().top < innerHeight / 3).length;
		links.forEach((link, i) => link.toggleAttribute("data-current", i === Math.max(0, begun - 1)));
	};
	addEventListener("scroll", mark, { passive: true });
	requestAnimationFrame(mark);
	return () => removeEventListener("scroll", mark);
}

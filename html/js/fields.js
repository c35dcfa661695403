// One setting as an input with its meaning, default and limits, checked while you type.
import { read } from "./draft.js";
import { setting, typedNumber } from "./format.js";
import { h, marked, setText } from "./ui.js";

const UNITS = { seconds: "seconds", kib: "KiB", mb: "MB", percent: "%" };

/** Returns { value } or { fault }. */
export function parse(key, text) {
	if (key.kind === "flag") return { value: text };
	if (key.kind === "list") return { value: text.split("\n").map((line) => line.trim()).filter(Boolean) };
	if (key.kind === "integer" || key.kind === "number") return parseNumber(key, text.trim());
	return { value: text };
}

function parseNumber(key, text) {
	if (text === "" && key.nullable) return { value: null };
	const value = typedNumber(text);
	const fault = { fault: `Enter ${key.allowed}.` };
	if (text === "" || !Number.isFinite(value)) return fault;
	if (key.kind === "integer" && !Number.isInteger(value)) return fault;
	// 0 may mean none.
	if (value === 0 && (key.nullable || key.allowed.startsWith("0,"))) return { value };
	if ((key.min !== null && value < key.min) || (key.max !== null && value > key.max)) return fault;
	return { value };
}

/**
 * An input for a key of the draft. `changed()` is called when the draft has changed.
 * `hint` takes the place of the full explanation.
 */
export function settingField(key, draft, changed, hint = null) {
	const id = `setting-${key.path.replaceAll(".", "-")}`;
	if (key.kind === "table") return tableField(key, draft, id, hint);
	const error = h("p", { class: "field-error", id: `${id}-error`, "aria-live": "polite" });
	const input = makeInput(key, draft, id);
	input.setAttribute("aria-describedby", `${id}-error ${id}-help`);
	const element = h("div", { class: `field kind-${key.kind}` }, label(key, id, hint), withUnit(key, input), key.kind === "secret" && secretState(key, draft, input, changed), error, hint === null ? help(key, id) : h("p", { class: "field-help", id: `${id}-help` }, hint));

	input.addEventListener("input", () => {
		const { value, fault } = parse(key, key.kind === "flag" ? input.checked : input.value);
		if (fault) draft.unusable.set(key.path, input.value);
		else draft.unusable.delete(key.path);
		// An empty secret field keeps the saved secret.
		if (!fault) draft.set(key.path, key.kind === "secret" && value === "" ? undefined : value);
		say(fault ?? "");
		mark();
		changed();
	});

	function say(text, good = false) {
		setText(error, text);
		error.classList.toggle("good", good);
		if (text && !good) input.setAttribute("aria-invalid", "true");
		else input.removeAttribute("aria-invalid");
		// The bar at the foot must not hide the message.
		if (text && input === document.activeElement) error.scrollIntoView({ block: "nearest" });
	}

	function mark() {
		element.classList.toggle("changed", draft.unusable.has(key.path) || draft.changed().includes(key.path));
	}

	mark();
	if (draft.unusable.has(key.path)) say(parse(key, input.value).fault ?? "");
	return { key, element, input, say, mark, text: textOf(key) };
}

const textOf = (key) => `${key.title} ${key.path} ${key.meaning}`.toLowerCase();

const TABLE_PAGES = { workers: ["/miners", "Miners"], groups: ["/miners", "Miners"], timetable: ["/timetable", "Timetable"], balance: ["/timetable", "Timetable"] };

/** A table is too much for one field, so the form only counts its entries. */
function tableField(key, draft, id, hint) {
	const error = h("p", { class: "field-error", id: `${id}-error`, "aria-live": "polite" });
	const count = Object.keys(draft.value(key) ?? {}).length;
	const input = h("output", { id, tabindex: "-1" }, count === 1 ? "1 entry" : `${count || "No"} entries`);
	const [href, page] = TABLE_PAGES[key.path.split(".")[0]] ?? [];
	const element = h("div", { class: "field kind-table" }, label(key, id, hint), input, page && [". ", h("a", { href }, `Change on the page ${page}`)], error, help(key, id));
	const mark = () => element.classList.toggle("changed", draft.changed().includes(key.path));
	mark();
	return { key, element, input, say: (text) => setText(error, text), mark, text: textOf(key) };
}

/** Pools publish host and port as one text, which also says whether to encrypt. */
export function fromHost(fields) {
	const of = (name) => fields.find((field) => field.key.path.endsWith(`.${name}`))?.input;
	const [host, port, tls] = [of("host"), of("port"), of("tls")];
	if (!host || !port) return;
	host.addEventListener("input", () => {
		if (tls && !tls.checked && /^\s*(stratum\+(ssl|tls|tcps)|stratums|ssl|tls):\/\//i.test(host.value)) {
			tls.checked = true;
			tls.dispatchEvent(new Event("input", { bubbles: true }));
		}
		const found = host.value.trim().match(/^(?:[a-z0-9+]+:\/\/)?(?:\[[^\]]+\]|[^:/\s]+):(\d{1,5})\/?$/i);
		if (!found || found[1] === port.value) return;
		port.value = found[1];
		port.dispatchEvent(new Event("input", { bubbles: true }));
	});
}

/** Shows remarks about a wallet, and sets its coin unless the owner has. Returns true for a new problem. */
export function walletNote(fields, draft) {
	const [{ key, input, say }, { key: coinKey, input: coin }] = ["wallet", "chain"].map((name) => fields.find((field) => field.key.path.endsWith(`.${name}`)));
	let chosen = (read(draft.base, coinKey.path) || coinKey.default) !== coinKey.default;
	let typed = false;
	input.addEventListener("input", () => (typed = true));
	coin.addEventListener("input", (event) => (chosen ||= event.isTrusted));
	return ({ faults = [], wallets }) => {
		const { text = "", problem, chain } = wallets[key.path] ?? {};
		if (text && !faults.some(({ field }) => field === key.path)) say(text, !problem);
		const isNew = typed;
		typed = false;
		if (!isNew || chosen || !chain) return isNew && problem;
		coin.value = chain;
		coin.dispatchEvent(new Event("input", { bubbles: true }));
	};
}

function makeInput(key, draft, id) {
	const value = draft.unusable.get(key.path) ?? draft.value(key);
	if (key.kind === "flag") return h("input", { id, type: "checkbox", class: "switch", checked: value === true });
	if (key.kind === "choice") return choice(key, value, id);
	if (key.kind === "list") return h("textarea", { id, rows: "3", spellcheck: "false", value: (Array.isArray(value) ? value : [value]).join("\n") });
	if (key.kind === "secret") return h("input", { id, type: "password", autocomplete: "new-password", value: value ?? "" });
	const number = key.kind === "integer" || key.kind === "number";
	return h("input", { id, type: "text", inputmode: number ? "decimal" : undefined, class: number ? "number" : "", autocomplete: "off", spellcheck: "false", autocapitalize: "off", value: value ?? "" });
}

function choice(key, value, id) {
	const box = h("select", { id }, ...key.choices.map((option) => h("option", { value: option }, option)));
	box.value = String(value).toLowerCase();
	return box;
}

function label(key, id, hint) {
	return h("div", { class: "field-label" }, h("label", { for: id }, key.title), key.needs_restart && h("span", { class: "chip", title: "A change waits for a restart" }, "restart"), hint === null && h("code", {}, key.path));
}

function withUnit(key, input) {
	const unit = UNITS[key.path.split("_").at(-1)];
	return unit ? h("div", { class: "with-unit" }, input, h("span", { class: "note" }, unit)) : input;
}

function help(key, id) {
	const list = { list: " One a line.", table: " Edit it as JSON, at the top of this page." }[key.kind] ?? "";
	const standard = key.secret ? "" : `Default: ${setting(key.default)}. `;
	return h("div", { class: "field-help", id: `${id}-help` }, h("p", {}, marked(key.meaning + list)), h("p", { class: "limits" }, marked(`${standard}Allowed: ${key.allowed}.`)));
}

/** A secret is never shown, only whether there is one. */
function secretState(key, draft, input, changed) {
	const text = h("span", {});
	const removal = h("button", { type: "button", class: "ghost small" });
	const removing = () => draft.value(key) === "" && draft.secretsSet.has(key.path) && draft.changed().includes(key.path);
	const show = () => {
		setText(text, !draft.secretsSet.has(key.path) ? "None is saved." : removing() ? "It will be removed." : "One is saved. Leave this empty to keep it.");
		setText(removal, removing() ? "Keep it" : "Remove it");
		removal.hidden = !draft.secretsSet.has(key.path);
	};
	removal.addEventListener("click", () => {
		draft.set(key.path, removing() ? undefined : "");
		input.value = "";
		show();
		changed();
	});
	input.addEventListener("input", show);
	show();
	return h("p", { class: "secret-state" }, text, removal);
}

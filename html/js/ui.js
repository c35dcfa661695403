// Building blocks of all pages.
// Texts are never set as HTML, because names of workers and messages of pools come from
// strangers.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("p", { class: "x", onclick: f, "aria-label": "y" }, "text", child, …). */
export function h(tag, props = {}, ...children) {
	return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
	return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "value" || name === "checked") element[name] = value;
		else element.setAttribute(name, value === true ? "" : name === "title" ? isolate(value) : value);
	}
	const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
	element.append(...shown.flatMap((it) => (it instanceof Node ? it : isolated(element, String(it)))));
	return element;
}

/** Right-to-left letters, and characters that change the direction of text. Our own texts have none. */
const LETTERS = "[\\u0590-\\u08ff\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufb1d-\\ufdff\\ufe70-\\ufefe\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}]+";
const FOREIGN = new RegExp(`(${LETTERS}(?:[ .'_-]+${LETTERS})*)`, "u");

/** Isolates foreign parts, so that they cannot turn our words around. */
function isolated(element, text) {
	if (!FOREIGN.test(text)) return [text];
	if (element.namespaceURI === SVG || element.tagName === "OPTION") return [isolate(text)];
	return text.split(FOREIGN).map((part, i) => (i % 2 ? Object.assign(document.createElement("bdi"), { textContent: part }) : part));
}

/** The same with characters, where elements do nothing. */
export function isolate(text) {
	return String(text).split(FOREIGN).map((part, i) => (i % 2 ? `\u2068${part.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069` : part)).join("");
}

/** Sets a text only if it differs, so that a selection survives. */
export function setText(element, text) {
	if (element.textContent !== text) element.replaceChildren(...isolated(element, text ?? ""));
}

export function setFigure(element, text) {
	if (text !== null && text !== undefined) {
		setText(element, text);
	} else if (!element.querySelector(".unknown")) {
		element.replaceChildren(unknown());
	}
}

export function unknown() {
	return h("span", { class: "unknown", role: "img", "aria-label": "not known yet", title: "not known yet" }, "—");
}

const CIRCLE = "M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16";
const ICONS = {
	home: "M4 11.5 12 5l8 6.5M6.5 10v9h11v-9M10 19v-5h4v5",
	miners: "M7 7h10v10H7zM10 10h4v4h-4zM9.5 7V4M14.5 7V4M9.5 20v-3M14.5 20v-3M7 9.5H4M7 14.5H4M20 9.5h-3M20 14.5h-3",
	config: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.7a2.3 2.3 0 1 0 0 4.6a2.3 2.3 0 1 0 0-4.6M9 14.7a2.3 2.3 0 1 0 0 4.6a2.3 2.3 0 1 0 0-4.6",
	plug: "M9 3v5M15 3v5M7 8h10v3a5 5 0 0 1-10 0zM12 16v5",
	timetable: `${CIRCLE}M12 7.5V12l3 2`,
	records: "M8 4h8v6a4 4 0 0 1-8 0zM8 6H5c0 3 1 4 3 4M16 6h3c0 3-1 4-3 4M12 14v5M8.5 19.5h7",
	logs: "M5 6h14M5 10h10M5 14h14M5 18h7",
	about: `${CIRCLE}M12 11.2v4.8M12 8v.1`,
	sun: "M12 8.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4",
	moon: "M19.5 14.3A8 8 0 1 1 9.7 4.5a6.5 6.5 0 0 0 9.8 9.8z",
	half: `${CIRCLE}M12 4v16M12 8h5M12 12h8M12 16h5`,
	swap: "M7 8h12M15.5 4.5 19 8l-3.5 3.5M17 16H5M8.5 12.5 5 16l3.5 3.5",
	undo: "M8.5 5 4.5 9l4 4M5 9h9a5 5 0 0 1 0 10h-4",
	check: "M5 12.5 10 17.5 19.5 7",
	cross: "M6 6l12 12M18 6 6 18",
	error: `${CIRCLE}M12 8v5M12 16v.1`,
	warning: "M12 4.5 3.5 19.5h17zM12 10v4.5M12 17v.1",
	info: `${CIRCLE}M12 11.2v4.8M12 8v.1`,
	good: `${CIRCLE}M8.5 12.2l2.5 2.5 4.5-5`,
	copy: "M9 9h10v10H9zM15 9V5H5v10h4",
	download: "M12 4v11M7.5 11l4.5 4.5L16.5 11M5 20h14",
	upload: "M12 16V5M7.5 9 12 4.5 16.5 9M5 20h14",
	pause: "M9 6v12M15 6v12",
	play: "M8 5.5v13l10.5-6.5z",
	plus: "M12 5v14M5 12h14",
	up: "M12 19V5M6.5 10.5 12 5l5.5 5.5",
	down: "M12 5v14M6.5 13.5 12 19l5.5-5.5",
	edit: "M5 19l1-4L16 5l3 3L9 18zM14 7l3 3",
	trash: "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7",
	search: "M11 5a6 6 0 1 0 0 12a6 6 0 1 0 0-12M15.5 15.5 20 20",
	lock: "M6.5 11h11v8.5h-11zM9 11V8a3 3 0 0 1 6 0v3",
};

/** Hidden from screen readers, because the text next to it says the same. */
export function icon(name) {
	return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

export function marked(text) {
	return text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

export function button(label, onclick, { kind = "", image = null, ...props } = {}) {
	return h("button", { type: "button", class: kind, onclick, ...props }, image && icon(image), h("span", {}, label));
}

export function poolBadge(pool) {
	const known = pool === "A" || pool === "B";
	return h("span", { class: `badge ${known ? `pool-${pool.toLowerCase()}` : "pool-none"}` }, known ? pool : "–");
}

export function card(title, { id, note, actions = [], level = 2, className = "" } = {}, ...children) {
	const headingId = id ?? `card-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
	return h(
		"section",
		{ class: `card ${className}`, "aria-labelledby": headingId },
		h("header", { class: "card-head" }, h("div", {}, h(`h${level}`, { id: headingId }, title), note && h("p", { class: "note" }, note)), actions.length > 0 && h("div", { class: "actions" }, ...actions)),
		...children,
	);
}

export function pageHead(title, note, ...actions) {
	return h("header", { class: "page-head" }, h("div", {}, h("h1", { tabindex: "-1" }, title), note && h("p", { class: "note" }, note)), actions.length > 0 && h("div", { class: "actions" }, ...actions));
}

/** `level`: error, warning, info, good. */
export function notice(level, title, text, ...more) {
	return h("div", { class: `notice ${level}` }, icon(level), h("div", { class: "notice-body" }, h("p", { class: "notice-title" }, title), text && h("p", {}, text), ...more));
}

/** `options`: [[value, label], …]. */
export function segmented(label, options, chosen, onchoose) {
	const buttons = options.map(([value, text]) =>
		h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => choose(value) }, text),
	);
	const choose = (value) => {
		buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(options[i][0] === value)));
		onchoose(value);
	};
	return h("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);
}

/** `options`: [[value, label], …]. */
export function select(label, options, chosen, onchange) {
	const id = `choose-${label.toLowerCase().replaceAll(" ", "-")}`;
	const box = h("select", { id, onchange: () => onchange(box.value) }, ...options.map(([value, text]) => h("option", { value }, text)));
	box.value = chosen;
	return h("div", { class: "inline-field" }, h("label", { for: id }, label), box);
}

export function toast(text, { level = "good", action = null } = {}) {
	const box = document.getElementById("toasts");
	const note = h("div", { class: `toast ${level}` }, icon(level), h("span", {}, text));
	if (action) note.append(button(action.label, () => (note.remove(), action.run()), { kind: "ghost" }));
	box.append(note);
	while (box.children.length > 3) box.firstChild.remove();
	setTimeout(() => note.remove(), level === "error" ? 12_000 : 6000);
}

/** Returns a function that closes it. */
export function openDialog(title, body, { actions = [], className = "", onclose } = {}) {
	const close = () => box.close();
	const box = h(
		"dialog",
		{ class: className, "aria-labelledby": "dialog-title" },
		h("header", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title), h("button", { type: "button", class: "ghost icon-only", "aria-label": "Close", onclick: close }, icon("cross"))),
		h("div", { class: "dialog-body", tabindex: "0", role: "region", "aria-labelledby": "dialog-title" }, ...[body].flat()),
		actions.length > 0 && h("footer", { class: "dialog-foot" }, ...actions),
	);
	box.addEventListener("close", () => {
		box.remove();
		onclose?.();
	});
	// A click outside closes it: only there, the dialog itself is the target.
	box.addEventListener("click", (event) => event.target === box && close());
	document.body.append(box);
	box.showModal();
	return close;
}

/** The clipboard API exists only on https and localhost, so there is the old way, too. */
export async function copyText(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const area = h("textarea", { class: "offscreen", "aria-hidden": "true", value: text });
		document.body.append(area);
		area.select();
		const done = document.execCommand("copy");
		area.remove();
		return done;
	}
}

export function copyField(label, text) {
	const copy = async () => {
		const done = await copyText(text);
		toast(done ? `${label} copied.` : "Copying is not possible here: select the text and copy it.", { level: done ? "good" : "warning" });
	};
	return h("div", { class: "copy-field" }, h("span", { class: "copy-label" }, label), h("code", {}, text), h("button", { type: "button", class: "ghost icon-only", "aria-label": `Copy ${label}`, title: "Copy", onclick: copy }, icon("copy")));
}

/** `say(text)` shows a mistake. */
export function field(id, label, input) {
	const error = h("p", { class: "field-error", id: `${id}-error`, role: "alert" });
	input.setAttribute("aria-describedby", `${id}-error`);
	const say = (text) => {
		setText(error, text);
		if (text) input.setAttribute("aria-invalid", "true");
		else input.removeAttribute("aria-invalid");
		if (text) input.focus();
	};
	return { element: h("div", { class: "field" }, h("div", { class: "field-label" }, h("label", { for: id }, label)), input, error), input, say };
}

export function loading() {
	return h("p", { class: "empty", role: "status" }, "Loading…");
}

export function failure(error) {
	return notice("error", "This could not be loaded", error.message);
}

export function debounce(run, ms) {
	let timer;
	const later = (...args) => {
		clearTimeout(timer);
		timer = setTimeout(run, ms, ...args);
	};
	later.cancel = () => clearTimeout(timer);
	return later;
}

let touched = false;
addEventListener("pointerdown", (event) => (touched = event.pointerType !== "mouse"), true);
addEventListener("keydown", () => (touched = false), true);

/** Whether a finger or a pen pressed last, which miss more often than a mouse. */
export const byTouch = () => touched;

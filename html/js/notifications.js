import * as api from "./api.js";
import { changeConfig, mistakes } from "./commands.js";
import { clock } from "./format.js";
import { button, card, failure, field, h, marked, openDialog, pageHead, select, toast } from "./ui.js";

const LABELS = { url: "Address", token: "Token", chat_id: "Chat ID", user: "User key", body: "JSON" };
const LEVELS = { error: "Errors", warning: "Errors and warnings", info: "Everything" };

export const notifications = { title: "Notifications", mount };

function mount(host) {
	let targets = {};
	let services = {};
	const list = h("ul", { class: "rows" });
	const history = h("ul", { class: "rows" });
	host.append(pageHead("Notifications", "DPMP sends nothing unless you add a target."), card("Targets", { actions: [button("Add target", () => edit(), { image: "plus", kind: "small" })] }, list), card("Messages", { note: "The last 100, without tests." }, history));
	read();

	async function read() {
		try {
			const answer = await api.notify();
			({ targets, services } = answer);
			fill(list, Object.keys(targets).map(row));
			fill(history, answer.history.map(record));
		} catch (error) {
			list.replaceChildren(failure(error));
		}
	}

	async function save(change, done) {
		await changeConfig((config) => change(((config.notify ??= {}).targets ??= {})));
		toast(done);
		await read();
	}

	function row(name) {
		const { kind, url, level, quiet, enabled } = targets[name];
		const small = (label, run) => button(label, run, { kind: "small", "aria-label": `${label} ${name}` });
		const flip = ({ target: { checked } }) => save((all) => (all[name].enabled = checked), `${name} is ${checked ? "on" : "off"}.`).catch(fail);
		const test = () => {
			toast(`Sending to ${name}…`, { level: "info" });
			api.testNotify(name).then(({ ok, problem }) => (ok ? toast(`Sent to ${name}. Check that it has arrived.`) : toast(`Not sent to ${name}: ${problem}`, { level: "error" })), fail);
		};
		return item(name, [services[kind].name, url, ...(kind === "heartbeat" ? [] : [LEVELS[level], quiet && `quiet ${quiet.from} to ${quiet.to}`])], h("div", { class: "actions" }, h("input", { type: "checkbox", class: "switch", checked: enabled, "aria-label": `Send to ${name}`, onchange: flip }), small("Test", test), small("Edit", () => edit(name))));
	}

	function edit(name = "") {
		const old = targets[name];
		let { kind, level } = old ?? { kind: "ntfy", level: "warning" };
		if (!services[kind]) return;
		const make = (key, label, props) => field(`notify-${key}`, label, h("input", { id: `notify-${key}`, type: "text", autocomplete: "off", autocapitalize: "off", ...props }));
		const service = select("Service", Object.entries(services).map(([key, it]) => [key, it.name]), kind, (it) => ((kind = it), show()));
		const title = make("name", "Name", { value: name, disabled: old });
		const quiet = ["from", "to"].map((key) => make(key, `Quiet ${key}`, { type: "time", value: old?.quiet?.[key] ?? "" }));
		const box = h("div", { class: "password-form" });
		let fields;

		function show() {
			const { help, fields: keys } = services[kind];
			const one = ([key, example]) => [key, make(key, LABELS[key], { type: key === "token" ? "password" : "text", placeholder: old?.[key] === "…" ? "Saved. Leave empty to keep it." : example, value: (key === "url" && old?.url) || "" })];
			fields = Object.fromEntries(Object.entries(keys).map(one));
			const when = kind === "heartbeat" ? [] : [select("Send", Object.entries(LEVELS), level, (it) => (level = it)), ...quiet.map(elementOf), h("p", { class: "note" }, "In quiet hours only errors are sent; a summary follows.")];
			box.replaceChildren(h("p", { class: "note" }, ...marked(help)), ...Object.values(fields).map(elementOf), ...when);
		}

		/** To save. An empty field keeps its value. */
		function target() {
			const [from, to] = quiet.map((it) => it.input.value);
			const typed = Object.entries(fields).map(([key, { input }]) => [key, input.value.trim()]);
			return { ...old, kind, level, quiet: from && to ? { ...old?.quiet, from, to } : null, ...Object.fromEntries(typed.filter(([, text]) => text)) };
		}

		const act = (change, done) => async () => {
			const id = title.input.value.trim();
			[title, ...Object.values(fields)].forEach((it) => it.say(""));
			if (!id || (!old && targets[id])) return title.say("Enter a name that no other target has.");
			try {
				await save((all) => change(all, id), `${id} is ${done}.`);
				close();
			} catch (error) {
				const [fault] = error.details;
				const wrong = fields[fault?.field.split(".").at(-1)];
				if (wrong) wrong.say(`Enter ${fault.allowed}.`);
				else title.say(mistakes(error).join(" "));
			}
		};
		show();
		const close = openDialog(old ? `Edit ${name}` : "Add target", h("div", { class: "password-form" }, !old && service, title.element, box), {
			actions: [old && button("Delete", act((all) => delete all[name], "deleted"), { kind: "danger" }), button("Save", act((all, id) => (all[id] = target()), "saved"), { kind: "primary" })],
		});
	}
}

const elementOf = (it) => it.element;
const fail = (error) => toast(mistakes(error).join(" "), { level: "error" });
const fill = (list, items) => list.replaceChildren(...(items.length ? items : [h("li", { class: "note" }, "None yet.")]));
const item = (title, notes, more) => h("li", {}, h("div", { class: "group-text" }, h("p", { class: "label" }, title), h("p", { class: "note" }, notes.filter(Boolean).join(" · "))), more);
const record = ({ at_ms: at, target, title, result, problem }) => item(title, [clock(at), target, problem], h("span", { class: `chip ${result === "failed" ? "warning" : ""}` }, result === "waits" ? "waiting" : result));

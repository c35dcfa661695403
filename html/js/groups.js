// Groups of workers: patterns for their names, and their work.
import * as api from "./api.js";
import { changeConfig, mistakes } from "./commands.js";
import { button, card, failure, h, icon, openDialog, setText, toast } from "./ui.js";
import { counted, workChoice, workWords } from "./work.js";

function badPattern({ details }) {
	const [, pattern, why] = details.map((it) => it.allowed.match(/; (".*") is not one(.*)$/)).find(Boolean) ?? [];
	return pattern ? `The pattern ${pattern} cannot be used${why}. Use one such as garage-*.` : null;
}

export function groupsCard() {
	let groups = null;
	let names = null;
	let steering = null;
	let shown = "";
	const list = h("ol", { class: "rows" });
	const element = card("Groups", { id: "groups", note: "A group gives all workers whose names match the same work. If several match, the first one counts.", actions: [button("Add group", () => edit(groups?.length ?? 0), { image: "plus", kind: "small" })] }, list);

	async function read() {
		try {
			groups = (await api.config()).config.groups ?? [];
			render();
		} catch (error) {
			list.replaceChildren(h("li", {}, failure(error)));
		}
	}

	function render() {
		if (!groups || !names || !steering) return;
		const sizes = groups.map((group) => steering.workers.filter((it) => it.group === group.name).length);
		const key = JSON.stringify([groups, names, sizes]);
		if (key === shown) return;
		shown = key;
		list.replaceChildren(...(groups.length ? groups.map((group, i) => row(group, i, sizes[i])) : [h("li", { class: "note" }, "No groups yet.")]));
	}

	function row(group, index, size) {
		const small = (label, image, run) => h("button", { type: "button", class: "ghost icon-only", "aria-label": `${label} ${group.name}`, title: label, onclick: run }, icon(image));
		return h(
			"li",
			{},
			h("div", { class: "group-text" }, h("p", { class: "label" }, group.name), h("p", { class: "note" }, ...group.match.flatMap((pattern, i) => [i > 0 && ", ", h("code", {}, pattern)]), ` · ${counted(size, "worker")}`)),
			h("span", { class: "chip" }, group.work ? workWords(group.work, names) : "No own work"),
			h("div", { class: "actions" }, index > 0 && small("Move up", "up", () => save((all) => all.splice(index - 1, 0, ...all.splice(index, 1)))), small("Edit", "edit", () => edit(index)), small("Delete", "trash", () => save((all) => all.splice(index, 1), `The group ${group.name} is deleted.`))),
		);
	}

	/** Returns whether it worked. */
	async function save(change, done = null) {
		const before = JSON.stringify(groups);
		await changeConfig((config) => {
			config.groups ??= [];
			if (JSON.stringify(config.groups) !== before) throw new Error("The groups have changed since they were shown. Try again.");
			change(config.groups);
		}).then(
			() => done && toast(done),
			(error) => toast(mistakes(error).join(" "), { level: "error" }),
		);
		await read();
	}

	function edit(index) {
		const group = groups[index] ?? { name: "", match: [], work: null };
		const isNew = index >= groups.length;
		const name = h("input", { type: "text", id: "group-name", value: group.name, maxlength: "64", autocomplete: "off" });
		const patterns = h("input", { type: "text", id: "group-match", value: group.match.join(", "), autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-describedby": "group-help" });
		const choice = workChoice({ label: "Work", names, chosen: group.work ?? null, free: "No own work" });
		const error = h("p", { class: "field-error", role: "alert" });
		const apply = button("Save", async () => {
			const work = choice.value();
			const match = patterns.value.split(",").map((it) => it.trim()).filter(Boolean);
			if (!name.value.trim()) return setText(error, "Give the group a name, such as Garage.");
			if (match.length === 0) return setText(error, "Enter at least one pattern, such as garage-*.");
			if (work === undefined) return setText(error, "Enter a percent from 0 to 100.");
			const wanted = { ...group, name: name.value.trim(), match, work };
			if (work === null) delete wanted.work;
			apply.disabled = true;
			try {
				const before = JSON.stringify(groups);
				await changeConfig((config) => {
					config.groups ??= [];
					if (JSON.stringify(config.groups) !== before) throw Object.assign(new Error("The groups have changed since they were shown. Close this and try again."), { details: [] });
					config.groups[index] = wanted;
				});
				close();
				toast(`The group ${wanted.name} is saved.`);
				await read();
			} catch (problem) {
				setText(error, badPattern(problem) ?? mistakes(problem).join(" "));
			}
			apply.disabled = false;
		}, { kind: "primary" });
		const close = openDialog(isNew ? "Add group" : `Edit ${group.name}`, [h("div", {}, h("label", { for: "group-name", class: "field-label" }, "Name"), name), h("div", {}, h("label", { for: "group-match", class: "field-label" }, "Workers"), patterns, h("p", { class: "note", id: "group-help" }, "Names separated by commas. * stands for any text and ? for one character: ", h("code", {}, "garage-*"), ".")), choice.element, error], { actions: [button("Cancel", () => close(), { kind: "ghost" }), apply] });
	}

	read();
	return {
		element,
		show(now, poolNames) {
			[steering, names] = [now, poolNames];
			render();
		},
	};
}

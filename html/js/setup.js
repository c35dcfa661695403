import * as api from "./api.js";
import { reviewChanges } from "./changes.js";
import { connectFields } from "./connect.js";
import { Draft } from "./draft.js";
import { fromHost, settingField, walletNote } from "./fields.js";
import { count, trimmed } from "./format.js";
import { poolOf } from "./configform.js";
import { watchStatus } from "./live.js";
import { poolChoice } from "./poolbook.js";
import { poolTest } from "./pooltest.js";
import { percentSlider } from "./slider.js";
import { inWords } from "./split.js";
import { button, debounce, failure, h, loading, notice, pageHead, poolBadge, setText } from "./ui.js";
import { parsePercent } from "./work.js";

const STEPS = ["Pool A", "Pool B", "Split", "Miner"];
const NEEDED = ["host", "port", "wallet"];
const OPTIONAL = ["tls", "tls_fingerprint", "name", "chain", "user_name", "password"];

export const setup = { title: "Set-up", mount };

function mount(host) {
	const body = h("div", { class: "setup" }, loading());
	let stop = () => {};
	host.append(pageHead("Set up DPMP", "Three steps, and your miners work for two pools."), body);
	Promise.all([api.config(), api.status()]).then(
		([answer, status]) => (stop = wizard(body, answer, Object.values(status.pools).some((it) => it.configured))),
		(error) => body.replaceChildren(failure(error)),
	);
	return () => stop();
}

function wizard(body, answer, hasPool) {
	const draft = new Draft(answer);
	const wizard = { hasPool, onlyA: false, percent: percentOf(draft) ?? 50, stop: () => {} };
	forgetExamples(draft);
	const panel = h("div", { class: "card setup-panel" });
	const marks = STEPS.map((title, i) => h("li", {}, h("span", { class: "step-number", "aria-hidden": "true" }, String(i + 1)), title));
	body.replaceChildren(h("ol", { class: "stepper", "aria-label": "Steps" }, ...marks), panel);

	function show(step) {
		marks.forEach((mark, i) => {
			mark.classList.toggle("done", i < step);
			if (i === step) mark.setAttribute("aria-current", "step");
			else mark.removeAttribute("aria-current");
		});
		wizard.stop();
		wizard.stop = () => {};
		const pages = [() => poolStep("A", draft, wizard, { next: () => show(1), again: () => show(0) }), () => poolStep("B", draft, wizard, { back: () => show(0), next: () => show(2), again: () => show(1) }), () => splitStep(draft, wizard, { back: () => show(1), next: () => show(3) }), () => minerStep(wizard)];
		panel.replaceChildren(...pages[step]());
		panel.querySelector("h2").focus({ preventScroll: true });
	}

	show(0);
	return () => wizard.stop();
}

/** `null` if no pool has a weight. */
function percentOf(draft) {
	const { poolA_weight: a = 50, poolB_weight: b = 50 } = draft.wanted.scheduler ?? {};
	return a + b > 0 ? (100 * a) / (a + b) : null;
}

/** An example must not look like an entry. */
function forgetExamples(draft) {
	for (const slot of ["A", "B"]) {
		for (const name of ["host", "wallet"]) {
			const path = `pools.${slot}.${name}`;
			const value = draft.wanted.pools?.[slot]?.[name] ?? "";
			if (value === "" || /^(YOUR_|<|POOL_)|example\.(com|org|net)$|\.example$/.test(value)) draft.set(path, "");
		}
	}
}

function poolStep(slot, draft, wizard, { back, next, again }) {
	const key = (name) => draft.schema.find((k) => k.path === `pools.${slot}.${name}`);
	const make = (name) => settingField(key(name), draft, changed, key(name).hint);
	const check = debounce(() => validate().catch(() => {}), 400);
	const changed = () => (setText(go.lastChild, "Next"), problem.replaceChildren(), check());
	const needed = NEEDED.map(make);
	const optional = OPTIONAL.map(make);
	const fields = [...needed, ...optional];
	fromHost(fields);
	const note = walletNote(fields, draft);
	const problem = h("div", { role: "alert" });
	const onlyA = slot === "B" && h("input", { type: "checkbox", class: "switch", id: "only-a", checked: wizard.onlyA, onchange: () => ((wizard.onlyA = onlyA.checked), (form.hidden = wizard.onlyA)) });
	const pool = () => poolOf(slot, draft);
	const now = () => JSON.stringify(pool());
	const test = poolTest(pool);
	/** The pool whose test failed. */
	let anyway = null;
	const go = button("Next", goOn, { kind: "primary" });
	const choice = poolChoice(slot, draft, again);
	const form = h("div", { oninput: (event) => (test.forget(), !choice.contains(event.target) && choice.sync()), hidden: slot === "B" && wizard.onlyA }, choice, h("div", { class: "fields pool-fields" }, ...needed.map((f) => f.element)), h("details", {}, h("summary", {}, "Encryption, name, coin, password and user name"), h("div", { class: "fields" }, ...optional.map((f) => f.element))), test.element);

	async function validate() {
		const asked = JSON.stringify(draft.wanted);
		const answer = await api.validate(draft.etag, draft.wanted);
		if (asked === JSON.stringify(draft.wanted)) answer.news = note(answer);
		return answer;
	}

	async function goOn() {
		problem.replaceChildren();
		if (slot === "B" && wizard.onlyA) return next();
		const missing = needed.filter((f) => f.input.value.trim() === "");
		missing.forEach((f) => f.say("This is needed."));
		if (missing.length) return missing[0].input.focus();
		if (draft.unusable.size) return;
		try {
			const answer = await validate();
			const mine = (answer.faults ?? []).filter((fault) => fault.field.startsWith(`pools.${slot}.`));
			if (mine.length === 0) return answer.news || tested(answer.warnings?.some((it) => it.startsWith("pools: ")));
			for (const fault of mine) fields.find((f) => f.key.path === fault.field)?.say(`This cannot be ${fault.found}. Allowed: ${fault.allowed}.`);
		} catch (error) {
			problem.replaceChildren(notice("error", "This could not be checked", error.message));
		}
	}

	/** `twin`: same as the other pool. */
	async function tested(twin) {
		const asked = now();
		if (asked === anyway) return next();
		if (twin) problem.replaceChildren(notice("warning", "Both slots use the same pool and account", "The split then changes nothing. Enter another pool, or use it anyway."));
		go.disabled = true;
		const ok = await test.passes();
		go.disabled = false;
		if (asked !== now()) return;
		if (ok && !twin) return next();
		anyway = asked;
		setText(go.lastChild, "Use it anyway");
	}

	return [
		h("h2", { tabindex: "-1" }, poolBadge(slot), ` Your ${slot === "A" ? "first" : "second"} pool`),
		h("p", { class: "note" }, "Choose a pool, or enter the address from its page."),
		onlyA && h("label", { class: "check-line", for: "only-a" }, onlyA, "Only one pool for now. You can add the second later in Config"),
		form,
		problem,
		foot(back, go),
	].filter(Boolean);
}

function splitStep(draft, wizard, { back, next }) {
	const name = (slot) => draft.wanted.pools?.[slot]?.name || `Pool ${slot}`;
	const names = { A: name("A"), B: name("B") };
	const problem = h("div", { role: "alert" });
	const words = h("p", { class: "note" });
	const error = h("p", { class: "field-error", role: "alert" });
	const big = h("p", { class: "huge-line setup-split" });
	const edit = (percent) => ((wizard.percent = percent), show(false));
	// A canceled drag does not count.
	let kept = wizard.percent;
	const slider = percentSlider({ ondrag: edit, ondrop: () => (kept = wizard.percent), oncancel: () => edit(kept) });
	const field = h("input", { type: "text", inputmode: "decimal", class: "percent-field pool-a-edge", size: "5", id: "setup-percent" });
	const show = (typing) => {
		const a = wizard.onlyA ? 100 : wizard.percent;
		big.replaceChildren(h("span", { class: "huge text-a" }, trimmed(a, 1)), h("span", { class: "huge colon" }, ":"), h("span", { class: "huge text-b" }, trimmed(100 - a, 1)));
		slider.show(a, `${trimmed(a)} percent to ${names.A}, ${trimmed(100 - a)} percent to ${names.B}`);
		if (!typing) field.value = trimmed(a);
		const wrong = parsePercent(field.value) === null;
		field.setAttribute("aria-invalid", String(wrong));
		setText(error, wrong ? "Enter a number from 0 to 100, such as 70." : "");
		setText(words, inWords(a, names));
	};
	slider.input.addEventListener("input", () => edit((kept = Number(slider.input.value))));
	field.addEventListener("input", () => {
		const value = parsePercent(field.value);
		if (value !== null) wizard.percent = kept = value;
		show(true);
	});
	slider.input.disabled = wizard.onlyA;
	field.disabled = wizard.onlyA;
	show(false);

	const save = button("Save and start", async () => {
		if (parsePercent(field.value) === null) return field.focus();
		const a = wizard.onlyA ? 100 : wizard.percent;
		const before = percentOf(draft);
		if (before === null || Math.abs(a - before) > 1e-6) {
			draft.set("scheduler.poolA_weight", a);
			draft.set("scheduler.poolB_weight", Number((100 - a).toFixed(6)));
		}
		save.disabled = true;
		try {
			// The first set-up has nothing to compare with.
			if (wizard.hasPool) await reviewChanges(draft, { save: store, same: next, conflict, refused: (details) => failed("", details) });
			else await store();
		} catch (error) {
			failed(error.message);
		}
		save.disabled = false;
	}, { kind: "primary" });

	async function store() {
		try {
			await api.saveConfig(draft.etag, draft.wanted);
			next();
		} catch (error) {
			if (error.code === "conflict") await conflict();
			else failed(error.message, error.details);
		}
		return true;
	}

	async function conflict() {
		draft.rebase(await api.config());
		wizard.hasPool = true;
		failed("The file has changed since you opened it. Your entries are kept. Press the button again.");
	}

	function failed(text, details = []) {
		problem.replaceChildren(notice("error", "Not saved", text, ...details.map((d) => h("p", {}, h("code", {}, d.field), ` is ${d.found}. Allowed: ${d.allowed}.`))));
	}

	return [
		h("h2", { tabindex: "-1" }, "How the work is split"),
		h("p", { class: "note" }, "You can change this at any time on Home."),
		big,
		h("div", { class: "split-control" }, h("div", { class: "split-names" }, h("span", { class: "text-a" }, poolBadge("A"), names.A), h("span", { class: "text-b" }, names.B, poolBadge("B"))), slider.element, h("div", { class: "split-tools" }, h("label", { for: "setup-percent" }, h("span", { class: "sr-only" }, "Percent for pool A"), field, h("span", { class: "note" }, "% to A")))),
		error,
		words,
		problem,
		foot(back, save),
	];
}

function minerStep(wizard) {
	const waiting = h("p", { class: "waiting", role: "status" }, "Waiting for the first miner…");
	const stop = watchStatus(({ miners_connected: n }) => {
		waiting.classList.toggle("good", n > 0);
		setText(waiting, n > 0 ? `${count(n)} ${n === 1 ? "miner is" : "miners are"} connected.` : "Waiting for the first miner…");
	});
	wizard.stop = stop;
	return [
		h("h2", { tabindex: "-1" }, "Connect your miner"),
		h("p", { class: "note" }, "Enter this in the settings of each miner."),
		connectFields(),
		waiting,
		h("div", { class: "setup-foot" }, h("span", {}), h("a", { class: "button primary", href: "/" }, "Finish")),
	];
}

function foot(back, next) {
	return h("div", { class: "setup-foot" }, back ? button("Back", back, { kind: "ghost" }) : h("span", {}), next);
}

// The balance: how far the split follows the earnings, and the prices of coins.
import * as api from "./api.js";
import { areaChart } from "./chart.js";
import { changeConfig, mistakes } from "./commands.js";
import { poll, steeringChanged } from "./live.js";
import { clock, percent, trimmed, typedNumber, upcoming } from "./format.js";
import { button, card, h, notice, setText, toast } from "./ui.js";
import { splitWords } from "./work.js";

export function balanceCard() {
	let coins = null;
	let settings = null;
	let shown = "";
	const enabled = h("input", { type: "checkbox", class: "switch", id: "balance-on", onchange: turn });
	const what = h("p", { class: "balance-now" });
	const why = h("p", {});
	const problem = h("div", { class: "notices" });
	const prices = h("form", { class: "prices" });
	const limits = h("p", { class: "note" });
	const chart = areaChart({ label: "What 1 TH/s earns in a day", height: 130, tick: figure, say });
	const history = h("div", { hidden: true }, h("h3", { class: "chart-title" }, "What 1 TH/s earned in a day, last 7 days"), chart.element);
	let past = [];
	let times = [];
	let labels = null;
	const element = card(
		"Balance",
		{ id: "balance", note: "Moves the usual split toward the pool where a hash earns more. DPMP does not look up prices: type them in, both in one currency.", actions: [h("label", { class: "check-line tight", for: "balance-on" }, enabled, "Use the balance")] },
		what,
		why,
		problem,
		prices,
		limits,
		history,
	);

	function say(i) {
		const [a, b] = past.map(({ values }, of) => `${labels?.["AB"[of]]} ${values[i] === null ? "not known" : figure(values[i])}`);
		return `${clock(times[i])}: ${a}, ${b}`;
	}

	const stop = poll(() => api.history("7d"), 300_000, ({ value: { A: a, B: b }, start_ms: start, step_seconds: step }) => {
		past = [{ name: "a", values: a }, { name: "b", values: b }];
		times = [...a, null].map((_, i) => start + i * step * 1000);
		history.hidden = [...a, ...b].every((v) => v === null);
		chart.show({ times, series: [], lines: past });
	});

	async function read() {
		try {
			settings = (await api.config()).config.balance ?? {};
		} catch {
			return;
		}
		enabled.checked = settings.enabled === true;
		const { max_deviation: most = 20, full_at_percent: full = 10 } = settings;
		setText(limits, `It moves the split by at most ${trimmed(most)} points, which it reaches when a hash earns ${trimmed(full)}% more. Change these limits in Config.`);
		showPrices();
	}

	function showPrices() {
		if (!settings || !coins || prices.contains(document.activeElement)) return;
		const inputs = coins.map((coin) => [coin, h("input", { type: "text", inputmode: "decimal", id: `price-${coin}`, autocomplete: "off", value: settings.prices?.[coin] ? String(settings.prices[coin]) : "" })]);
		const error = h("p", { class: "field-error", role: "alert" });
		prices.replaceChildren(...inputs.map(([coin, input]) => h("div", {}, h("label", { for: `price-${coin}`, class: "field-label" }, `Price of 1 ${coin}`), input)), button("Save prices", null, { type: "submit" }), error);
		prices.onsubmit = async (event) => {
			event.preventDefault();
			const wanted = Object.fromEntries(inputs.map(([coin, input]) => [coin, typedNumber(input.value.trim() || "0")]));
			const wrong = inputs.find(([coin]) => !(wanted[coin] >= 0 && Number.isFinite(wanted[coin])));
			setText(error, wrong ? `The price of ${wrong[0]} must be a number, such as 98000.` : "");
			if (wrong) return wrong[1].focus();
			document.activeElement?.blur();
			try {
				await changeConfig((config) => (config.balance = { ...config.balance, prices: { ...config.balance?.prices, ...wanted } }));
				toast("The prices are saved.");
				// Their effect is known a second later.
				setTimeout(steeringChanged, 1500);
				await read();
			} catch (problem) {
				setText(error, mistakes(problem).join(" "));
			}
		};
	}

	async function turn() {
		enabled.disabled = true;
		const on = enabled.checked;
		try {
			await changeConfig((config) => ((config.balance ??= {}).enabled = on));
			toast(on ? "The balance is on." : "The balance is off. The usual split holds.");
		} catch (error) {
			enabled.checked = !on;
			toast(mistakes(error).join(" "), { level: "error" });
		}
		enabled.disabled = false;
		await read();
	}

	read();
	return {
		element,
		leave() {
			stop();
			chart.leave();
		},
		show({ balance, usual, clock: time }, names, pools) {
			labels = names;
			const mined = [...new Set([pools.A.chain, pools.B.chain].filter(Boolean).map((coin) => coin.toUpperCase()))];
			if (JSON.stringify(mined) !== JSON.stringify(coins)) {
				coins = mined;
				showPrices();
			}
			const key = JSON.stringify([balance, usual, names]);
			if (key === shown) return;
			shown = key;
			setText(what, whatWords(balance, usual, time.now_ms));
			setText(why, whyWords(balance.value, names));
			problem.replaceChildren(...(balance.problem ? [notice("info", balance.enabled ? "The split is not moved now" : "It cannot tell yet", balance.problem)] : []));
		},
	};
}

/** "It would move the split from 70:30 to 76:24." */
function whatWords({ enabled, shift: now, wanted, next_step_ms: next }, usual, nowMs) {
	const shift = enabled ? now : (wanted ?? null);
	if (shift === null) return enabled ? "The usual split holds." : "";
	const all = usual.A + usual.B;
	const a = Math.min(100, Math.max(0, (100 * usual.A) / all + shift));
	const split = splitWords({ A: a, B: 100 - a });
	if (Math.abs(shift) < 0.05) return enabled ? `The split stays at ${splitWords(usual)}.` : `It would leave the split at ${splitWords(usual)}.`;
	const later = next === null || next <= nowMs ? "" : ` Next step ${clock(next) === upcoming(next, nowMs) ? "at" : "on"} ${upcoming(next, nowMs)} at the earliest.`;
	return `${enabled ? "The split is moved" : "It would move the split"} from ${splitWords(usual)} to ${split}.${later}`;
}

/** "A hash earns 3.2% more at CKPool, over the last 24 hours." */
function whyWords({ A: a, B: b }, names) {
	if (a === null || b === null || !(a > 0) || !(b > 0)) return "What a hash earns at both pools is not known yet.";
	const [more, part] = a >= b ? [names.A, a / b - 1] : [names.B, b / a - 1];
	const each = `One TH/s earns ${figure(a)} a day at ${names.A} and ${figure(b)} at ${names.B}.`;
	return part < 0.0005 ? `A hash earns the same at both pools, over the last 24 hours. ${each}` : `A hash earns ${percent(part)} more at ${more}, over the last 24 hours. ${each}`;
}

/** Three digits, in the currency of the prices. */
const figure = (value) => String(Number(value.toPrecision(3)));

import { h, icon } from "./ui.js";

const KEY = "dpmp-theme";
const NAMES = { system: "as the system", light: "light", dark: "dark" };
const ICONS = { system: "half", light: "sun", dark: "moon" };
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function wanted() {
	try {
		return localStorage.getItem(KEY) ?? "system";
	} catch {
		return "system";
	}
}

function remember(theme) {
	try {
		localStorage.setItem(KEY, theme);
	} catch {
		// Without storage, the choice ends with the page.
	}
}

function apply(theme) {
	const dark = theme === "dark" || (theme === "system" && systemDark.matches);
	document.documentElement.dataset.theme = dark ? "dark" : "light";
}

export function themeSwitch() {
	let theme = wanted() in NAMES ? wanted() : "system";
	const button = h("button", { class: "ghost theme-switch", type: "button" });
	const show = () => {
		const label = `Theme: ${NAMES[theme]}`;
		button.replaceChildren(icon(ICONS[theme]), h("span", {}, label));
		button.setAttribute("aria-label", `${label}. Change it`);
		apply(theme);
	};
	button.addEventListener("click", () => {
		const order = Object.keys(NAMES);
		theme = order[(order.indexOf(theme) + 1) % order.length];
		remember(theme);
		show();
	});
	systemDark.addEventListener("change", () => apply(theme));
	show();
	return button;
}

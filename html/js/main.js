import * as api from "./api.js";
import { about } from "./about.js";
import { config } from "./config.js";
import { connect } from "./connect.js";
import { clock, hashrateParts } from "./format.js";
import { home } from "./home.js";
import { endStatus, startStatus, watchStatus, watchTrouble } from "./live.js";
import { loginPage } from "./login.js";
import { logs } from "./logs.js";
import { miners } from "./miners.js";
import { notifications } from "./notifications.js";
import { records } from "./records.js";
import { go, startRouter, stopRouter, titlePrefix } from "./router.js";
import { setup } from "./setup.js";
import { stateOf } from "./state.js";
import { themeSwitch } from "./theme.js";
import { timetable } from "./timetable.js";
import { button, h, icon, pageHead, setText, toast } from "./ui.js";

const missing = {
	title: "No such page",
	mount(host) {
		host.append(pageHead("No such page", "There is nothing at this address."), h("a", { href: "/", class: "button" }, "Go to Home"));
	},
};
const PAGES = { "/": home, "/miners": miners, "/timetable": timetable, "/records": records, "/connect": connect, "/config": config, "/notifications": notifications, "/logs": logs, "/about": about, "/setup": setup, "/index.html": home, missing };
const NAVIGATION = [
	["/", "home", "Home"],
	["/miners", "miners", "Miners"],
	["/timetable", "timetable", "Timetable"],
	["/records", "records", "Records"],
	["/config", "config", "Config"],
	["/connect", "plug", "Connect"],
	["/logs", "logs", "Logs"],
	["/about", "about", "About"],
];
const pages = api.viewing() ? { "/": home, "/miners": miners, "/records": records, missing: home } : PAGES;

const app = document.getElementById("app");
let ledToSetup = false;

async function start() {
	if (api.viewing()) return showFrame({ password_set: false });
	try {
		const session = await api.session();
		if (session.logged_in) showFrame(session);
		else showLogin();
	} catch (error) {
		showNoServer(error);
	}
}

function showLogin() {
	endStatus();
	stopRouter();
	document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
	app.replaceChildren(loginPage(start), toasts());
	app.querySelector("input").focus();
}

function showNoServer(error) {
	const retry = button("Try again", () => location.reload(), { kind: "primary" });
	app.replaceChildren(h("main", { class: "lone" }, h("h1", {}, "DPMP does not answer"), h("p", {}, error.message), retry));
	if (error.code === "no_answer") setTimeout(start, 3000);
}

function showFrame(session) {
	const main = h("main", { id: "main" });
	const viewing = api.viewing();
	const leaveText = viewing ? "Log in" : "Log out";
	const leave = button(leaveText, viewing ? api.leaveView : logOut, { kind: "ghost", image: "lock", "aria-label": leaveText });
	const showLeave = (set) => (leave.hidden = !set && !viewing);
	document.documentElement.toggleAttribute("data-view", viewing);
	const links = NAVIGATION.filter(([path]) => pages[path]).map(([path, image, label]) => h("a", { href: path, class: "nav-link" }, icon(image), h("span", {}, label)));
	const foot = h("div", { class: "side-foot" }, connectionLine(), themeSwitch(), leave);
	app.replaceChildren(
		h("a", { class: "skip", href: "#main" }, "Skip to the content"),
		h("header", { class: "side" }, h("a", { href: "/", class: "brand" }, h("img", { src: "/icon.svg", alt: "", width: "28", height: "28" }), h("span", {}, "DPMP")), h("nav", { "aria-label": "Pages" }, ...links), foot),
		h("div", { class: "content" }, offlineBanner(), main),
		toasts(),
	);
	startRouter(pages, main, (path) => links.forEach((link) => markCurrent(link, path)));
	api.onPassword(showLeave);
	showLeave(session.password_set);
	watchStatus(leadToSetup);
	startStatus();
}

function markCurrent(link, path) {
	if (new URL(link.href).pathname === (path === "/notifications" ? "/config" : path)) link.setAttribute("aria-current", "page");
	else link.removeAttribute("aria-current");
}

/** Leads to the set-up once while DPMP is not set up. */
function leadToSetup(status) {
	if (status.set_up || ledToSetup || api.viewing()) return;
	ledToSetup = true;
	if (location.pathname === "/") go("/setup");
}

async function logOut() {
	try {
		await api.logout();
		showLogin();
	} catch (error) {
		toast(error.message, { level: "error" });
	}
}

function toasts() {
	return h("div", { id: "toasts", role: "status", "aria-live": "polite" });
}

function connectionLine() {
	const dot = h("span", { class: "dot", "aria-hidden": "true" });
	const text = h("span", {}, "Connecting…");
	const show = (kind, words) => {
		dot.className = `dot ${kind}`;
		setText(text, words);
	};
	watchStatus((status) => {
		const { kind, words } = stateOf(status);
		const rate = kind !== "error" && status.miners_working > 0 && hashrateParts(status.hashrate)?.join(" ");
		show(kind, rate ? `${words}, ${rate}` : words);
		titlePrefix([kind === "error" && "(!)", rate].filter(Boolean).join(" "));
	});
	watchTrouble((problem) => {
		if (!problem) return;
		show("error", "No answer");
		titlePrefix("(!)");
	});
	return h("p", { class: "connection" }, dot, text);
}

function offlineBanner() {
	const text = h("span", {});
	const banner = h("div", { class: "offline", role: "alert", hidden: true }, icon("warning"), text);
	watchTrouble((problem, sinceMs) => {
		document.documentElement.toggleAttribute("data-stale", problem !== null);
		banner.hidden = problem === null;
		const age = sinceMs === null ? "" : ` What you see is from ${clock(sinceMs, { seconds: true })}.`;
		setText(text, problem === null ? "" : `${problem}${age} Trying again…`);
	});
	return banner;
}

api.onLoginRequired(showLogin);
start();

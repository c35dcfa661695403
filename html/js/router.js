// Shows pages by their addresses without loading anything again.

let routes = {};
let host = null;
let leave = null;
let onroute = () => {};
let prefix = "";
let title = "DPMP";
/** A view-only link has its token in each page's address. */
const view = location.hash.startsWith("#view=") ? location.hash : "";

/** `pages`: { "/path": { title, mount(element) → leave }, … }. */
export function startRouter(pages, element, changed) {
	routes = pages;
	host = element;
	onroute = changed;
	document.addEventListener("click", followLink);
	addEventListener("popstate", showFocused);
	show({ focus: false });
}

export function stopRouter() {
	leave?.();
	leave = null;
	document.removeEventListener("click", followLink);
	removeEventListener("popstate", showFocused);
}

/** What the tab shows before the page's title. */
export function titlePrefix(text) {
	prefix = text;
	document.title = text ? `${text} · ${title}` : title;
}

export function reveal(target = document.getElementById(location.hash.slice(1))) {
	const box = target?.closest("details");
	if (box) box.open = true;
	if (!target) return;
	// An input already has a place in the Tab order.
	if (target.tabIndex < 0) target.tabIndex = -1;
	target.focus({ preventScroll: true });
	target.scrollIntoView({ block: target.tabIndex < 0 ? "start" : "center" });
}

export function go(path) {
	const stays = path.startsWith(`${location.pathname}#`);
	if (path !== location.pathname + location.hash) history.pushState(null, "", path + view);
	else if (!stays) return;
	if (stays) reveal();
	else show({ focus: true });
}

function showFocused() {
	show({ focus: true });
}

function followLink(event) {
	const link = event.target.closest?.("a[href]");
	if (!link || link.target || link.hasAttribute("download")) return;
	if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
	if (link.origin !== location.origin || !routes[link.pathname]) return;
	event.preventDefault();
	go(link.pathname + link.hash);
}

function show({ focus }) {
	const path = routes[location.pathname] ? location.pathname : "missing";
	const page = routes[path];
	leave?.();
	host.replaceChildren();
	title = `${page.title} · DPMP`;
	titlePrefix(prefix);
	leave = page.mount(host);
	onroute(path);
	if (!focus) return;
	scrollTo(0, 0);
	// So that screen readers announce the page.
	host.querySelector("h1")?.focus({ preventScroll: true });
}

// Turns addresses into pages without loading anything anew; back and forward work as everywhere.

let routes = {};
let host = null;
let leave = null;
let onroute = () => {};
let prefix = "";
let title = "DPMP";
/** A link that only shows has its token in the address of each page. */
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

/** What the tab shows in front of the page's title, so that it is seen among other tabs. */
export function titlePrefix(text) {
	prefix = text;
	document.title = text ? `${text} · ${title}` : title;
}

/** Opens and scrolls to an element: to what the address names after its `#`, unless another is given. */
export function reveal(target = document.getElementById(location.hash.slice(1))) {
	const box = target?.closest("details");
	if (box) box.open = true;
	if (!target) return;
	// What can be typed into already has a place in the order of the Tab key.
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
	const path = routes[location.pathname] ? location.pathname : "/";
	const page = routes[path];
	leave?.();
	host.replaceChildren();
	title = `${page.title} · DPMP`;
	titlePrefix(prefix);
	leave = page.mount(host);
	onroute(path);
	if (!focus) return;
	scrollTo(0, 0);
	// Screen readers are told of the new page by its heading.
	host.querySelector("h1")?.focus({ preventScroll: true });
}

// Sets the theme before the first paint. Modules run too late for that; theme.js has the switch.
(function () {
	// A weak network may cut off a script, which leaves the page empty.
	addEventListener("error", (event) => event.target.tagName === "SCRIPT" && setTimeout(() => location.reload(), 2000), true);
	var wanted = "system";
	try {
		wanted = localStorage.getItem("dpmp-theme") || "system";
	} catch (_) {
		// Storage may be forbidden; then the system decides.
	}
	var dark = wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
	document.documentElement.dataset.theme = dark ? "dark" : "light";
})();

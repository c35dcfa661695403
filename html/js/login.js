import * as api from "./api.js";
import { h, setText } from "./ui.js";

export function loginPage(done) {
	const input = h("input", { type: "password", id: "password", name: "password", autocomplete: "current-password", required: true, "aria-describedby": "login-error" });
	const error = h("p", { class: "field-error", id: "login-error", role: "alert" });
	const submit = h("button", { class: "primary", type: "submit" }, "Log in");
	const send = async (event) => {
		event.preventDefault();
		submit.disabled = true;
		// It waits while others try passwords.
		const slow = setTimeout(() => setText(error, "This can take up to 45 seconds while others are trying passwords."), 2000);
		try {
			await api.login(input.value);
			done();
		} catch (problem) {
			setText(error, explain(problem));
			input.setAttribute("aria-invalid", "true");
			input.select();
		}
		clearTimeout(slow);
		submit.disabled = false;
	};
	return h(
		"main",
		{ class: "lone" },
		h("img", { src: "/icon.svg", alt: "", width: "56", height: "56" }),
		h("h1", {}, "DPMP"),
		h("p", { class: "note" }, api.linkEnded ? "This link is no longer valid. Ask for a new one, or log in." : "These pages are protected by a password."),
		h("form", { onsubmit: send }, h("label", { for: "password" }, "Password"), input, error, submit),
		h("details", {}, h("summary", {}, "Password forgotten?"), h("p", {}, "Remove the line ", h("code", {}, "password_hash"), " in the section ", h("code", {}, "gui"), " of ", h("code", {}, "config.json"), ". Then there is no password, or the one that came with the app works again.")),
	);
}

function explain(problem) {
	if (problem.code !== "too_many") return problem.message;
	const wait = problem.retryAfter ? `in ${problem.retryAfter} seconds` : "in a minute";
	return `Too many attempts. Try again ${wait}.`;
}

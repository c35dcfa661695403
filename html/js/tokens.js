import * as api from "./api.js";
import { isLocal, pagesAddress } from "./connect.js";
import { button, card, copyField, field, h, loading, notice, openDialog, setText, toast } from "./ui.js";

const MAY = { view: "read only", steer: "read, and change the split and prices" };

export function tokensCard() {
	const body = h("div", {}, loading());
	const show = async () => {
		const [{ tokens }, { password_set: set }] = await Promise.all([api.tokens(), api.session()]);
		body.replaceChildren(list(tokens, set, show), form(set, show));
	};
	show().catch((error) => setText(body, error.message));
	return card("Tokens for programs", { id: "tokens-section", note: "A token lets a program, such as Home Assistant or a wall display, use the API without the password." }, body);
}

function list(tokens, set, show) {
	if (tokens.length === 0) return h("p", { class: "note" }, "No program has a token.");
	return h("ul", { class: "rows" }, ...tokens.map(({ name, may }) => h("li", {}, h("span", {}, h("strong", {}, name), ` (${MAY[may]})`), button("Revoke", () => revoke(name, set, show), { kind: "danger small", "aria-label": `Revoke the token of ${name}` }))));
}

function form(set, show) {
	const name = field("token-name", "Program", h("input", { id: "token-name", type: "text", maxlength: "64", autocomplete: "off" }));
	const may = h("select", { id: "token-may" }, ...Object.entries(MAY).map(([value, text]) => h("option", { value }, text)));
	const password = passwordField("token-password");
	const fields = [name, field("token-may", "It may", may), set && password].filter(Boolean);

	async function make(event) {
		event.preventDefault();
		fields.forEach((f) => f.say(""));
		try {
			const { token } = await api.makeToken(name.input.value.trim(), may.value, set ? password.input.value : null);
			showToken(name.input.value.trim(), token, may.value, await pagesAddress());
			await show();
		} catch (error) {
			(set && error.code === "wrong_password" ? password : name).say(error.message);
		}
	}

	return h("form", { class: "password-form", onsubmit: make }, ...fields.map((f) => f.element), h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Create a token")));
}

function showToken(name, token, may, pages) {
	const link = may === "view" && [copyField("Link", `${pages}/#view=${token}`), h("p", { class: "note" }, `This link shows Home, Miners and Records without the password, and can change nothing. Anyone who has it can look.${isLocal(new URL(pages).hostname) ? " It works on this computer only." : ""}`)];
	const close = openDialog(`Token for ${name}`, [notice("warning", "Copy it now", "It is not shown again."), ...(link || []), copyField("Token", token), h("p", { class: "note" }, "A program sends it with each request, behind ", h("code", {}, "Authorization: Bearer"), ".")], {
		actions: [button("Done", () => close(), { kind: "primary" })],
	});
}

function revoke(name, set, show) {
	const password = passwordField("revoke-password");
	const go = button("Revoke", async () => {
		try {
			await api.revokeToken(name, set ? password.input.value : null);
			close();
			toast(`The token of ${name} is revoked.`);
			await show();
		} catch (error) {
			if (set && error.code === "wrong_password") password.say(error.message);
			else toast(error.message, { level: "error" });
		}
	}, { kind: "danger" });
	const close = openDialog(`Revoke the token of ${name}?`, [h("p", {}, "The program can no longer use the API, and its link no longer opens."), set && password.element].filter(Boolean), { actions: [button("Cancel", () => close(), { kind: "ghost" }), go] });
}

const passwordField = (id) => field(id, "Password of these pages", h("input", { id, type: "password", autocomplete: "current-password" }));

import * as api from "./api.js";
import { button, card, field, h, loading, notice, setText, toast } from "./ui.js";

const LEAST = 8;
const MOST = 128;

export function passwordCard() {
	const body = h("div", {}, loading());
	const show = async () => {
		const { password_set: set, password_given: given } = await api.session();
		if (!set) return body.replaceChildren(notice("warning", "No password is set", "Anyone on your network can open these pages and change pools and wallets."), form(false, show));
		const origin = given && h("p", { class: "note" }, "This is the password that came with the app or container (", h("code", {}, "DPMP_PASSWORD"), "). You can set your own.");
		body.replaceChildren(...[origin, change(show, given)].filter(Boolean));
	};
	show().catch((error) => setText(body, error.message));
	return card("Password of these pages", { id: "password-section", note: "It applies immediately and is not part of the form above." }, body);
}

function change(show, given) {
	const remove = async (current, fail) => {
		try {
			await api.changePassword(current, null);
			toast("The password is removed.", { level: "warning" });
			await show();
		} catch (error) {
			fail(error);
		}
	};
	return form(true, show, given ? null : remove);
}

function form(set, show, remove) {
	const current = secret("password-current", "Present password", "current-password");
	const next = secret("password-new", set ? "New password" : "Password", "new-password");
	const again = secret("password-again", "The same once more", "new-password");
	const submit = h("button", { type: "submit", class: "primary" }, set ? "Change the password" : "Set the password");
	const fields = set ? [current, next, again] : [next, again];

	async function save(event) {
		event.preventDefault();
		fields.forEach((f) => f.say(""));
		if (next.input.value.length < LEAST || next.input.value.length > MOST) return next.say(`Enter ${LEAST} to ${MOST} characters.`);
		if (next.input.value !== again.input.value) return again.say("This is not the same.");
		try {
			await api.changePassword(set ? current.input.value : null, next.input.value);
			toast(set ? "The password is changed." : "The password is set.");
			await show();
		} catch (error) {
			fail(error);
		}
	}

	function fail(error) {
		(set && error.code === "wrong_password" ? current : next).say(error.message);
	}

	const removal = remove && button("Remove the password", () => remove(current.input.value, fail), { kind: "danger" });
	return h("form", { class: "password-form", onsubmit: save }, ...fields.map((f) => f.element), h("div", { class: "actions" }, submit, removal));
}

const secret = (id, label, autocomplete) => field(id, label, h("input", { id, type: "password", autocomplete }));

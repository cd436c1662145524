// Signing: a form with `data-act` says what is signed; the server answers with the statement, the officer reads it and
// answers with a passkey, or with password and code.
"use strict";

// The fields of an act, as the server reads them: `findings.CODE` with its `note.CODE`, lists of lines, and texts.
function fieldsOf(form) {
  const fields = {};
  for (const [name, value] of new FormData(form)) {
    const input = form.elements.namedItem(name);
    if (name === "csrfmiddlewaretoken" || name.startsWith("signing.") || name.startsWith("note.")) {
      continue;
    }
    if (name.startsWith("findings.")) {
      const code = name.slice("findings.".length);
      const note = form.elements.namedItem(`note.${code}`);
      fields.findings = { ...fields.findings, [code]: { answer: value, note: note ? note.value : "" } };
    } else if (input.dataset && "list" in input.dataset) {
      fields[name] = value.split("\n").map((line) => line.trim()).filter(Boolean);
    } else if (input.dataset && "time" in input.dataset) {
      fields[name] = value && `${value}T00:00:00Z`;
    } else {
      fields[name] = value;
    }
  }
  return fields;
}

for (const form of document.querySelectorAll("form[data-act]")) {
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const read = part("read"), statement = part("statement"), problem = part("problem"), sign = part("sign");
  let asked = null;

  const method = () => form.elements.namedItem("signing.method").value;

  const startOver = () => {
    asked = null;
    statement.hidden = true;
    read.hidden = false;
  };

  const refuse = (error) => {
    startOver();
    problem.textContent =
      error.name === "NotAllowedError" ? "The passkey did not confirm. Try again with the registered one." : error.message;
    problem.hidden = false;
    problem.focus();
  };

  const once = async (button, work) => {
    if (button.getAttribute("aria-disabled") === "true") {
      return;
    }
    problem.hidden = true;
    button.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the keyboard's focus away
    try {
      await work();
    } catch (error) {
      refuse(error);
    } finally {
      button.setAttribute("aria-disabled", "false");
    }
  };

  // First what would be signed is shown, term by term.
  const ask = async () => {
    const body = { act: form.dataset.act, fields: fieldsOf(form), method: method() };
    asked = await concordat.post(form.dataset.ask, body, form);
    for (const term of statement.querySelectorAll("[data-term]")) {
      term.textContent = asked.statement[term.dataset.term] || "none";
    }
    for (const note of statement.querySelectorAll("[data-when]")) {
      note.hidden = !note.dataset.when.split(" ").includes(asked.statement.method);
    }
    sign.value = asked.statement.method === "totp" ? sign.dataset.totp : sign.dataset.passkey;
    read.hidden = true;
    statement.hidden = false;
    statement.focus();
  };

  // Then it is signed.
  const answer = async () => {
    const body = { nonce: asked.nonce };
    if (asked.statement.method === "totp") {
      body.password = form.elements.namedItem("signing.password").value;
      body.code = form.elements.namedItem("signing.code").value;
    } else {
      body.assertion = await concordat.assertion(asked, [asked.credential]);
    }
    await concordat.post(form.dataset.sign, body, form);
    window.location.assign(window.location.pathname);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (asked) {
      once(sign, answer);
    } else {
      once(read, ask);
    }
  });
  // Whatever is changed after reading is read again; the password and the code are no part of it.
  form.addEventListener("input", (event) => {
    if (!["signing.password", "signing.code"].includes(event.target.name)) {
      startOver();
    }
  });
  part("cancel").addEventListener("click", () => {
    startOver();
    read.focus();
  });
}

// What cannot be done now is folded away where there is little room.
for (const folded of document.querySelectorAll("details[data-folds]")) {
  folded.open = window.matchMedia("(min-width: 1101px)").matches;
}

// A button leads to its form, which opens.
function open() {
  const target = window.location.hash && document.getElementById(window.location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus();
  }
}
window.addEventListener("hashchange", open);
document.querySelector("main").addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === window.location.hash) {
    open(); // the same address once more changes no hash
  }
});
open();

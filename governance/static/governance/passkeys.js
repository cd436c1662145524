// What signing and registering share: base64url, and JSON requests whose refusals carry a sentence and a remedy.
"use strict";

const concordat = {
  bytes(text) {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  },

  text(buffer) {
    const binary = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  },

  async post(url, body, form) {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": form.elements.namedItem("csrfmiddlewaretoken").value,
      },
      body: JSON.stringify(body),
    });
    if (!(response.headers.get("Content-Type") || "").startsWith("application/json")) {
      throw new Error("The server did not answer as expected. Sign in again.");
    }
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(`${answer.sentence} ${answer.remedy}`);
    }
    return answer;
  },

  // Runs `work` when the form is submitted, one at a time, and shows why it did not succeed.
  onSubmit(form, work) {
    const problem = document.getElementById("problem");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("[type=submit]");
      problem.hidden = true;
      button.disabled = true;
      try {
        await work();
        window.location.reload();
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      } finally {
        button.disabled = false;
      }
    });
  },

  show(value) {
    const shown = document.getElementById("statement");
    shown.textContent = JSON.stringify(value, null, 2);
    shown.hidden = false;
  },
};

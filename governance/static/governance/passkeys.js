// What signing, registering and signing in share: base64url, and JSON requests whose refusals carry a sentence and a remedy.
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
    }).catch(() => {
      throw new Error("The server cannot be reached. Check the connection and try again.");
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

  // Lets one of these passkeys, its holder verified, sign the challenge.
  async assertion(asked, credentials) {
    const made = await navigator.credentials.get({
      publicKey: {
        challenge: concordat.bytes(asked.challenge),
        rpId: asked.rp_id,
        allowCredentials: credentials.map((id) => ({ type: "public-key", id: concordat.bytes(id) })),
        userVerification: "required",
      },
    });
    return {
      credential: concordat.text(made.rawId),
      client_data: concordat.text(made.response.clientDataJSON),
      authenticator_data: concordat.text(made.response.authenticatorData),
      signature: concordat.text(made.response.signature),
    };
  },

  // Runs `work` when the form is submitted, one at a time, and shows why it did not succeed.
  onSubmit(form, work) {
    const problem = document.getElementById("problem");
    const button = form.querySelector("[type=submit]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.getAttribute("aria-disabled") === "true") {
        return;
      }
      problem.hidden = true;
      button.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the keyboard's focus away
      try {
        await work();
        window.location.reload();
      } catch (error) {
        problem.textContent =
          error.name === "NotAllowedError" ? "The passkey did not confirm. Try again with the registered one." : error.message;
        problem.hidden = false;
      } finally {
        button.setAttribute("aria-disabled", "false");
      }
    });
  },
};

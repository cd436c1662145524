// Registering a passkey. What it is does not matter here: only the institution's signed roster makes it count.
"use strict";

const form = document.getElementById("register");
concordat.onSubmit(form, async () => {
  const password = form.elements.namedItem("password"); // not asked of whoever has just given it
  const asked = await concordat.post(form.dataset.challenge, password ? { password: password.value } : {}, form);
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: concordat.bytes(asked.challenge),
      rp: { name: "Concordat", id: asked.rp_id },
      user: { id: concordat.bytes(asked.user.id), name: asked.user.name, displayName: asked.user.display_name },
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      attestation: "none",
    },
  });
  const registration = {
    client_data: concordat.text(made.response.clientDataJSON),
    attestation_object: concordat.text(made.response.attestationObject),
  };
  await concordat.post(form.dataset.register, { nonce: asked.nonce, registration }, form);
});

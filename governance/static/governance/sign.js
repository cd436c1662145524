// Signing a determination: the server states what is signed, the passkey signs the digest of that statement.
"use strict";

const form = document.getElementById("sign");
if (form) {
  concordat.onSubmit(form, async () => {
    document.getElementById("statement").hidden = true;
    const determination = new FormData(form).get("determination");
    const asked = await concordat.post(form.dataset.challenge, { determination }, form);
    concordat.show(asked.statement);
    const made = await navigator.credentials.get({
      publicKey: {
        challenge: concordat.bytes(asked.challenge),
        rpId: asked.rp_id,
        allowCredentials: [{ type: "public-key", id: concordat.bytes(asked.credential) }],
        userVerification: "required",
      },
    });
    const assertion = {
      credential: concordat.text(made.rawId),
      client_data: concordat.text(made.response.clientDataJSON),
      authenticator_data: concordat.text(made.response.authenticatorData),
      signature: concordat.text(made.response.signature),
    };
    await concordat.post(form.dataset.determination, { nonce: asked.nonce, assertion }, form);
  });
}

// The second step of signing in, with a passkey.
"use strict";

const form = document.getElementById("second-factor");
concordat.onSubmit(form, async () => {
  const asked = await concordat.post(form.dataset.challenge, {}, form);
  const assertion = await concordat.assertion(asked, asked.credentials);
  await concordat.post(form.dataset.passkey, { nonce: asked.nonce, assertion }, form);
});

// For pages of other sites: sends each <form data-contact> as JSON to the server that this file is from, and says
// on the page what became of it. Without scripts the form sends itself, and its answer is a page.
"use strict";
(() => {
  const address = new URL("../contact", document.currentScript.src);

  function tell(form, said, errors) {
    let status = form.querySelector("[role=status]");
    if (!status) {
      status = form.appendChild(document.createElement("p"));
      status.setAttribute("role", "status"); // read aloud when its text changes
    }
    status.textContent = [said, ...Object.values(errors)].join(" ");
    for (const field of form.elements) {
      if (field.name in errors) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    form.querySelector("[aria-invalid]")?.focus();
  }

  async function send(form, token) {
    const fields = { ...Object.fromEntries(new FormData(form)), token };
    try {
      const answer = await fetch(address, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
      });
      const { message, errors = {} } = await answer.json();
      tell(form, message, errors);
      if (answer.ok) form.reset();
    } catch {
      // no network, or this site is not among ALLOWED_ORIGINS; the browser's console says which
      tell(form, "Your message could not be sent. Please try again.", {});
    }
  }

  for (const form of document.querySelectorAll("form[data-contact]")) {
    const token = globalThis.crypto?.randomUUID?.() ?? ""; // the same form twice is one message
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form, token);
    });
  }
})();

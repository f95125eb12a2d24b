// The drawer: a link with data-dialog opens its page's fragment beside the list, under that page's own address.
(() => {
  const drawer = () => document.getElementById("drawer");
  const body = () => document.getElementById("drawer-body");
  const cameByDrawer = history.state?.drawer;
  let opener = null, openerAgain = "", isDirty = false, sent = null;

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    // A key presses the link of the current row by script: the focus returns to where the person was.
    const place = event.isTrusted || document.activeElement === document.body ? link : document.activeElement;
    opener = place.closest("details.menu")?.querySelector("summary") ?? place;
    openerAgain = opener.id ? `#${CSS.escape(opener.id)}` : `a[data-dialog][href="${CSS.escape(href)}"]`;
    htmx.ajax("GET", href, { source: link, target: "#drawer-body", swap: "innerHTML" }).then(() => {
      if (drawer().open && !history.state?.drawer) history.pushState({ drawer: true }, "", href);
    }, () => { /* app.js says what went wrong */ });
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== body() || drawer().open || !body().childElementCount) return;
    isDirty = false;
    // A form may answer into the drawer as well: then the focus returns to its button.
    opener ??= document.activeElement;
    drawer().showModal();
    const first = body().querySelector("[autofocus], [aria-invalid=true]") ?? body().querySelector("input:not([type=hidden]), select, textarea");
    first?.focus();
  });

  const mayLeave = () => !isDirty || confirm("Close without saving? What you typed will be lost.");
  const shut = () => {
    if (!drawer().open && !body().childElementCount) return;
    isDirty = false;
    drawer().close();
    // Nobody waits for what the form asked about itself: an answer would look for places that are gone.
    body().querySelectorAll("[hx-sync]").forEach((part) => htmx.trigger(part, "htmx:abort"));
    body().replaceChildren();
    (opener?.isConnected ? opener : openerAgain ? document.querySelector(openerAgain) : null)?.focus();
    opener = null;
    openerAgain = "";
    if (history.state?.drawer) history.back();
  };
  // Later, because the other events of the same answer rise from the form that this removes.
  document.addEventListener("drawer:close", () => setTimeout(shut));
  document.addEventListener("close", (event) => { if (event.target === drawer()) shut(); }, true);
  document.addEventListener("cancel", (event) => {
    if (event.target !== drawer()) return;
    event.preventDefault();
    if (mayLeave()) shut();
  }, true);
  document.addEventListener("click", (event) => {
    const dialog = (event.target.closest("[data-close]") ?? (event.target === drawer() ? drawer() : null))?.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    if (dialog !== drawer()) dialog.close();
    else if (mayLeave()) shut();
  });

  // Registered before htmx's own, which would fetch the list again for a step back that only closes the drawer.
  addEventListener("popstate", (event) => {
    if (!drawer()?.open) {
      if (event.state?.drawer || cameByDrawer) location.reload();
      return;
    }
    event.stopImmediatePropagation();
    if (event.state?.drawer) return;
    if (mayLeave()) shut();
    else history.forward();
  });

  // What was typed and not saved
  const guarded = "#drawer form, form[data-guard]";
  for (const name of ["input", "change", "timing:change"]) {
    document.addEventListener(name, (event) => { if (event.target.closest?.(guarded)) isDirty = true; });
  }
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented && !event.target.matches("[hx-post]")) return;
    if (event.target.matches(guarded)) { sent = isDirty ? event.target : null; isDirty = false; }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { status } = event.detail.xhr; // a 422 that is swapped counts as successful for htmx
    if ((!status || status >= 400) && sent && event.detail.requestConfig?.elt === sent) isDirty = true;
  });
  addEventListener("beforeunload", (event) => { if (isDirty) event.preventDefault(); });
})();

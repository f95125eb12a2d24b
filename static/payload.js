// A button that changes a part of a dialog changes what would be sent, as typing does: the drawer asks before it closes,
// and what follows the timing looks again.
document.addEventListener("htmx:afterSettle", (event) => {
  const part = event.detail.target;
  if (part?.matches?.("fieldset.payload")) document.getElementById(part.id)?.dispatchEvent(new Event("input", { bubbles: true }));
  if (part?.matches?.("#when-fields")) document.getElementById(part.id)?.dispatchEvent(new Event("timing:change", { bubbles: true }));
});
// What runs was changed, and its payload is being drawn again: what is typed into it meanwhile goes along once more.
(() => {
  let isTyped = false;
  const isPart = (element) => element?.id === "payload-part";
  const note = (event) => { if (event.target.closest?.("#payload-part")) isTyped = true; };
  document.addEventListener("input", note);
  document.addEventListener("change", note);
  document.addEventListener("htmx:beforeRequest", (event) => { if (isPart(event.detail.elt)) isTyped = false; });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!isTyped || !isPart(part) || !event.detail.shouldSwap) return;
    event.detail.shouldSwap = false;
    htmx.ajax("POST", part.getAttribute("hx-post"), { source: part, target: part, swap: "outerHTML" });
  });
})();

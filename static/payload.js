// A button that changes a part of a dialog changes what would be sent, as typing does: the drawer asks before it closes,
// and what follows the timing looks again.
document.addEventListener("htmx:afterSettle", (event) => {
  const part = event.detail.target;
  if (part?.matches?.("fieldset.payload")) document.getElementById(part.id)?.dispatchEvent(new Event("input", { bubbles: true }));
  if (part?.matches?.("#when-fields")) document.getElementById(part.id)?.dispatchEvent(new Event("timing:change", { bubbles: true }));
});

// A button of the payload editor changes what would be sent, as typing does: the drawer asks before it closes.
document.addEventListener("htmx:afterSettle", (event) => {
  const editor = event.detail.target;
  if (editor?.matches?.("fieldset.payload")) document.getElementById(editor.id)?.dispatchEvent(new Event("input", { bubbles: true }));
});

// Turns a textarea into a JSON editor: colours, matching brackets, undo. The textarea stays the form's field.
import { createEditor, defaultKeymap, editHistory, editorCommands, matchBrackets } from "./vendor/prism-code-editor-5.4.0.js";

// Tab moves the focus, as everywhere else on the page; Ctrl+] and Ctrl+[ indent.
const keymap = Object.fromEntries(Object.entries(defaultKeymap).filter(([key]) => !/(^|\+)(Tab|m)$/.test(key)));

export const enhance = (area) => {
  if (area.dataset.enhanced !== undefined || area.disabled) return;
  const box = document.createElement("div");
  box.className = "code-edit";
  const isNamed = area.labels.length > 0;
  const editor = createEditor(
    box,
    { language: "json", value: area.value, wordWrap: true, readOnly: area.readOnly, tabSize: 2 },
    matchBrackets(false), editorCommands(keymap), editHistory(),
  );
  const field = editor.textarea;
  for (const { name, value } of [...area.attributes]) if (/^(id|name|required|maxlength|aria-.*|data-editor)$/.test(name)) field.setAttribute(name, value);
  if (!isNamed && !area.hasAttribute("aria-label")) field.setAttribute("aria-label", "JSON");
  field.dataset.enhanced = "";
  const hadFocus = document.activeElement === area;
  area.replaceWith(box);
  if (hadFocus) field.focus();
};

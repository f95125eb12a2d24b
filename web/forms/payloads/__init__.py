"""The payload editor: one value, edited as a form that its JSON Schema gives, or as JSON.

`PayloadEditor` is what a dialog holds; templates/payloads/_editor.html draws it. Words used in this package:

- a *shape* is what the form makes of a schema: one kind of control, or members, or a choice of shapes;
- a *node* is one part of the form with what stands in it, as typed, readable or not;
- a *place* is where a node stands: its name in the posted form, and the JSON pointer of its value.
"""

from web.forms.payloads.editor import PayloadEditor

__all__ = ["PayloadEditor"]

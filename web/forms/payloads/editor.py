"""What a dialog holds of a payload: one value, its form or its JSON text, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from wtforms.fields import Field
from wtforms.form import BaseForm

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from web.forms.payloads.building import Slot, build
from web.forms.payloads.complaints import place_problem, unknown_members
from web.forms.payloads.composites import ChoiceNode, ListNode, ObjectNode
from web.forms.payloads.controls import control_id, controls_of, hidden_fields, is_long
from web.forms.payloads.nodes import ABSENT, Node
from web.forms.payloads.reading import Posted, Reader
from web.forms.payloads.rearranging import ACTS, rearrange
from web.forms.payloads.shapes import Shape, shape_of
from web.forms.payloads.starting import starting_value
from web.forms.payloads.words import hint_of, items_hint

FORM, JSON = "form", "json"
_ROOT = Slot("Payload", may_be_absent=False)


class PayloadEditor:
    """`mode` is form or json; a schema without named members, and a value that is no object, are edited as JSON.

    `problems`: what cannot be read of what was typed, at paths below `prefix`. `is_rearranged`: a button of the editor
    was pressed, so the dialog is drawn again and nothing is saved.
    """

    def __init__(
        self,
        schema: Any,
        value: Any = ABSENT,
        *,
        mode: str = FORM,
        prefix: str = "payload",
        label: str = "Payload",
        secret_names: Sequence[str] = (),
        drawn_for: str = "",
    ) -> None:
        """Begins with `value`, or with the defaults of the schema. `drawn_for` comes back as `drawn_for_of` of a form."""
        self._begin(schema, prefix, label, secret_names, drawn_for)
        self._show(self._start() if value is ABSENT else value, mode)

    @classmethod
    def from_form(
        cls,
        schema: Any,
        form: Posted,
        prefix: str = "payload",
        *,
        label: str = "Payload",
        secret_names: Sequence[str] = (),
        drawn_for: str = "",
    ) -> PayloadEditor:
        """The editor as it was posted, with what its buttons ask for done. A form without a mode holds JSON text."""
        editor = cls.__new__(cls)
        editor._begin(schema, prefix, label, secret_names, drawn_for)
        if form.get(f"{prefix}-mode") == FORM and editor.has_form:
            editor._read_form(form)
        else:
            editor._read_text(form.get(prefix) or "")
        editor._obey(form)
        return editor

    @staticmethod
    def drawn_for_of(form: Posted, prefix: str = "payload") -> str:
        """What the posted editor was drawn for: read it with that schema, then show its value with another."""
        return form.get(f"{prefix}-drawn") or ""

    def _begin(self, schema: Any, prefix: str, label: str, secret_names: Sequence[str], drawn_for: str) -> None:
        self.prefix, self.label, self.secret_names, self.drawn_for = prefix, label, tuple(secret_names), drawn_for
        self.shape: Shape = shape_of(schema, schema if isinstance(schema, dict) else {})
        self.mode = JSON
        self.root: Node | None = None
        self.value: Any = None
        self.text = ""
        self.problems: list[Problem] = []
        self.errors: list[str] = []
        self.is_rearranged = False

    @property
    def has_form(self) -> bool:
        """Whether the schema gives a form at all."""
        return self.shape.kind in ("object", "choice")

    @property
    def is_form(self) -> bool:
        return self.mode == FORM

    @property
    def body(self) -> ObjectNode | None:
        """The members of the payload, if it is shown as an object without a choice."""
        return self.root if isinstance(self.root, ObjectNode) else None

    @property
    def unknown(self) -> list[str]:
        """The JSON pointers of members that the schema does not name."""
        if not self.has_form or not isinstance(self.value, dict):
            return []
        return unknown_members(self.root or self._built(self.value))

    def under(self, schema: Any, drawn_for: str) -> PayloadEditor:
        """The same value with another schema; this editor itself while something in it cannot be read."""
        if self.problems and self.is_form:
            return self
        options = {"prefix": self.prefix, "label": self.label, "secret_names": self.secret_names}
        other = PayloadEditor(schema, self.value, mode=self.mode, drawn_for=drawn_for, **options)  # type: ignore[arg-type]
        if not other.is_form:
            other.text = self.text
        other.problems, other.errors = self.problems, self.errors
        other.is_rearranged = self.is_rearranged
        return other

    def is_still(self, text: str) -> bool:
        """Whether the value is still the one in this JSON text, or nothing was typed."""
        if not self.text.strip() or self.text.split() == text.split():
            return True
        try:
            return not self.problems and strict_json.dumps(strict_json.loads(text)) == strict_json.dumps(self.value)
        except Refused:
            return False

    def check(self) -> None:
        """Raises Refused with what cannot be read."""
        if self.problems:
            raise Refused(self.problems)

    def attach(self, problems: Iterable[Problem]) -> list[Problem]:
        """Each problem below the prefix at its field; gives back the others."""
        others = []
        for problem in problems:
            if problem.path != self.prefix and not problem.path.startswith(f"{self.prefix}/"):
                others.append(problem)
                continue
            self._attach_one(problem.path.removeprefix(self.prefix), problem)
        return others

    @property
    def summary(self) -> list[tuple[str, str]]:
        """Every error with the id of the control it is about, in the order of the form."""
        if self.root is None:
            return [(self.prefix, f"{self.label}: {said}") for said in self.errors]
        found = [(f"{self.prefix}-editor", said) for said in self.errors]
        for node in self.root.walk():
            for said in node.errors:
                found.append((self.id_of(node), said if node.label in said else f"{node.label}: {said}"))
        return found

    @cached_property
    def controls(self) -> BaseForm:
        """The fields of the form, by their names. The nodes are final when this is first asked for."""
        return controls_of(self.root, self.prefix, self.secret_names)

    def control(self, node: Node, word: str = "") -> Field | None:
        """The field of a node; `word` names one beside the value, such as empty, from, pick or key."""
        name = self.name_of(node, word)
        return self.controls[name] if name in self.controls else None  # noqa: SIM401 (a form has no `get`)

    def name_of(self, node: Node, word: str = "") -> str:
        return f"{self.prefix}-{word}{node.name}" if word else self.prefix + node.name

    def id_of(self, node: Node, word: str = "") -> str:
        """The id of a node's control; a choice and what was chosen stand at the same place, under different ids."""
        if isinstance(node, ChoiceNode) and word != "pick":
            word = f"pick-{word}" if word else "pick"
        return control_id(self.prefix, node.name, word)

    def act_id(self, word: str, path: str) -> str:
        """The id of the button that does `word` at `path`."""
        return control_id(self.prefix, path, word)

    def hint(self, node: Node) -> str:
        """What one must know to fill in a node."""
        words = items_hint if isinstance(node, ListNode) else hint_of
        return words(node.shape.schema, node.shape.description)

    def is_wide(self, node: Node) -> bool:
        """Whether it takes the whole width of the form."""
        return is_long(node)

    def hidden(self, node: Node) -> list[tuple[str, str]]:
        """What the form must bring back about a node besides its controls."""
        return [(f"{self.prefix}-{word}{path}", value) for word, path, value in hidden_fields(node)]

    def _start(self) -> Any:
        return starting_value(self.shape) if self.shape.kind == "object" else {}

    def _show(self, value: Any, mode: str) -> None:
        self.value, self.text = value, strict_json.pretty(value)
        self.root = None
        self.mode = FORM if mode == FORM and self.has_form and isinstance(value, dict) else JSON
        if self.mode == FORM:
            self.root = self._built(value)

    def _built(self, value: Any) -> Node:
        root = build(self.shape, value, _ROOT)
        root.place("", "")
        return root

    def _read_form(self, form: Posted) -> None:
        self.mode = FORM
        self.root = Reader(form, self.prefix).read(self.shape, "", _ROOT)
        self._weigh(self.root)

    def _weigh(self, root: Node) -> None:
        """Place the nodes and read them."""
        root.place("", "")
        found: list[Problem] = []
        self.value = root.value(found)
        self.text = strict_json.pretty(self.value)
        self.problems = [Problem(self.prefix + p.path, p.message, p.code) for p in found]

    def _read_text(self, text: str) -> None:
        self.text, self.value = text, {}
        if not text.strip():
            return
        try:
            self.value = strict_json.loads(text, path=self.prefix)
        except Refused as refused:
            self.problems = list(refused.problems)

    def _obey(self, form: Posted) -> None:
        """Do what the pressed button says. Whoever cannot switch because something is unreadable is told what."""
        wanted = form.get(f"{self.prefix}-to")
        if wanted is not None:
            self.is_rearranged = True
            if self.problems:
                self.attach(self.problems)
            elif wanted == FORM and not isinstance(self.value, dict):
                self.errors.append("The form shows a JSON object, in curly braces.")
            else:
                self._show(self.value, wanted)
        for act in ACTS:
            path = form.get(f"{self.prefix}-{act}")
            if path is not None:
                self.is_rearranged = True
                if self.root is not None:
                    rearrange(self.root, act, path)
                    self._weigh(self.root)

    def _attach_one(self, where: str, problem: Problem) -> None:
        if self.root is None:
            said = f"{where}: {problem.message}" if where else problem.message
            self.errors.append(said)
            return
        for node, message in place_problem(self.root, where, problem):
            target = self.errors if node is self.root else node.errors
            if message not in target:
                target.append(message)

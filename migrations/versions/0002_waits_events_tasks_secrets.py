"""waits, tasks, events, secrets, notifications"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "event_types",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("payload_schema_ref", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_event_types_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_types")),
    )
    op.create_index("uq_event_types_name", "event_types", ["tenant_id", "name"], unique=True)
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("correlation_key", sa.String(), server_default="", nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_label", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("depth", sa.Integer(), server_default="0", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("source IN ('api', 'manual', 'run')", name=op.f("ck_events_source")),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_events_actor_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_events_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_name", "events", ["tenant_id", "name", "id"], unique=False)
    op.create_index("ix_events_correlation", "events", ["tenant_id", "correlation_key", "name", "id"], unique=False)
    op.create_index("ix_events_page", "events", ["tenant_id", "id"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), server_default="", nullable=False),
        sa.Column("link", sa.String(), nullable=True),
        sa.Column("dedupe_key", sa.String(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("severity IN ('info', 'warning', 'error')", name=op.f("ck_notifications_severity")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_notifications_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notifications_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index("ix_notifications_page", "notifications", ["tenant_id", "user_id", "id"], unique=False)
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["tenant_id", "user_id"],
        unique=False,
        postgresql_where="read_at IS NULL",
    )
    op.create_index(
        "uq_notifications_dedupe",
        "notifications",
        ["tenant_id", "user_id", "dedupe_key"],
        unique=True,
        postgresql_where="dedupe_key IS NOT NULL",
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["changed_by"], ["users.id"], name=op.f("fk_secrets_changed_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_secrets_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
    )
    op.create_index("uq_secrets_name", "secrets", ["tenant_id", "name"], unique=True)
    op.create_table(
        "event_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name=op.f("ck_event_deliveries_reason")),
        sa.CheckConstraint("outcome = 'refused' OR run_id IS NOT NULL", name=op.f("ck_event_deliveries_run")),
        sa.CheckConstraint("outcome IN ('started', 'resumed', 'refused')", name=op.f("ck_event_deliveries_outcome")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_event_deliveries_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_deliveries")),
    )
    op.create_index("ix_event_deliveries_event", "event_deliveries", ["event_id", "id"], unique=False)
    op.create_index(
        "ix_event_deliveries_refused",
        "event_deliveries",
        ["event_id"],
        unique=False,
        postgresql_where="outcome = 'refused'",
    )
    op.create_table(
        "waits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step_path", sa.String(), nullable=False),
        sa.Column("iteration", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="open", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_name", sa.String(), nullable=True),
        sa.Column("correlation_key", sa.String(), nullable=True),
        sa.Column("filters", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("child_run_id", sa.Uuid(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(kind = 'child') = (child_run_id IS NOT NULL)", name=op.f("ck_waits_child")),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("ck_waits_closed")),
        sa.CheckConstraint(
            "kind <> 'event' OR (event_name IS NOT NULL AND correlation_key IS NOT NULL)", name=op.f("ck_waits_event")
        ),
        sa.CheckConstraint("kind IN ('time', 'retry', 'event', 'task', 'child')", name=op.f("ck_waits_kind")),
        sa.CheckConstraint("kind NOT IN ('time', 'retry') OR due_at IS NOT NULL", name=op.f("ck_waits_due")),
        sa.CheckConstraint("status IN ('open', 'resolved', 'timed_out', 'canceled')", name=op.f("ck_waits_status")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_waits_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_waits_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waits")),
    )
    op.create_index(
        "ix_waits_child", "waits", ["child_run_id"], unique=False, postgresql_where="status = 'open' AND kind = 'child'"
    )
    op.create_index(
        "ix_waits_due",
        "waits",
        ["due_at", "id"],
        unique=False,
        postgresql_where="status = 'open' AND due_at IS NOT NULL",
    )
    op.create_index(
        "ix_waits_event",
        "waits",
        ["tenant_id", "event_name", "correlation_key"],
        unique=False,
        postgresql_where="status = 'open' AND kind = 'event'",
    )
    op.create_index("ix_waits_run", "waits", ["run_id"], unique=False)
    op.create_index("uq_waits_open", "waits", ["run_id"], unique=True, postgresql_where="status = 'open'")
    op.create_table(
        "tasks",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("wait_id", sa.Uuid(), nullable=False),
        sa.Column("task_type", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("context", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("form_schema", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(), server_default="open", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("(status = 'answered') = (answer IS NOT NULL)", name=op.f("ck_tasks_answered")),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("ck_tasks_closed")),
        sa.CheckConstraint("status IN ('open', 'answered', 'expired', 'canceled')", name=op.f("ck_tasks_status")),
        sa.ForeignKeyConstraint(["answered_by"], ["users.id"], name=op.f("fk_tasks_answered_by")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_tasks_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_tasks_tenant_id")),
        sa.ForeignKeyConstraint(["wait_id"], ["waits.id"], name=op.f("fk_tasks_wait_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("wait_id", name=op.f("uq_tasks_wait_id")),
    )
    op.create_index("ix_tasks_open", "tasks", ["tenant_id", "id"], unique=False, postgresql_where="status = 'open'")
    op.create_index("ix_tasks_page", "tasks", ["tenant_id", "id"], unique=False)
    op.create_index("ix_tasks_run", "tasks", ["run_id"], unique=False)
    op.add_column("runs", sa.Column("cancel_reason", sa.String(), nullable=True))
    op.create_index(
        "ix_runs_children",
        "runs",
        ["parent_run_id"],
        unique=False,
        postgresql_where="finished_at IS NULL AND parent_run_id IS NOT NULL",
    )
    for name, owner in (
        ("ix_runs_failed", "tenant_id"),
        ("ix_runs_failed_of_schedule", "schedule_id"),
        ("ix_runs_failed_of_workflow", "workflow_id"),
    ):
        op.create_index(
            name, "runs", [owner, "status", "id"], unique=False, postgresql_where="status IN ('failed', 'canceled')"
        )
    op.create_index(
        "ix_runs_finished",
        "runs",
        ["workflow_id", "finished_at"],
        unique=False,
        postgresql_where="finished_at IS NOT NULL",
    )
    op.create_index(
        "ix_runs_going", "runs", ["tenant_id", "status", "id"], unique=False, postgresql_where="finished_at IS NULL"
    )
    op.create_index(
        "ix_runs_parent", "runs", ["parent_run_id", "id"], unique=False, postgresql_where="parent_run_id IS NOT NULL"
    )
    op.create_index(
        "ix_runs_started_by",
        "runs",
        ["tenant_id", "started_by", "id"],
        unique=False,
        postgresql_where="started_by <> 'recurring'",
    )
    op.create_index(
        "ix_store_items_expires_at",
        "store_items",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.add_column("tenants", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.add_column("workflows", sa.Column("failures_counted_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workflows", sa.Column("event_name", sa.String(), nullable=True))
    op.create_index(
        "ix_workflows_event",
        "workflows",
        ["tenant_id", "event_name"],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_check_constraint(op.f("ck_tenants_retention_days"), "tenants", "retention_days >= 1")
    op.drop_constraint(op.f("ck_run_steps_status"), "run_steps")
    op.drop_constraint(op.f("ck_run_steps_finished"), "run_steps")
    op.create_check_constraint(
        op.f("ck_run_steps_status"), "run_steps", "status IN ('started', 'waiting', 'succeeded', 'failed')"
    )
    op.create_check_constraint(
        op.f("ck_run_steps_finished"), "run_steps", "(status IN ('started', 'waiting')) = (finished_at IS NULL)"
    )
    op.create_index("ix_memberships_user", "memberships", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_memberships_user", table_name="memberships")
    op.drop_constraint(op.f("ck_run_steps_status"), "run_steps")
    op.drop_constraint(op.f("ck_run_steps_finished"), "run_steps")
    op.create_check_constraint(op.f("ck_run_steps_status"), "run_steps", "status IN ('started', 'succeeded', 'failed')")
    op.create_check_constraint(
        op.f("ck_run_steps_finished"), "run_steps", "(status = 'started') = (finished_at IS NULL)"
    )
    op.drop_constraint(op.f("ck_tenants_retention_days"), "tenants")
    op.drop_index(
        "ix_store_items_expires_at", table_name="store_items", postgresql_where=sa.text("expires_at IS NOT NULL")
    )
    op.drop_index("ix_workflows_event", table_name="workflows", postgresql_where="deleted_at IS NULL")
    op.drop_column("workflows", "event_name")
    op.drop_column("workflows", "failures_counted_from")
    op.drop_column("tenants", "retention_days")
    op.drop_index("ix_runs_started_by", table_name="runs", postgresql_where="started_by <> 'recurring'")
    op.drop_index(
        "ix_runs_children", table_name="runs", postgresql_where="finished_at IS NULL AND parent_run_id IS NOT NULL"
    )
    op.drop_index("ix_runs_parent", table_name="runs", postgresql_where="parent_run_id IS NOT NULL")
    op.drop_index("ix_runs_going", table_name="runs", postgresql_where="finished_at IS NULL")
    op.drop_index("ix_runs_finished", table_name="runs", postgresql_where="finished_at IS NOT NULL")
    for name in ("ix_runs_failed", "ix_runs_failed_of_schedule", "ix_runs_failed_of_workflow"):
        op.drop_index(name, table_name="runs", postgresql_where="status IN ('failed', 'canceled')")
    op.drop_column("runs", "cancel_reason")
    op.drop_index("ix_tasks_run", table_name="tasks")
    op.drop_index("ix_tasks_page", table_name="tasks")
    op.drop_index("ix_tasks_open", table_name="tasks", postgresql_where="status = 'open'")
    op.drop_table("tasks")
    op.drop_index("uq_waits_open", table_name="waits", postgresql_where="status = 'open'")
    op.drop_index("ix_waits_run", table_name="waits")
    op.drop_index("ix_waits_event", table_name="waits", postgresql_where="status = 'open' AND kind = 'event'")
    op.drop_index("ix_waits_due", table_name="waits", postgresql_where="status = 'open' AND due_at IS NOT NULL")
    op.drop_index("ix_waits_child", table_name="waits", postgresql_where="status = 'open' AND kind = 'child'")
    op.drop_table("waits")
    op.drop_index("ix_event_deliveries_refused", table_name="event_deliveries", postgresql_where="outcome = 'refused'")
    op.drop_index("ix_event_deliveries_event", table_name="event_deliveries")
    op.drop_table("event_deliveries")
    op.drop_index("uq_secrets_name", table_name="secrets")
    op.drop_table("secrets")
    op.drop_index("uq_notifications_dedupe", table_name="notifications", postgresql_where="dedupe_key IS NOT NULL")
    op.drop_index("ix_notifications_unread", table_name="notifications", postgresql_where="read_at IS NULL")
    op.drop_index("ix_notifications_page", table_name="notifications")
    op.drop_table("notifications")
    op.drop_index("ix_events_page", table_name="events")
    op.drop_index("ix_events_correlation", table_name="events")
    op.drop_index("ix_events_name", table_name="events")
    op.drop_table("events")
    op.drop_index("uq_event_types_name", table_name="event_types")
    op.drop_table("event_types")

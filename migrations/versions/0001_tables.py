"""tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


# What was recorded stays as it is: the database itself refuses to rewrite it.
REFUSE = """
CREATE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed (% refused)', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""
REFUSE_USED_SCHEMA = """
CREATE FUNCTION refuse_used_schema() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.used_at IS NOT NULL AND (NEW.ref, NEW.schema, NEW.used_at) IS DISTINCT FROM (OLD.ref, OLD.schema, OLD.used_at)
    THEN
        RAISE EXCEPTION 'payload schema % is in use and never changes', OLD.ref USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGERS = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_rewrite()",
    "CREATE TRIGGER keep_all BEFORE TRUNCATE ON audit_entries EXECUTE FUNCTION refuse_rewrite()",
    "CREATE TRIGGER immutable BEFORE UPDATE ON workflow_versions FOR EACH ROW EXECUTE FUNCTION refuse_rewrite()",
    "CREATE TRIGGER immutable BEFORE UPDATE ON occurrences FOR EACH ROW EXECUTE FUNCTION refuse_rewrite()",
    "CREATE TRIGGER immutable BEFORE UPDATE ON payload_schemas FOR EACH ROW EXECUTE FUNCTION refuse_used_schema()",
)


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('web', 'scheduler', 'worker')", name=op.f("ck_heartbeats_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeats")),
    )
    op.create_index("ix_heartbeats_kind", "heartbeats", ["kind", "lease_until"], unique=False)
    op.create_table(
        "tenants",
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("edition", sa.String(), server_default="enterprise", nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("edition IN ('enterprise', 'community')", name=op.f("ck_tenants_edition")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenants_slug")),
    )
    op.create_table(
        "users",
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_lower")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_tokens_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_label", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("subject_label", sa.String(), nullable=True),
        sa.Column("before", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("result IN ('changed', 'refused')", name=op.f("ck_audit_entries_result")),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_audit_entries_actor_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_audit_entries_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_page", "audit_entries", ["tenant_id", "id"], unique=False)
    op.create_index("ix_audit_entries_subject", "audit_entries", ["tenant_id", "subject_id", "id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'author', 'admin')", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_memberships_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_memberships_tenant_id_user_id")),
    )
    op.create_table(
        "payload_schemas",
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("schema", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_payload_schemas_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payload_schemas")),
    )
    op.create_index("uq_payload_schemas_ref", "payload_schemas", ["tenant_id", "ref"], unique=True)
    op.create_table(
        "request_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_request_keys_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_request_keys")),
    )
    op.create_index(op.f("ix_request_keys_created_at"), "request_keys", ["created_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_sessions_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "store_items",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_store_items_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "namespace", "key", name=op.f("pk_store_items")),
    )
    op.create_table(
        "workflows",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("is_system", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("is_visible", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("draft_definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("draft_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("draft_trigger", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("draft_schema_mode", sa.String(), server_default="pinned", nullable=False),
        sa.Column("draft_schema_ref", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("published_version", sa.Integer(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.Uuid(), nullable=True),
        sa.Column("pause_reason", sa.String(), nullable=True),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("auto_pause_on_failure", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("failure_rate_threshold", sa.Double(), nullable=True),
        sa.Column("failure_rate_min_runs", sa.Integer(), nullable=True),
        sa.Column(
            "retention_policy_override", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("content_changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("draft_schema_mode IN ('pinned', 'inferred')", name=op.f("ck_workflows_draft_schema_mode")),
        sa.CheckConstraint(
            "concurrency_limit IS NULL OR concurrency_limit >= 1", name=op.f("ck_workflows_concurrency_limit")
        ),
        sa.CheckConstraint(
            "paused_at IS NOT NULL OR (paused_by IS NULL AND pause_reason IS NULL)", name=op.f("ck_workflows_paused")
        ),
        sa.ForeignKeyConstraint(["paused_by"], ["users.id"], name=op.f("fk_workflows_paused_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_workflows_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflows")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_workflows_tenant_id_id")),
    )
    op.create_index(
        "uq_workflows_key", "workflows", ["tenant_id", "key"], unique=True, postgresql_where="deleted_at IS NULL"
    )
    op.create_table(
        "workflow_versions",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("definition_hash", sa.String(), nullable=False),
        sa.Column("trigger", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("payload_schema_mode", sa.String(), nullable=False),
        sa.Column("payload_schema_ref", sa.String(), nullable=True),
        sa.Column("payload_schema", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("is_pure", sa.Boolean(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "payload_schema_mode IN ('pinned', 'inferred')", name=op.f("ck_workflow_versions_payload_schema_mode")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_workflow_versions_version")),
        sa.ForeignKeyConstraint(["published_by"], ["users.id"], name=op.f("fk_workflow_versions_published_by")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id"],
            ["workflows.tenant_id", "workflows.id"],
            name=op.f("fk_workflow_versions_tenant_id_workflow_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_workflow_versions_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_versions")),
        sa.UniqueConstraint(
            "tenant_id", "workflow_id", "version", name=op.f("uq_workflow_versions_tenant_id_workflow_id_version")
        ),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("target_kind", sa.String(), server_default="workflow", nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_version", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("started_by", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("trigger_metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("input_json", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(), server_default="queued", nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("output", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parent_run_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'canceled')) = (finished_at IS NOT NULL)", name=op.f("ck_runs_finished")
        ),
        sa.CheckConstraint("lane IN ('pure', 'effect')", name=op.f("ck_runs_lane")),
        sa.CheckConstraint(
            "status <> 'running' OR (claimed_by IS NOT NULL AND ready_at IS NOT NULL)", name=op.f("ck_runs_running")
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled')", name=op.f("ck_runs_status")
        ),
        sa.CheckConstraint("target_kind = 'workflow' AND workflow_id IS NOT NULL", name=op.f("ck_runs_target")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id", "workflow_version"],
            ["workflow_versions.tenant_id", "workflow_versions.workflow_id", "workflow_versions.version"],
            name=op.f("fk_runs_tenant_id_workflow_id_workflow_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_runs_admitted",
        "runs",
        ["workflow_id"],
        unique=False,
        postgresql_where="finished_at IS NULL AND ready_at IS NOT NULL",
    )
    op.create_index("ix_runs_page", "runs", ["tenant_id", "id"], unique=False)
    op.create_index(
        "ix_runs_queued",
        "runs",
        ["workflow_id", "id"],
        unique=False,
        postgresql_where="status = 'queued' AND ready_at IS NULL",
    )
    op.create_index(
        "ix_runs_ready",
        "runs",
        ["lane", "ready_at", "id"],
        unique=False,
        postgresql_where="status = 'queued' AND ready_at IS NOT NULL",
    )
    op.create_index("ix_runs_running", "runs", ["claimed_by"], unique=False, postgresql_where="status = 'running'")
    op.create_index(
        "ix_runs_schedule", "runs", ["schedule_id", "id"], unique=False, postgresql_where="schedule_id IS NOT NULL"
    )
    op.create_index(
        "ix_runs_unfinished",
        "runs",
        ["schedule_id"],
        unique=False,
        postgresql_where="finished_at IS NULL AND schedule_id IS NOT NULL",
    )
    op.create_index("ix_runs_workflow", "runs", ["workflow_id", "id"], unique=False)
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("target_kind", sa.String(), server_default="workflow", nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_version", sa.Integer(), nullable=False),
        sa.Column("trigger_type", sa.String(), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cron", sa.String(), nullable=True),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("payload_json", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("invalid_reason", sa.String(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.Uuid(), nullable=True),
        sa.Column("pause_reason", sa.String(), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overlap", sa.String(), server_default="queue", nullable=False),
        sa.Column("catch_up", sa.String(), server_default="latest", nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_lateness_seconds", sa.Integer(), nullable=True),
        sa.Column("spread_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("dst_gap", sa.String(), server_default="after", nullable=False),
        sa.Column("dst_repeat", sa.String(), server_default="first", nullable=False),
        sa.Column("external_key", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "(status = 'invalid') = (invalid_reason IS NOT NULL)", name=op.f("ck_schedules_invalid_reason")
        ),
        sa.CheckConstraint("(status = 'paused') = (paused_at IS NOT NULL)", name=op.f("ck_schedules_paused")),
        sa.CheckConstraint(
            "(trigger_type = 'schedule' AND run_at IS NOT NULL AND cron IS NULL) OR (trigger_type = 'recurring' AND run_at IS NULL AND cron IS NOT NULL)",
            name=op.f("ck_schedules_timing"),
        ),
        sa.CheckConstraint("catch_up IN ('latest', 'all', 'skip')", name=op.f("ck_schedules_catch_up")),
        sa.CheckConstraint("dst_gap IN ('after', 'skip')", name=op.f("ck_schedules_dst_gap")),
        sa.CheckConstraint("dst_repeat IN ('first', 'both')", name=op.f("ck_schedules_dst_repeat")),
        sa.CheckConstraint("overlap IN ('queue', 'skip', 'allow')", name=op.f("ck_schedules_overlap")),
        sa.CheckConstraint("run_at = date_trunc('second', run_at)", name=op.f("ck_schedules_run_at_whole_seconds")),
        sa.CheckConstraint("status IN ('active', 'paused', 'invalid', 'completed')", name=op.f("ck_schedules_status")),
        sa.CheckConstraint(
            "target_kind = 'workflow' AND workflow_id IS NOT NULL AND workflow_version IS NOT NULL",
            name=op.f("ck_schedules_target"),
        ),
        sa.CheckConstraint("max_lateness_seconds > 0", name=op.f("ck_schedules_max_lateness_seconds")),
        sa.CheckConstraint(
            "paused_at IS NOT NULL OR (paused_by IS NULL AND pause_reason IS NULL)",
            name=op.f("ck_schedules_pause_reason"),
        ),
        sa.CheckConstraint("spread_seconds >= 0", name=op.f("ck_schedules_spread_seconds")),
        sa.CheckConstraint(
            "starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at", name=op.f("ck_schedules_window")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_schedules_created_by")),
        sa.ForeignKeyConstraint(["paused_by"], ["users.id"], name=op.f("fk_schedules_paused_by")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id", "workflow_version"],
            ["workflow_versions.tenant_id", "workflow_versions.workflow_id", "workflow_versions.version"],
            name=op.f("fk_schedules_tenant_id_workflow_id_workflow_version"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id"],
            ["workflows.tenant_id", "workflows.id"],
            name=op.f("fk_schedules_tenant_id_workflow_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_schedules_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_schedules_tenant_id_id")),
    )
    op.create_index(
        "ix_schedules_workflow", "schedules", ["workflow_id"], unique=False, postgresql_where="deleted_at IS NULL"
    )
    op.create_index(
        "uq_schedules_external_key",
        "schedules",
        ["tenant_id", "external_key"],
        unique=True,
        postgresql_where="deleted_at IS NULL AND external_key IS NOT NULL",
    )
    op.create_index(
        "uq_schedules_name",
        "schedules",
        ["tenant_id", "workflow_id", "name"],
        unique=True,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_table(
        "occurrences",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("origin_key", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("through", sa.DateTime(timezone=True), nullable=True),
        sa.Column("count", sa.Integer(), server_default="1", nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(outcome = 'fired') = (reason IS NULL)", name=op.f("ck_occurrences_reason")),
        sa.CheckConstraint("outcome <> 'fired' OR count = 1", name=op.f("ck_occurrences_fired_is_one")),
        sa.CheckConstraint("outcome IN ('fired', 'skipped', 'missed', 'refused')", name=op.f("ck_occurrences_outcome")),
        sa.CheckConstraint(
            "scheduled_for = date_trunc('second', scheduled_for)", name=op.f("ck_occurrences_whole_seconds")
        ),
        sa.CheckConstraint("(count = 1) = (through IS NULL) AND count >= 1", name=op.f("ck_occurrences_gap")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "schedule_id"],
            ["schedules.tenant_id", "schedules.id"],
            name=op.f("fk_occurrences_tenant_id_schedule_id"),
        ),
        sa.PrimaryKeyConstraint("schedule_id", "scheduled_for", "origin_key", name=op.f("pk_occurrences")),
    )
    op.create_table(
        "run_steps",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step_path", sa.String(), nullable=False),
        sa.Column("iteration", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("node_type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("output", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("claim_epoch", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'started') = (finished_at IS NULL)", name=op.f("ck_run_steps_finished")),
        sa.CheckConstraint("status IN ('started', 'succeeded', 'failed')", name=op.f("ck_run_steps_status")),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_run_steps_attempt")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_steps_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step_path", "iteration", "attempt", name=op.f("pk_run_steps")),
    )
    op.create_table(
        "schedule_cursors",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("next_fire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_fire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_status", sa.String(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "schedule_id"],
            ["schedules.tenant_id", "schedules.id"],
            name=op.f("fk_schedule_cursors_tenant_id_schedule_id"),
        ),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_schedule_cursors")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_schedule_cursors_wake",
        "schedule_cursors",
        ["wake_at"],
        unique=False,
        postgresql_where="wake_at IS NOT NULL",
    )
    for statement in (REFUSE, REFUSE_USED_SCHEMA, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_index("ix_schedule_cursors_wake", table_name="schedule_cursors", postgresql_where="wake_at IS NOT NULL")
    op.drop_table("schedule_cursors")
    op.drop_table("run_steps")
    op.drop_table("occurrences")
    op.drop_index("uq_schedules_name", table_name="schedules", postgresql_where="deleted_at IS NULL")
    op.drop_index(
        "uq_schedules_external_key",
        table_name="schedules",
        postgresql_where="deleted_at IS NULL AND external_key IS NOT NULL",
    )
    op.drop_index("ix_schedules_workflow", table_name="schedules", postgresql_where="deleted_at IS NULL")
    op.drop_table("schedules")
    op.drop_index("ix_runs_workflow", table_name="runs")
    op.drop_index(
        "ix_runs_unfinished", table_name="runs", postgresql_where="finished_at IS NULL AND schedule_id IS NOT NULL"
    )
    op.drop_index("ix_runs_schedule", table_name="runs", postgresql_where="schedule_id IS NOT NULL")
    op.drop_index("ix_runs_running", table_name="runs", postgresql_where="status = 'running'")
    op.drop_index("ix_runs_ready", table_name="runs", postgresql_where="status = 'queued' AND ready_at IS NOT NULL")
    op.drop_index("ix_runs_queued", table_name="runs", postgresql_where="status = 'queued' AND ready_at IS NULL")
    op.drop_index("ix_runs_page", table_name="runs")
    op.drop_index(
        "ix_runs_admitted", table_name="runs", postgresql_where="finished_at IS NULL AND ready_at IS NOT NULL"
    )
    op.drop_table("runs")
    op.drop_table("workflow_versions")
    op.drop_index("uq_workflows_key", table_name="workflows", postgresql_where="deleted_at IS NULL")
    op.drop_table("workflows")
    op.drop_table("store_items")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_request_keys_created_at"), table_name="request_keys")
    op.drop_table("request_keys")
    op.drop_index("uq_payload_schemas_ref", table_name="payload_schemas")
    op.drop_table("payload_schemas")
    op.drop_table("memberships")
    op.drop_index("ix_audit_entries_subject", table_name="audit_entries")
    op.drop_index("ix_audit_entries_page", table_name="audit_entries")
    op.drop_table("audit_entries")
    op.drop_table("api_tokens")
    op.drop_table("users")
    op.drop_table("tenants")
    op.drop_index("ix_heartbeats_kind", table_name="heartbeats")
    op.drop_table("heartbeats")
    op.execute("DROP FUNCTION refuse_rewrite")
    op.execute("DROP FUNCTION refuse_used_schema")

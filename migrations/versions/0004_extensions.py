"""extensions, their versions, endpoints and installs, and calls of them as targets of schedules and runs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

KEEP_VERSION = """
CREATE FUNCTION refuse_changed_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.extension_id, OLD.version, OLD.manifest, OLD.content_hash, OLD.published_at)
        IS DISTINCT FROM (NEW.id, NEW.extension_id, NEW.version, NEW.manifest, NEW.content_hash, NEW.published_at)
    THEN
        RAISE EXCEPTION 'extension version % never changes', OLD.version USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""
IMMUTABLE = (
    "CREATE TRIGGER immutable BEFORE UPDATE ON extension_versions"
    " FOR EACH ROW EXECUTE FUNCTION refuse_changed_version()"
)

SCHEDULE_TARGET = (
    "(target_kind = 'workflow' AND workflow_id IS NOT NULL AND install_id IS NULL AND endpoint_id IS NULL"
    " AND (workflow_version IS NOT NULL OR status IN ('invalid', 'completed')))"
    " OR (target_kind = 'endpoint' AND install_id IS NOT NULL AND endpoint_id IS NOT NULL"
    " AND workflow_id IS NULL AND workflow_version IS NULL)"
)
OLD_SCHEDULE_TARGET = (
    "target_kind = 'workflow' AND workflow_id IS NOT NULL"
    " AND (workflow_version IS NOT NULL OR status IN ('invalid', 'completed'))"
)
RUN_TARGET = (
    "(target_kind = 'workflow' AND workflow_id IS NOT NULL AND workflow_version IS NOT NULL"
    " AND install_id IS NULL AND extension_version_id IS NULL AND endpoint_id IS NULL)"
    " OR (target_kind = 'endpoint' AND workflow_id IS NULL AND workflow_version IS NULL"
    " AND install_id IS NOT NULL AND extension_version_id IS NOT NULL AND endpoint_id IS NOT NULL)"
)
OLD_RUN_TARGET = "target_kind = 'workflow' AND workflow_id IS NOT NULL"
OLD_LANE = "lane IN ('pure', 'effect')"

# What did not exist before cannot stay: calls of extensions, and the schedules of them.
FORGET = (
    "DELETE FROM waits WHERE run_id IN (SELECT id FROM runs WHERE target_kind = 'endpoint')",
    "DELETE FROM runs WHERE target_kind = 'endpoint'",
    "DELETE FROM occurrences WHERE schedule_id IN (SELECT id FROM schedules WHERE target_kind = 'endpoint')",
    "DELETE FROM backfills WHERE schedule_id IN (SELECT id FROM schedules WHERE target_kind = 'endpoint')",
    "DELETE FROM schedule_cursors WHERE schedule_id IN (SELECT id FROM schedules WHERE target_kind = 'endpoint')",
    "DELETE FROM schedules WHERE target_kind = 'endpoint'",
)


def upgrade() -> None:
    op.create_table(
        "extensions",
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_extensions_created_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_extensions_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extensions")),
    )
    op.create_index(
        "uq_extensions_name",
        "extensions",
        ["tenant_id", "publisher", "name"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "extension_versions",
        sa.Column("extension_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("endpoints_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["extension_id"], ["extensions.id"], name=op.f("fk_extension_versions_extension_id")),
        sa.ForeignKeyConstraint(["published_by"], ["users.id"], name=op.f("fk_extension_versions_published_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extension_versions")),
        sa.UniqueConstraint("extension_id", "id", name=op.f("uq_extension_versions_extension_id_id")),
        sa.UniqueConstraint("extension_id", "version", name=op.f("uq_extension_versions_extension_id_version")),
    )
    op.create_table(
        "extension_endpoints",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("handler", sa.String(), nullable=False),
        sa.Column("request_schema", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["extension_versions.id"], name=op.f("fk_extension_endpoints_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extension_endpoints")),
        sa.UniqueConstraint("version_id", "method", "path", name=op.f("uq_extension_endpoints_version_id_method_path")),
    )
    op.create_table(
        "installs",
        sa.Column("extension_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("capabilities", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_by", sa.Uuid(), nullable=True),
        sa.Column("disable_reason", sa.String(), nullable=True),
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
            "jsonb_typeof(config) = 'object' AND jsonb_typeof(capabilities) = 'array'",
            name=op.f("ck_installs_settings"),
        ),
        sa.CheckConstraint(
            "disabled_at IS NOT NULL OR (disabled_by IS NULL AND disable_reason IS NULL)",
            name=op.f("ck_installs_disabled"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_installs_created_by")),
        sa.ForeignKeyConstraint(["disabled_by"], ["users.id"], name=op.f("fk_installs_disabled_by")),
        sa.ForeignKeyConstraint(
            ["extension_id", "version_id"],
            ["extension_versions.extension_id", "extension_versions.id"],
            name=op.f("fk_installs_extension_id_version_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_installs_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installs")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_installs_tenant_id_id")),
    )
    op.create_index("ix_installs_version", "installs", ["extension_id", "version_id"], unique=False)
    op.create_index(
        "uq_installs_extension",
        "installs",
        ["tenant_id", "extension_id"],
        unique=True,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_table(
        "install_circuits",
        sa.Column("install_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.CheckConstraint("(opened_at IS NULL) = (open_until IS NULL)", name=op.f("ck_install_circuits_open")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "install_id"],
            ["installs.tenant_id", "installs.id"],
            name=op.f("fk_install_circuits_tenant_id_install_id"),
        ),
        sa.PrimaryKeyConstraint("install_id", name=op.f("pk_install_circuits")),
    )
    op.create_table(
        "install_secrets",
        sa.Column("install_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["changed_by"], ["users.id"], name=op.f("fk_install_secrets_changed_by")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "install_id"],
            ["installs.tenant_id", "installs.id"],
            name=op.f("fk_install_secrets_tenant_id_install_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_install_secrets_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_install_secrets")),
        sa.UniqueConstraint("install_id", "name", name=op.f("uq_install_secrets_install_id_name")),
    )
    op.create_table(
        "invocations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step_path", sa.String(), nullable=False),
        sa.Column("iteration", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("install_id", sa.Uuid(), nullable=False),
        sa.Column("extension_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("endpoint_status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("response_excerpt", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'started') = (finished_at IS NULL)", name=op.f("ck_invocations_finished")),
        sa.CheckConstraint(
            "status IN ('started', 'succeeded', 'failed', 'lost', 'not_sent')", name=op.f("ck_invocations_status")
        ),
        sa.CheckConstraint("trigger IN ('schedule', 'manual')", name=op.f("ck_invocations_trigger")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "install_id"],
            ["installs.tenant_id", "installs.id"],
            name=op.f("fk_invocations_tenant_id_install_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invocations")),
        sa.UniqueConstraint(
            "run_id",
            "step_path",
            "iteration",
            "attempt",
            name=op.f("uq_invocations_run_id_step_path_iteration_attempt"),
        ),
    )
    op.create_index("ix_invocations_install", "invocations", ["install_id", "id"], unique=False)
    op.create_index(
        "ix_invocations_schedule",
        "invocations",
        ["schedule_id", "id"],
        unique=False,
        postgresql_where="schedule_id IS NOT NULL",
    )
    op.add_column("runs", sa.Column("install_id", sa.Uuid(), nullable=True))
    op.add_column("runs", sa.Column("extension_version_id", sa.Uuid(), nullable=True))
    op.add_column("runs", sa.Column("endpoint_id", sa.Uuid(), nullable=True))
    op.alter_column("runs", "workflow_id", existing_type=sa.UUID(), nullable=True)
    op.alter_column("runs", "workflow_version", existing_type=sa.INTEGER(), nullable=True)
    op.create_index(
        "ix_runs_calls_going",
        "runs",
        ["tenant_id", "install_id"],
        unique=False,
        postgresql_where="install_id IS NOT NULL AND status IN ('queued', 'running') AND ready_at IS NOT NULL",
    )
    op.create_index(
        "ix_runs_calls_queued",
        "runs",
        ["install_id", "id"],
        unique=False,
        postgresql_where="install_id IS NOT NULL AND status = 'queued' AND ready_at IS NULL",
    )
    op.create_index(
        "ix_runs_extension_version",
        "runs",
        ["extension_version_id"],
        unique=False,
        postgresql_where="extension_version_id IS NOT NULL",
    )
    op.create_index(
        "ix_runs_install", "runs", ["install_id", "id"], unique=False, postgresql_where="install_id IS NOT NULL"
    )
    op.create_foreign_key(
        op.f("fk_runs_tenant_id_install_id"), "runs", "installs", ["tenant_id", "install_id"], ["tenant_id", "id"]
    )
    op.create_foreign_key(
        op.f("fk_runs_extension_version_id"), "runs", "extension_versions", ["extension_version_id"], ["id"]
    )
    op.add_column("schedules", sa.Column("is_named", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("schedules", sa.Column("install_id", sa.Uuid(), nullable=True))
    op.add_column("schedules", sa.Column("endpoint_id", sa.Uuid(), nullable=True))
    op.add_column("schedules", sa.Column("max_attempts", sa.Integer(), server_default="3", nullable=False))
    op.alter_column("schedules", "workflow_id", existing_type=sa.UUID(), nullable=True)
    op.create_index(
        "ix_schedules_install",
        "schedules",
        ["install_id", "id"],
        unique=False,
        postgresql_where="install_id IS NOT NULL",
    )
    op.create_index(
        "uq_schedules_install_name",
        "schedules",
        ["install_id", "name"],
        unique=True,
        postgresql_where="deleted_at IS NULL AND install_id IS NOT NULL AND is_named",
    )
    op.create_foreign_key(op.f("fk_schedules_endpoint_id"), "schedules", "extension_endpoints", ["endpoint_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_schedules_tenant_id_install_id"),
        "schedules",
        "installs",
        ["tenant_id", "install_id"],
        ["tenant_id", "id"],
    )
    for table, check in (("schedules", SCHEDULE_TARGET), ("runs", RUN_TARGET)):
        op.drop_constraint(op.f(f"ck_{table}_target"), table)
        op.create_check_constraint(op.f(f"ck_{table}_target"), table, check)
    op.create_check_constraint(op.f("ck_schedules_named"), "schedules", "is_named OR target_kind = 'endpoint'")
    op.create_check_constraint(op.f("ck_schedules_max_attempts"), "schedules", "max_attempts BETWEEN 1 AND 10")
    op.drop_constraint(op.f("ck_runs_lane"), "runs")
    op.create_check_constraint(op.f("ck_runs_lane"), "runs", "lane IN ('pure', 'effect', 'call')")
    op.add_column("tenants", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(KEEP_VERSION)
    op.execute(IMMUTABLE)


def downgrade() -> None:
    op.drop_column("tenants", "deleted_at")
    for statement in FORGET:
        op.execute(statement)
    op.drop_constraint(op.f("ck_runs_lane"), "runs")
    op.create_check_constraint(op.f("ck_runs_lane"), "runs", OLD_LANE)
    op.drop_constraint(op.f("ck_schedules_max_attempts"), "schedules")
    op.drop_constraint(op.f("ck_schedules_named"), "schedules")
    for table, check in (("schedules", OLD_SCHEDULE_TARGET), ("runs", OLD_RUN_TARGET)):
        op.drop_constraint(op.f(f"ck_{table}_target"), table)
        op.create_check_constraint(op.f(f"ck_{table}_target"), table, check)
    op.drop_constraint(op.f("fk_schedules_tenant_id_install_id"), "schedules", type_="foreignkey")
    op.drop_constraint(op.f("fk_schedules_endpoint_id"), "schedules", type_="foreignkey")
    op.drop_index("uq_schedules_install_name", table_name="schedules")
    op.drop_index("ix_schedules_install", table_name="schedules")
    op.alter_column("schedules", "workflow_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("schedules", "max_attempts")
    op.drop_column("schedules", "endpoint_id")
    op.drop_column("schedules", "install_id")
    op.drop_column("schedules", "is_named")
    op.drop_constraint(op.f("fk_runs_extension_version_id"), "runs", type_="foreignkey")
    op.drop_constraint(op.f("fk_runs_tenant_id_install_id"), "runs", type_="foreignkey")
    op.drop_index("ix_runs_install", table_name="runs")
    op.drop_index("ix_runs_extension_version", table_name="runs")
    op.drop_index("ix_runs_calls_queued", table_name="runs")
    op.drop_index("ix_runs_calls_going", table_name="runs")
    op.alter_column("runs", "workflow_version", existing_type=sa.INTEGER(), nullable=False)
    op.alter_column("runs", "workflow_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("runs", "endpoint_id")
    op.drop_column("runs", "extension_version_id")
    op.drop_column("runs", "install_id")
    op.drop_index("ix_invocations_schedule", table_name="invocations")
    op.drop_index("ix_invocations_install", table_name="invocations")
    op.drop_table("invocations")
    op.drop_table("install_secrets")
    op.drop_table("install_circuits")
    op.drop_index("uq_installs_extension", table_name="installs")
    op.drop_index("ix_installs_version", table_name="installs")
    op.drop_table("installs")
    op.drop_table("extension_endpoints")
    op.drop_table("extension_versions")
    op.drop_index("uq_extensions_name", table_name="extensions")
    op.drop_table("extensions")
    op.execute("DROP FUNCTION refuse_changed_version")

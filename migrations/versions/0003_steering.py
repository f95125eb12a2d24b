"""backfills, pauses with an end, skipped instants, rehearsals"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("from_at <= until_at", name=op.f("ck_backfills_range")),
        sa.CheckConstraint("count >= 1 AND concurrency >= 1", name=op.f("ck_backfills_bounds")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_backfills_created_by")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "schedule_id"],
            ["schedules.tenant_id", "schedules.id"],
            name=op.f("fk_backfills_tenant_id_schedule_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_backfills_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfills")),
    )
    op.create_index("ix_backfills_schedule", "backfills", ["schedule_id", "id"])
    op.add_column("schedules", sa.Column("skip_next_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("schedules", sa.Column("skip_next_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_schedules_skip_next_by"), "schedules", "users", ["skip_next_by"], ["id"])
    op.create_check_constraint(
        op.f("ck_schedules_paused_until"), "schedules", "paused_at IS NOT NULL OR paused_until IS NULL"
    )
    op.create_check_constraint(
        op.f("ck_schedules_skip_next"), "schedules", "skip_next_at IS NOT NULL OR skip_next_by IS NULL"
    )
    op.alter_column("schedules", "workflow_version", nullable=True)
    op.drop_constraint(op.f("ck_schedules_target"), "schedules")
    op.create_check_constraint(
        op.f("ck_schedules_target"),
        "schedules",
        "target_kind = 'workflow' AND workflow_id IS NOT NULL"
        " AND (workflow_version IS NOT NULL OR status IN ('invalid', 'completed'))",
    )
    op.add_column("runs", sa.Column("backfill_id", sa.Uuid(), nullable=True))
    op.add_column("runs", sa.Column("is_rehearsal", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "ix_runs_backfill", "runs", ["backfill_id", "id"], postgresql_where=sa.text("backfill_id IS NOT NULL")
    )
    waiting = sa.text("backfill_id IS NOT NULL AND status = 'queued' AND ready_at IS NULL")
    op.create_index("ix_runs_backfill_queued", "runs", ["workflow_id", "id"], postgresql_where=waiting)
    op.create_index("ix_runs_rehearsals", "runs", ["tenant_id", "id"], postgresql_where=sa.text("is_rehearsal"))
    living = sa.text("deleted_at IS NULL")
    op.create_index("ix_schedules_status", "schedules", ["tenant_id", "status", "id"], postgresql_where=living)
    op.create_index(
        "ix_schedules_name", "schedules", ["tenant_id", sa.text("lower(name)"), "id"], postgresql_where=living
    )
    op.create_index(
        "ix_schedules_updated", "schedules", ["tenant_id", sa.text("updated_at DESC"), "id"], postgresql_where=living
    )
    op.create_index(
        "ix_schedule_cursors_undated", "schedule_cursors", ["tenant_id"], postgresql_where=sa.text("wake_at IS NULL")
    )
    op.create_index(
        "ix_schedule_cursors_failing",
        "schedule_cursors",
        ["tenant_id"],
        postgresql_where=sa.text("last_run_status = 'failed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_schedule_cursors_failing", table_name="schedule_cursors")
    op.drop_index("ix_schedule_cursors_undated", table_name="schedule_cursors")
    op.drop_index("ix_schedules_updated", table_name="schedules")
    op.drop_index("ix_schedules_name", table_name="schedules")
    op.drop_index("ix_schedules_status", table_name="schedules")
    op.drop_index("ix_runs_rehearsals", table_name="runs")
    op.drop_index("ix_runs_backfill_queued", table_name="runs")
    op.drop_index("ix_runs_backfill", table_name="runs")
    op.drop_column("runs", "is_rehearsal")
    op.drop_column("runs", "backfill_id")
    op.drop_constraint(op.f("ck_schedules_target"), "schedules")
    op.create_check_constraint(
        op.f("ck_schedules_target"),
        "schedules",
        "target_kind = 'workflow' AND workflow_id IS NOT NULL AND workflow_version IS NOT NULL",
    )
    op.alter_column("schedules", "workflow_version", nullable=False)
    op.drop_constraint(op.f("ck_schedules_skip_next"), "schedules")
    op.drop_constraint(op.f("ck_schedules_paused_until"), "schedules")
    op.drop_constraint(op.f("fk_schedules_skip_next_by"), "schedules")
    op.drop_column("schedules", "skip_next_by")
    op.drop_column("schedules", "skip_next_at")
    op.drop_table("backfills")

"""counts of all processes for Prometheus, and the audit log by action"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "metric_counts",
        sa.Column("process_key", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("labels", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("key_made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("value >= 0", name=op.f("ck_metric_counts_value")),
        sa.PrimaryKeyConstraint("process_key", "name", "labels", name=op.f("pk_metric_counts")),
    )
    op.create_index("ix_audit_entries_action", "audit_entries", ["tenant_id", "action", "id"])


def downgrade() -> None:
    op.drop_index("ix_audit_entries_action", table_name="audit_entries")
    op.drop_table("metric_counts")

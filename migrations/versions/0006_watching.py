"""the ledger by when it was decided, its sums by minute, and what the checks of invariants found"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_index(
        "ix_occurrences_decided",
        "occurrences",
        ["decided_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on", "pages_per_range": "32"},
    )
    op.create_table(
        "fire_minutes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("minute", instant, nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("late_p50", sa.Float(), nullable=True),
        sa.Column("late_p99", sa.Float(), nullable=True),
        sa.Column("late_max", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "minute", "outcome", name=op.f("pk_fire_minutes")),
    )
    op.create_table(
        "invariant_checks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("checked_at", instant, nullable=False),
        sa.Column("broken_at", instant, nullable=True),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("walked_to", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_invariant_checks")),
    )


def downgrade() -> None:
    op.drop_table("invariant_checks")
    op.drop_table("fire_minutes")
    op.drop_index("ix_occurrences_decided", table_name="occurrences")
